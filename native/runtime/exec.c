/* The last steps: working directory, the wait for start, and the program. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/home.h"
#include "runtime/message.h"
#include "runtime/root.h"
#include "runtime/sys.h"

/* What execvp of other runtimes takes when the environment has no PATH (crun; glibc's own default lacks the sbin ones). */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

int vg_child_cwd(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const char *path = a->at[0].string;
        int status;
        _cleanup_close_ int fd = -1;
        if (path[0] == '/') {
                status = vg_root_open(c->root, path, O_PATH | O_DIRECTORY, &fd);
                if (status == -ENOENT) {
                        _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
                        status = vg_root_find(c->root, path, VG_MISSING_DIRECTORY, &found);
                        if (status == 0)
                                fd = TAKE_FD(found.fd);
                }
        } else {
                fd = vg_openat2(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, RESOLVE_NO_MAGICLINKS);
                status = fd < 0 ? fd : 0;
        }
        if (status == 0 && fchdir(fd) < 0)
                status = -errno;
        if (status < 0)
                return vg_fail(f, status, "change directory to %s", path);
        /* The system call itself: "(unreachable)/..." is a directory of the host (CVE-2024-21626), and a C library may hide it. */
        char where[PATH_MAX];
        if (syscall(SYS_getcwd, where, sizeof where) < 0)
                return vg_fail(f, -errno, "change directory to %s", path);
        if (where[0] != '/')
                return vg_fail_words(f, -EXDEV, "change directory to %s: it is outside of the container", path);
        return 0;
}

/* Without a core the one that made this process is about to leave: it waits for whoever comes to start it, for ever. */
static int wait_for_visitor(struct vg_child *c) {
        if (prctl(PR_SET_PDEATHSIG, 0) < 0)
                return -errno;
        int status = vg_child_release_helper(c, 'r');
        if (status < 0)
                return status;
        int visitor;
        do
                visitor = accept4(c->birth->listener, NULL, NULL, SOCK_CLOEXEC);
        while (visitor < 0 && (errno == EINTR || errno == ECONNABORTED));
        if (visitor < 0)
                return -errno;
        vg_closep(&c->channel);
        c->channel = visitor;
        return 0;
}

int vg_child_wait_start(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)a;
        int status = c->birth->listener < 0 ? vg_child_release_helper(c, 'r') : wait_for_visitor(c);
        if (status < 0)
                return vg_fail(f, status, "report ready");
        char tag = 0;
        /* The core is gone, or has given this container up. */
        if (vg_message_receive(c->channel, &tag, NULL) < 0 || tag != 's')
                _exit(EXIT_FAILURE);
        return 0;
}

/* 0, or what execve would say. */
static int check_executable(const char *path) {
        struct stat st;
        if (stat(path, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode) || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
                return -EACCES;
        return 0;
}

static const char *path_of(char *const *environment) {
        for (char *const *item = environment; *item; item++)
                if (strncmp(*item, "PATH=", 5) == 0)
                        return *item + 5;
        return DEFAULT_PATH;
}

static int search(const char *name, const char *directories, char **ret_path) {
        int status = -ENOENT;
        for (const char *at = directories;; at++) {
                int length = (int)strcspn(at, ":");
                _cleanup_free_ char *path = NULL;
                /* An empty item is the working directory, execvp(3). */
                if (asprintf(&path, "%.*s/%s", length ? length : 1, length ? at : ".", name) < 0)
                        return -ENOMEM;
                int seen = check_executable(path);
                if (seen == 0) {
                        *ret_path = TAKE_PTR(path);
                        return 0;
                }
                if (seen == -EACCES)
                        status = -EACCES;
                at += length;
                if (!*at)
                        return status;
        }
}

static int find(char *const *argv, char *const *environment, char **ret_path, struct vg_failure *f) {
        const char *name = argv[0];
        char words[VG_REASON_SIZE];
        if (!name || !name[0])
                return vg_fail_words(f, -EINVAL, "exec: there is no program to run");
        if (!strchr(name, '/')) {
                int status = search(name, path_of(environment), ret_path);
                vg_reason(words, status);
                if (status == -ENOENT)
                        return vg_fail_words(f, status, "exec: \"%s\": executable file not found in $PATH", name);
                return status < 0 ? vg_fail_words(f, status, "exec: \"%s\": %s", name, words) : 0;
        }
        int status = check_executable(name);
        vg_reason(words, status);
        if (status == -ENOENT || status == -ENOTDIR || status == -ELOOP)
                return vg_fail_words(f, status, "exec: \"%s\": stat %s: %s", name, name, words);
        if (status < 0)
                return vg_fail_words(f, status, "exec: \"%s\": %s", name, words);
        char *path = strdup(name);
        if (!path)
                return vg_fail(f, -ENOMEM, "exec %s", name);
        *ret_path = path;
        return 0;
}

int vg_child_find(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)c;
        _cleanup_free_ char *path = NULL;
        return find(a->at[0].strings, a->at[1].strings, &path, f);
}

int vg_child_exec(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        _cleanup_free_ char *path = NULL;
        int status = find(a->at[0].strings, a->at[1].strings, &path, f);
        if (status < 0)
                return status;
        char **environment;
        status = vg_home_complete(a->at[1].strings, &environment);
        if (status < 0)
                return vg_fail(f, status, "exec %s", path);
        vg_child_settle_umask(c);
        /* From here on the container outlives the core; `delete` ends it. */
        if (prctl(PR_SET_PDEATHSIG, 0) < 0)
                return vg_fail(f, -errno, "exec %s", path);
        status = vg_child_release_helper(c, 'x');
        if (status == 0)
                status = vg_message_send_tag(c->channel, 'x');
        if (status < 0)
                return vg_fail(f, status, "report the exec of %s", path);
        execve(path, a->at[0].strings, environment);
        char words[VG_REASON_SIZE];
        status = -errno;
        vg_reason(words, status);
        return vg_fail_words(f, status, "exec %s: %s", path, words);
}
