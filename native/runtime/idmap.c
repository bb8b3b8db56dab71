/* VG_OP_IDMAP_BIND: what the helper has cloned and mapped is put in its place. */
#include <errno.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/favour.h"
#include "runtime/mount.h"
#include "runtime/root.h"
#include "runtime/sys.h"

int vg_child_idmap_bind(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const char *source = a->at[0].string, *target = a->at[1].string;
        uint64_t flags = a->at[2].number, clear = a->at[3].number;
        const struct vg_idmap wanted = {
                .source = source,
                .uids = a->at[5].string,
                .gids = a->at[6].string,
                .tree = flags & MS_REC,
                .recursive = a->at[7].number,
        };
        _cleanup_close_ int tree = -1, mounted = -1;
        _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
        int status = vg_favour_idmap(c, &wanted, &tree);
        struct stat st;
        if (status == 0 && fstat(tree, &st) < 0)
                status = -errno;
        if (status < 0)
                return vg_fail(f, status, "map the ids of %s", source);
        status = vg_root_find_target(c->root, target, S_ISDIR(st.st_mode) ? VG_MISSING_DIRECTORY : VG_MISSING_FILE, &found);
        if (status < 0)
                return vg_fail(f, status, "mount %s at %s: target", source, target);
        status = vg_sys(syscall(SYS_move_mount, tree, "", found.fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
        if (status == 0)
                status = vg_root_find_mounted(c->root, &found, &mounted);
        uint64_t own = flags & ~(uint64_t)(MS_BIND | MS_REC | VG_MOUNT_PROPAGATION);
        if (status == 0 && (own || clear))
                status = vg_mount_flags(c->proc, mounted, own, clear);
        if (status == 0)
                status = vg_mount_propagation(c->proc, mounted, a->at[4].number);
        return status < 0 ? vg_fail(f, status, "mount %s at %s", source, target) : 0;
}
