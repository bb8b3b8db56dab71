/* VG_OP_WRITE, VG_OP_MKDIR, VG_OP_UNLINK. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "runtime/host.h"

int vg_host_write(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        const char *path = a->at[0].string;
        struct vg_bytes value = a->at[1].bytes;
        /* A message is for people: a long or binary value is cut. */
        int shown = value.size < 200 ? (int)value.size : 200;
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return vg_fail(f, -errno, "open %s to write \"%.*s\"", path, shown, (const char *)value.data);
        ssize_t size;
        do
                size = write(fd, value.data, value.size);
        while (size < 0 && errno == EINTR);
        if (size < 0)
                return vg_fail(f, -errno, "write \"%.*s\" to %s", shown, (const char *)value.data, path);
        if ((size_t)size != value.size)
                return vg_fail(f, -EIO, "write \"%.*s\" to %s: %zd of %zu bytes taken", shown, (const char *)value.data, path, size,
                               value.size);
        return 0;
}

static int make_one(struct vg_host *h, const char *path, mode_t mode) {
        if (mkdir(path, mode) < 0) {
                struct stat st;
                if (errno != EEXIST)
                        return -errno;
                return stat(path, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
        }
        int status = vg_undo_remember_directory(&h->undo, path);
        if (status < 0)
                (void)rmdir(path);
        return status;
}

int vg_host_mkdir(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        mode_t mode = (mode_t)(a->at[1].number & 07777);
        _cleanup_free_ char *path = strdup(a->at[0].string);
        int status = path ? 0 : -ENOMEM;
        for (char *slash = path ? strchr(path + (path[0] == '/'), '/') : NULL; slash && status == 0;
             slash = strchr(slash + 1, '/')) {
                *slash = 0;
                status = make_one(h, path, 0755);
                *slash = '/';
        }
        if (status == 0)
                status = make_one(h, path, mode);
        return status < 0 ? vg_fail(f, status, "make directory %s", a->at[0].string) : 0;
}

int vg_host_unlink(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        const char *path = a->at[0].string;
        return unlink(path) < 0 && errno != ENOENT ? vg_fail(f, -errno, "unlink %s", path) : 0;
}
