/* VG_OP_MOUNT: the mounts that make a root file system. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/host.h"
#include "runtime/loop_device.h"
#include "runtime/mount.h"
#include "runtime/overlay.h"
#include "runtime/root.h"

struct plan {
        const char *type, *source, *data;
        uint64_t flags, propagation;
};

static int mount_bind(struct vg_host *h, const struct plan *plan, int root, const struct vg_found *found, int *ret_mounted) {
        _cleanup_close_ int source = open(plan->source, O_PATH | O_CLOEXEC);
        if (source < 0)
                return -errno;
        int status = vg_mount_on(h->proc, NULL, source, found->fd, NULL, MS_BIND | (plan->flags & MS_REC), NULL);
        if (status == 0)
                status = vg_root_find_mounted(root, found, ret_mounted);
        uint64_t own = plan->flags & ~(uint64_t)(MS_BIND | MS_REC | VG_MOUNT_PROPAGATION);
        return status == 0 && own ? vg_mount_flags(h->proc, *ret_mounted, own, 0) : status;
}

static int mount_new(struct vg_host *h, const struct plan *plan, int root, const struct vg_found *found, int *ret_mounted) {
        (void)h;
        _cleanup_close_ int loop = -1, base = -1;
        _cleanup_free_ char *data = NULL, *device = NULL;
        const char *source = plan->source;
        int status = vg_loop_device_option(plan->data, &data);
        if (status > 0) {
                status = vg_loop_device_attach(source, plan->flags & MS_RDONLY, &loop, &device);
                source = device;
        }
        if (status == 0 && strcmp(plan->type, "overlay") == 0)
                status = vg_overlay_shorten(&data, &base);
        uint64_t flags = plan->flags & ~(uint64_t)(MS_REC | VG_MOUNT_PROPAGATION);
        if (status == 0)
                status = vg_mount_from(base, source, found->fd, plan->type, flags, data);
        return status == 0 ? vg_root_find_mounted(root, found, ret_mounted) : status;
}

int vg_host_mount(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        const struct plan plan = {
                .type = a->at[0].string,
                .source = a->at[1].string,
                .flags = a->at[4].number,
                .propagation = a->at[5].number,
                .data = a->at[6].string,
        };
        const char *path = a->at[2].string, *target = a->at[3].string;
        bool is_bind = strcmp(plan.type, "bind") == 0 || (plan.flags & MS_BIND);
        _cleanup_close_ int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return vg_fail(f, -errno, "mount %s at %s", plan.source, path);
        _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
        int status = vg_root_find_target(root, target, VG_MISSING_IS_ERROR, &found);
        if (status < 0)
                return vg_fail(f, status, "mount %s at %s in %s: target", plan.source, target, path);
        /* The root itself: once mounted on it has to be looked up from outside. */
        _cleanup_close_ int top = -1;
        if (!found.path[0]) {
                top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
                free(found.path);
                found.path = realpath(path, NULL);
                if (top < 0 || !found.path)
                        return vg_fail(f, -errno, "mount %s at %s", plan.source, path);
        }
        int mounted = -1;
        status = (is_bind ? mount_bind : mount_new)(h, &plan, top >= 0 ? top : root, &found, &mounted);
        if (mounted >= 0) {
                int remembered = vg_undo_remember_mount(&h->undo, mounted);
                if (status == 0)
                        status = remembered;
        }
        if (status == 0)
                status = vg_mount_propagation(h->proc, mounted, plan.propagation);
        if (status < 0)
                return vg_fail(f, status, "mount %s %s at %s%s%s", plan.type, plan.source, path, target[0] ? "/" : "", target);
        return 0;
}
