/* Child ops that are one system call or one file. */
#include <errno.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/favour.h"
#include "runtime/mount.h"
#include "runtime/sys.h"

int vg_child_unshare_cgroup(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)a;
        if (unshare(CLONE_NEWCGROUP) < 0)
                return vg_fail(f, -errno, "new cgroup namespace");
        c->cgroup_namespace = true;
        return 0;
}

int vg_child_hostname(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)c;
        const char *name = a->at[0].string;
        return sethostname(name, strlen(name)) < 0 ? vg_fail(f, -errno, "set hostname %s", name) : 0;
}

int vg_child_domainname(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)c;
        const char *name = a->at[0].string;
        return setdomainname(name, strlen(name)) < 0 ? vg_fail(f, -errno, "set domain name %s", name) : 0;
}

int vg_child_sysctl(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const char *key = a->at[0].string;
        _cleanup_free_ char *path = NULL;
        if (asprintf(&path, "sys/%s", key) < 0)
                return vg_fail(f, -ENOMEM, "set sysctl %s", key);
        /* sysctl(8): the first separator tells which of the two it is; the other is then part of a name ("eth0.1"). */
        if (key[strcspn(key, "./")] == '.')
                for (char *at = path + strlen("sys/"); *at; at++)
                        *at = *at == '.' ? '/' : *at == '/' ? '.' : *at;
        int status = vg_proc_write(c->proc, path, a->at[1].string);
        return status < 0 ? vg_fail(f, status, "set sysctl %s to \"%s\"", key, a->at[1].string) : 0;
}

int vg_child_rlimit(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        unsigned resource = (unsigned)a->at[0].number;
        const struct rlimit limit = {.rlim_cur = a->at[1].number, .rlim_max = a->at[2].number};
        /* Raising a hard limit takes CAP_SYS_RESOURCE in the first user namespace, setrlimit(2). */
        int status = c->in_user_namespace                     ? vg_favour_rlimit(c, resource, &limit)
                     : prlimit(0, resource, &limit, NULL) < 0 ? -errno
                                                              : 0;
        if (status < 0)
                return vg_fail(f, status, "set resource limit %u to %llu (hard: %llu)", resource,
                               (unsigned long long)a->at[1].number, (unsigned long long)a->at[2].number);
        return 0;
}

int vg_child_oom_score_adj(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        char text[16];
        snprintf(text, sizeof text, "%d", (int)(int32_t)(uint32_t)a->at[0].number);
        /* Lowering it takes the same privilege, proc_pid_oom_score_adj(5); and the file is the host's root's as long as the process
         * is not dumpable. */
        int status = c->in_user_namespace ? vg_favour_write(c, "oom_score_adj", text)
                                          : vg_proc_write(c->proc, "self/oom_score_adj", text);
        return status < 0 ? vg_fail(f, status, "set oom_score_adj to %s", text) : 0;
}

int vg_child_new_keyring(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)c;
        long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, a->at[0].string, 0, 0, 0);
        /* ENOSYS: a kernel without keyrings, or an outer container's seccomp filter: nothing that could be inherited. */
        if (ring < 0)
                return errno == ENOSYS ? 0 : vg_fail(f, -errno, "join session keyring %s", a->at[0].string);
        /* A process of another user of the container shall find the keyring it is in: KEY_USR_SEARCH, keyctl_setperm(3). What a
         * new keyring has otherwise: all for the possessor, view and read for the user. */
        if (syscall(SYS_keyctl, KEYCTL_SETPERM, ring, 0x3f000000 | 0x00010000 | 0x00020000 | 0x00080000, 0, 0) < 0 &&
            errno != EACCES)
                return vg_fail(f, -errno, "set permissions of session keyring %s", a->at[0].string);
        return 0;
}

int vg_child_umask(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)f;
        c->umask = (mode_t)(a->at[0].number & 0777);
        if (c->umask_settled)
                umask(c->umask);
        return 0;
}

int vg_child_no_new_privs(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)c;
        (void)a;
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? vg_fail(f, -errno, "set no_new_privs") : 0;
}

int vg_child_loopback(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)c;
        (void)a;
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq request = {.ifr_name = "lo"};
        if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
                return vg_fail(f, -errno, "bring up loopback");
        request.ifr_flags |= IFF_UP;
        return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? vg_fail(f, -errno, "bring up loopback") : 0;
}
