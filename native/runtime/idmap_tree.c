#include "runtime/idmap_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/mount.h"
#include "runtime/sys.h"

static int write_map(int proc, pid_t pid, const char *file, const char *text) {
        char path[32];
        snprintf(path, sizeof path, "%d/%s", (int)pid, file);
        return vg_proc_write(proc, path, text);
}

static int open_namespace(int proc, pid_t pid, int *ret_fd) {
        char path[32];
        snprintf(path, sizeof path, "%d/ns/user", (int)pid);
        int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

/* A map exists as a user namespace only, and that begins with a process. */
static int make_namespace(int proc, const char *uids, const char *gids, int *ret_fd) {
        struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
        pid_t pid = vg_clone3(&args);
        if (pid < 0)
                return pid;
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        int status = write_map(proc, pid, "uid_map", uids);
        if (status == 0)
                status = write_map(proc, pid, "gid_map", gids);
        if (status == 0)
                status = open_namespace(proc, pid, ret_fd);
        (void)kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return status;
}

int vg_idmap_tree(int proc, const struct vg_spawned *spawned, const struct vg_idmap *wanted, int *ret_fd) {
        _cleanup_close_ int users = -1, tree = -1;
        int status = wanted->uids[0] || wanted->gids[0] ? make_namespace(proc, wanted->uids, wanted->gids, &users)
                                                        : open_namespace(proc, spawned->pid, &users);
        if (status < 0)
                return status;
        /* Cloned in there, the mounts keep what a less privileged owner must not change, mount_namespaces(7). */
        if (setns(spawned->pidfd, CLONE_NEWNS) < 0)
                return -errno;
        tree = vg_sys(syscall(SYS_open_tree, AT_FDCWD, wanted->source,
                              OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (wanted->tree ? AT_RECURSIVE : 0)));
        if (tree < 0)
                return tree;
        struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)users};
        status = vg_mount_setattr(tree, wanted->recursive ? AT_RECURSIVE : 0, &attributes);
        if (status == 0)
                *ret_fd = TAKE_FD(tree);
        return status;
}
