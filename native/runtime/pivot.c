/* The root of the mount namespace: made ready, and changed into. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/mount.h"
#include "runtime/mountinfo.h"

static int same_file(int a, int b, bool *ret_same) {
        struct stat x, y;
        if (fstat(a, &x) < 0 || fstat(b, &y) < 0)
                return -errno;
        *ret_same = x.st_dev == y.st_dev && x.st_ino == y.st_ino;
        return 0;
}

int vg_child_root_propagation(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        int status = vg_mount_propagation(c->proc, c->root, a->at[0].number);
        return status < 0 ? vg_fail(f, status, "set the propagation of /") : 0;
}

/* pivot_root(2) wants the mount that the new root is on not to be shared, and the bind must not reach its peers. Only the
 * directory on top of a mount can be changed: go up to it. */
static int make_parent_private(struct vg_child *c, const char *path, int directory) {
        _cleanup_close_ int at = fcntl(directory, F_DUPFD_CLOEXEC, 3);
        _cleanup_free_ char *way = strdup(path);
        if (!way)
                return -ENOMEM;
        if (at < 0)
                return -errno;
        for (;;) {
                int up = -1, status = vg_mount_on(c->proc, NULL, -1, at, NULL, MS_PRIVATE, NULL);
                if (status != -EINVAL)
                        return status;
                char *further;
                if (asprintf(&further, "%s/..", way) < 0)
                        return -ENOMEM;
                free(way);
                way = further;
                int opened = vg_child_open_host(c, way, O_DIRECTORY, &up);
                if (opened < 0)
                        return opened;
                bool top;
                int same = same_file(at, up, &top);
                close(at);
                at = up;
                if (same < 0 || top)
                        return same < 0 ? same : status;
        }
}

int vg_child_rootfs(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const char *path = a->at[0].string;
        _cleanup_close_ int below = -1, above = -1;
        int status = vg_child_open_host(c, path, O_DIRECTORY, &below);
        if (status < 0)
                return vg_fail(f, status, "root file system %s", path);
        status = make_parent_private(c, path, below);
        if (status == 0)
                status = vg_mount_on(c->proc, NULL, below, below, NULL, MS_BIND | MS_REC, NULL);
        if (status < 0)
                return vg_fail(f, status, "bind root file system %s onto itself", path);
        bool same = false;
        status = vg_child_open_host(c, path, O_DIRECTORY, &above);
        if (status == 0)
                status = same_file(below, above, &same);
        if (status == 0 && !same)
                status = -ESTALE;
        if (status < 0)
                return vg_fail(f, status, "open root file system %s", path);
        close(c->root);
        c->root = TAKE_FD(above);
        return 0;
}

static int pivot(struct vg_child *c) {
        _cleanup_close_ int old = open("/", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        if (old < 0 || fchdir(c->root) < 0)
                return -errno;
        /* pivot_root(".", ".") puts the old root on top of the new one, pivot_root(2) NOTES. */
        if (syscall(SYS_pivot_root, ".", ".") < 0)
                return -errno;
        if (fchdir(old) < 0)
                return -errno;
        /* Slave first: the unmounts must not reach the host. */
        if (mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
                return -errno;
        return 0;
}

/* chroot can be left by who may mount proc or sysfs; and the kernel lets them be mounted if a full one can be seen. So those
 * outside of the new root go first (mount_namespaces(7): "fully visible"). */
static int cover_host(struct vg_child *c, const char *root) {
        _cleanup_fclose_ FILE *file = NULL;
        int status = vg_mountinfo_open(c->proc, &file);
        if (status < 0)
                return status;
        struct vg_mountinfo line;
        while ((status = vg_mountinfo_next(file, &line)) > 0) {
                if (vg_path_is_below(line.path, root) || (strcmp(line.type, "proc") != 0 && strcmp(line.type, "sysfs") != 0))
                        continue;
                if (mount(NULL, line.path, NULL, MS_SLAVE | MS_REC, NULL) < 0 && errno != ENOENT && errno != EINVAL)
                        return -errno;
                if (umount2(line.path, MNT_DETACH) == 0 || errno == ENOENT)
                        continue;
                if (errno != EINVAL && errno != EPERM)
                        return -errno;
                /* Locked in place: a tmpfs over it hides it as well. */
                if (mount("tmpfs", line.path, "tmpfs", 0, NULL) < 0)
                        return -errno;
        }
        return status;
}

static int move_root(struct vg_child *c) {
        if (fchdir(c->root) < 0)
                return -errno;
        _cleanup_free_ char *root = getcwd(NULL, 0);
        if (!root)
                return -errno;
        int status = cover_host(c, root);
        if (status < 0)
                return status;
        if (fchdir(c->root) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
                return -errno;
        return 0;
}

static int reopen_root(struct vg_child *c, struct vg_failure *f) {
        vg_closep(&c->root);
        c->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        return c->root < 0 ? vg_fail(f, -errno, "open /") : 0;
}

int vg_child_root(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const char *path = a->at[0].string;
        int root = -1, status = vg_child_open_host(c, path, O_DIRECTORY, &root);
        if (status < 0)
                return vg_fail(f, status, "root file system %s", path);
        close(c->root);
        c->root = root;
        return 0;
}

int vg_child_chroot(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)a;
        if (fchdir(c->root) < 0 || chroot(".") < 0 || chdir("/") < 0)
                return vg_fail(f, -errno, "change root");
        return reopen_root(c, f);
}

int vg_child_pivot(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        bool no_pivot = a->at[0].number;
        int status = no_pivot ? move_root(c) : pivot(c);
        if (status < 0)
                return vg_fail(f, status, no_pivot ? "move root file system to /" : "pivot_root");
        status = reopen_root(c, f);
        if (status < 0)
                return status;
        if (a->at[1].number) {
                status = vg_mount_propagation(c->proc, c->root, a->at[1].number);
                if (status < 0)
                        return vg_fail(f, status, "set the propagation of the new root");
        }
        return 0;
}
