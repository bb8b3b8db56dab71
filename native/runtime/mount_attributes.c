/* VG_OP_MOUNT_ATTRIBUTES: attributes of a mount and of all below it. */
#include <fcntl.h>
#include <linux/mount.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/root.h"
#include "runtime/sys.h"

int vg_child_mount_attributes(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const char *target = a->at[0].string;
        struct mount_attr attributes = {.attr_set = a->at[1].number, .attr_clr = a->at[2].number};
        _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
        int status = vg_root_find_target(c->root, target, VG_MISSING_IS_ERROR, &found);
        if (status == 0)
                status = vg_mount_setattr(found.fd, AT_RECURSIVE, &attributes);
        if (status == -ENOSYS)
                return vg_fail_words(f, status, "mount at %s: recursive attributes need Linux 5.12", target);
        return status < 0 ? vg_fail(f, status, "set the attributes of all mounts at and below %s", target) : 0;
}
