/* VG_OP_CGROUP_REMOVE. */
#include <errno.h>

#include "runtime/cgroup.h"
#include "runtime/deadline.h"
#include "runtime/host.h"

static int remove_tree(const char *path, void *data) {
        const uint64_t *deadline = data;
        int status = vg_cgroup_each_child(path, remove_tree, data);
        /* Looked at first, since rmdir says EROFS of a missing directory on a read-only mount. */
        if (status == -ENOENT || status == -ENODEV)
                return 0;
        return status < 0 ? status : vg_cgroup_rmdir(path, (uint32_t)vg_time_left_ms(*deadline));
}

int vg_host_cgroup_remove(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        uint64_t deadline = vg_deadline((uint32_t)a->at[1].number);
        int status = remove_tree(a->at[0].string, &deadline);
        return status < 0 ? vg_fail(f, status, "remove cgroup %s", a->at[0].string) : 0;
}
