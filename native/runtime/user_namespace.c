/* A user namespace of the container: its maps, its root, and what is then beyond the child's reach. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "runtime/child.h"
#include "runtime/favour.h"

bool vg_birth_has_user_namespace(const struct vg_birth *birth) {
        uint64_t flags = birth->clone_flags;
        for (uint32_t i = 0; i < birth->n_joins; i++)
                flags |= birth->joins[i].flag;
        return flags & CLONE_NEWUSER;
}

/* Mounts and files of the container belong to its root, and file systems mounted in a user namespace know no other owner. */
static int become_root(struct vg_child *c, struct vg_failure *f) {
        if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
                return vg_fail(f, -errno, "become root of the user namespace (is id 0 mapped?)");
        /* Changed credentials clear the parent-death signal, PR_SET_PDEATHSIG(2const), and set what /proc/sys/fs/suid_dumpable says,
         * PR_SET_DUMPABLE(2const). */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
                return vg_fail(f, -errno, "become root of the user namespace");
        c->in_user_namespace = true;
        if ((c->birth->clone_flags & CLONE_NEWIPC) && unshare(CLONE_NEWIPC) < 0)
                return vg_fail(f, -errno, "new IPC namespace");
        return 0;
}

int vg_child_user_map(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        int status = vg_favour_write(c, "uid_map", a->at[0].string);
        if (status < 0)
                return vg_fail(f, status, "map the users of the user namespace");
        status = vg_favour_write(c, "gid_map", a->at[1].string);
        /* Without CAP_SETGID on the host only who gives setgroups(2) up may map groups, user_namespaces(7). */
        if (status == -EPERM && vg_favour_write(c, "setgroups", "deny") == 0)
                status = vg_favour_write(c, "gid_map", a->at[1].string);
        return status < 0 ? vg_fail(f, status, "map the groups of the user namespace") : become_root(c, f);
}

/* The owner of a user namespace may write its maps as long as they hold nothing but his own ids; for more there are programs with
 * a privilege of their own, newuidmap(1). */
static int map_unprivileged(struct vg_child *c, const char *file, const char *program, const char *text, struct vg_failure *f) {
        const char *which = file[0] == 'u' ? "users" : "groups";
        if (program[0]) {
                char words[VG_FAVOUR_WORDS_SIZE];
                int status = vg_favour_map(c, program, text, words);
                return status < 0 ? vg_fail_words(f, status, "map the %s of the user namespace: %s", which, words) : 0;
        }
        int status = vg_favour_write(c, file, text);
        if (status == -EPERM && vg_favour_write(c, "setgroups", "deny") == 0)
                status = vg_favour_write(c, file, text);
        return status < 0 ? vg_fail(f, status, "map the %s of the user namespace", which) : 0;
}

int vg_child_user_map_unprivileged(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        c->unprivileged = true;
        int status = map_unprivileged(c, "uid_map", a->at[2].string, a->at[0].string, f);
        if (status == 0)
                status = map_unprivileged(c, "gid_map", a->at[3].string, a->at[1].string, f);
        return status < 0 ? status : become_root(c, f);
}

int vg_child_user_root(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)a;
        return become_root(c, f);
}

int vg_child_open_host(struct vg_child *c, const char *path, int flags, int *ret_fd) {
        int fd = open(path, O_PATH | O_CLOEXEC | flags);
        /* The container's root need not be let through the host's directories. */
        if (fd < 0 && errno == EACCES && c->in_user_namespace && !c->unprivileged)
                return vg_favour_open(c, path, flags, ret_fd);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}
