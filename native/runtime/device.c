/* Device nodes and symbolic links of the container's /dev. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/mount.h"
#include "runtime/root.h"

static int mode_of_type(uint64_t type, mode_t *ret_mode) {
        switch (type) {
        case 'c':
        case 'u':
                *ret_mode = S_IFCHR;
                return 0;
        case 'b':
                *ret_mode = S_IFBLK;
                return 0;
        case 'p':
                *ret_mode = S_IFIFO;
                return 0;
        default:
                return -EINVAL;
        }
}

static bool is_device(const struct stat *st, mode_t type, dev_t device) {
        return (st->st_mode & S_IFMT) == type && (type == S_IFIFO || st->st_rdev == device);
}

/* mknod is refused in a user namespace: the host's node of that name serves, if it is that device. */
static int bind_node(struct vg_child *c, const char *path, mode_t type, dev_t device) {
        _cleanup_close_ int source = -1;
        struct stat st;
        int status = vg_child_open_host(c, path, 0, &source);
        if (status == 0 && fstat(source, &st) < 0)
                status = -errno;
        if (status < 0)
                return status;
        if (!is_device(&st, type, device))
                return -ENODEV;
        _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
        status = vg_root_find_target(c->root, path, VG_MISSING_FILE, &found);
        return status < 0 ? status : vg_mount_on(c->proc, NULL, source, found.fd, NULL, MS_BIND, NULL);
}

static int make_node(struct vg_child *c, const char *path, mode_t mode, dev_t device, uid_t uid, gid_t gid) {
        _cleanup_found_ struct vg_found parent = VG_FOUND_NONE;
        _cleanup_free_ char *name = NULL;
        int status = vg_root_find_parent(c->root, path, &parent, &name);
        if (status < 0)
                return status;
        if (mknodat(parent.fd, name, mode, device) == 0) {
                /* Of the node just made, not of what a link could have put there: the umask is 0, so only the owner is left. */
                return fchownat(parent.fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
        }
        if (errno != EEXIST)
                return -errno;
        /* A /dev bound from the host has it already, and its owner and mode are the host's business. */
        struct stat st;
        if (fstatat(parent.fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return is_device(&st, mode & S_IFMT, device) ? 0 : -EEXIST;
}

int vg_child_device(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const char *path = a->at[0].string;
        dev_t device = makedev((unsigned)a->at[2].number, (unsigned)a->at[3].number);
        mode_t type;
        int status = mode_of_type(a->at[1].number, &type);
        if (status < 0)
                return vg_fail_words(f, status, "device %s: its type is none of c, b, u, p", path);
        status = make_node(c, path, type | (mode_t)(a->at[4].number & 07777), device, (uid_t)a->at[5].number,
                           (gid_t)a->at[6].number);
        if (status == -EPERM)
                status = bind_node(c, path, type, device);
        return status < 0 ? vg_fail(f, status, "make device %s", path) : 0;
}

int vg_child_symlink(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const char *target = a->at[0].string, *path = a->at[1].string;
        _cleanup_found_ struct vg_found parent = VG_FOUND_NONE;
        _cleanup_free_ char *name = NULL;
        int status = vg_root_find_parent(c->root, path, &parent, &name);
        if (status == 0 && symlinkat(target, parent.fd, name) < 0)
                status = -errno;
        if (status == -EEXIST) {
                char there[4096];
                ssize_t size = readlinkat(parent.fd, name, there, sizeof there);
                if (size == (ssize_t)strlen(target) && memcmp(there, target, (size_t)size) == 0)
                        status = 0;
        }
        return status < 0 ? vg_fail(f, status, "make symbolic link %s to %s", path, target) : 0;
}
