/* Paths that the container must not read or must not write. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/mount.h"
#include "runtime/root.h"

/* The container's own /dev/null, if that is what it says: an image's file in its place would be what a reader of a masked path
 * gets, and could write (CVE-2025-31133). */
static int open_null(struct vg_child *c) {
        if (c->null >= 0)
                return 0;
        _cleanup_close_ int fd = -1;
        int status = vg_root_open(c->root, "dev/null", O_PATH | O_NOFOLLOW, &fd);
        if (status < 0)
                return status;
        struct stat st;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
                return -ENODEV;
        c->null = TAKE_FD(fd);
        return 0;
}

int vg_child_mask(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const char *path = a->at[0].string;
        _cleanup_close_ int target = -1;
        struct stat st;
        int status = vg_root_open(c->root, path, O_PATH, &target);
        if (status == -ENOENT || status == -ENOTDIR)
                return 0;
        if (status == 0 && fstat(target, &st) < 0)
                status = -errno;
        if (status < 0)
                return vg_fail(f, status, "mask %s", path);
        if (S_ISDIR(st.st_mode))
                /* Nothing will ever be in it: one inode, its root. */
                status = vg_mount_on(c->proc, "tmpfs", -1, target, "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=1");
        else {
                status = open_null(c);
                if (status < 0)
                        return vg_fail(f, status, "mask %s: /dev/null of the container", path);
                status = vg_mount_on(c->proc, NULL, c->null, target, NULL, MS_BIND, NULL);
        }
        return status < 0 ? vg_fail(f, status, "mask %s", path) : 0;
}

/* A bind remount sets all flags anew: keep those that are there. */
static int add_readonly(struct vg_child *c, int target) {
        struct statvfs fs;
        if (fstatvfs(target, &fs) < 0)
                return -errno;
        return vg_mount_flags(c->proc, target, vg_mount_flags_of(&fs) | MS_RDONLY, 0);
}

int vg_child_readonly_path(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const char *path = a->at[0].string;
        _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
        _cleanup_close_ int mounted = -1;
        int status = vg_root_find(c->root, path, VG_MISSING_IS_ERROR, &found);
        if (status == -ENOENT || status == -ENOTDIR)
                return 0;
        if (status == 0)
                status = vg_mount_on(c->proc, NULL, found.fd, found.fd, NULL, MS_BIND | MS_REC, NULL);
        if (status == 0)
                status = vg_root_find_mounted(c->root, &found, &mounted);
        if (status == 0)
                status = add_readonly(c, mounted);
        return status < 0 ? vg_fail(f, status, "make %s read-only", path) : 0;
}

int vg_child_readonly_root(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)a;
        int status = add_readonly(c, c->root);
        return status < 0 ? vg_fail(f, status, "make / read-only") : 0;
}
