/* VG_OP_UMOUNT_TREE, VG_OP_DETACH. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "lib/cleanup.h"
#include "runtime/deadline.h"
#include "runtime/host.h"
#include "runtime/mountinfo.h"

#define BUSY_TIMEOUT_MS 2500 /* containerd: 50 times 50 ms */
#define BUSY_LOOK_MS 50

/* Of the mounts at or below `top` the one listed last: nothing is mounted on it. NULL: there is none. */
static int last_mount(int proc, const char *top, char **ret_path) {
        _cleanup_fclose_ FILE *file = NULL;
        _cleanup_free_ struct vg_mountinfo *line = malloc(sizeof *line);
        _cleanup_free_ char *last = NULL;
        if (!line)
                return -ENOMEM;
        int status = vg_mountinfo_open(proc, &file);
        while (status >= 0 && (status = vg_mountinfo_next(file, line)) > 0) {
                if (!vg_path_is_below(line->path, top))
                        continue;
                free(last);
                last = strdup(line->path);
                if (!last)
                        return -ENOMEM;
        }
        if (status < 0)
                return status;
        *ret_path = TAKE_PTR(last);
        return 0;
}

static int unmount_one(const char *path, uint64_t deadline) {
        while (umount2(path, UMOUNT_NOFOLLOW) < 0) {
                int left = vg_time_left_ms(deadline);
                if (errno != EBUSY || left == 0)
                        return -errno;
                if (poll(NULL, 0, left < BUSY_LOOK_MS ? left : BUSY_LOOK_MS) < 0 && errno != EINTR)
                        return -errno;
        }
        return 0;
}

int vg_host_umount_tree(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        const char *path = a->at[0].string;
        /* mountinfo has real paths. */
        _cleanup_free_ char *top = realpath(path, NULL);
        if (!top)
                return errno == ENOENT ? 0 : vg_fail(f, -errno, "unmount %s", path);
        uint64_t deadline = vg_deadline(BUSY_TIMEOUT_MS);
        _cleanup_free_ char *refused = NULL;
        for (;;) {
                _cleanup_free_ char *last = NULL;
                int status = last_mount(h->proc, top, &last);
                if (status < 0)
                        return vg_fail(f, status, "look for mounts below %s", path);
                if (!last)
                        return 0;
                status = unmount_one(last, deadline);
                /* Not a mount, not there: somebody else was faster. Twice for the same: it cannot be had (locked, or deleted). */
                if ((status == -EINVAL || status == -ENOENT) && !(refused && strcmp(refused, last) == 0)) {
                        free(refused);
                        refused = TAKE_PTR(last);
                        continue;
                }
                if (status < 0)
                        return vg_fail(f, status, "unmount %s", last);
        }
}

int vg_host_detach(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        const char *path = a->at[0].string;
        if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL && errno != ENOENT)
                return vg_fail(f, -errno, "unmount %s", path);
        return 0;
}
