/* VG_OP_USER: user, groups, and the owner of the standard streams. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/capabilities.h"
#include "runtime/child.h"

/* user_namespaces(7): "deny" forbids setgroups for good; the groups are then what they are, and cannot be fewer. */
static bool groups_are_denied(struct vg_child *c) {
        char text[8] = "";
        _cleanup_close_ int fd = openat(c->proc, "self/setgroups", O_RDONLY | O_CLOEXEC);
        return fd >= 0 && read(fd, text, sizeof text - 1) >= 4 && memcmp(text, "deny", 4) == 0;
}

static int set_groups(struct vg_child *c, const struct vg_op_args *a) {
        uint32_t count = vg_op_args_u32_count(a, 2);
        _cleanup_free_ gid_t *groups = calloc(count ? count : 1, sizeof *groups);
        if (!groups)
                return -ENOMEM;
        for (uint32_t i = 0; i < count; i++)
                groups[i] = vg_op_args_u32_at(a, 2, i);
        if (setgroups(count, groups) == 0 || (errno == EPERM && groups_are_denied(c)))
                return 0;
        return -errno;
}

/* So that the user can open /dev/stdout, which opens the stream anew by its path in /proc. */
static int own_streams(uid_t uid) {
        for (int fd = 0; fd < 3; fd++) {
                struct stat st;
                if (fstat(fd, &st) < 0)
                        return -errno;
                if (st.st_uid == uid || (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)))
                        continue;
                /* EPERM, EINVAL: an owner that the user namespace has no name for. EROFS: a log on a read-only mount. The process
                 * can write to what it has, whoever owns it. */
                if (fchown(fd, uid, st.st_gid) < 0 && errno != EPERM && errno != EINVAL && errno != EROFS)
                        return -errno;
        }
        return 0;
}

int vg_child_user(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        uid_t uid = (uid_t)a->at[0].number;
        gid_t gid = (gid_t)a->at[1].number;
        int status = own_streams(uid);
        if (status < 0)
                return vg_fail(f, status, "give the standard streams to user %u", uid);
        if (prctl(PR_SET_KEEPCAPS, 1) < 0)
                return vg_fail(f, -errno, "keep capabilities");
        status = set_groups(c, a);
        if (status < 0)
                return vg_fail(f, status, "set additional groups");
        if (setresgid(gid, gid, gid) < 0)
                return vg_fail(f, -errno, "set group %u", gid);
        if (setresuid(uid, uid, uid) < 0)
                return vg_fail(f, -errno, "set user %u", uid);
        /* What is permitted survives with KEEPCAPS, what is effective does not. */
        status = vg_capabilities_raise();
        if (status < 0)
                return vg_fail(f, status, "keep capabilities");
        /* Changing credentials has cleared it, PR_SET_PDEATHSIG(2const). */
        return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? vg_fail(f, -errno, "die with the core") : 0;
}
