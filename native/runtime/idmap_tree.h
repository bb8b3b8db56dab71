/* A detached copy of a mount with other ids, for the child: made by the helper, as it takes CAP_SYS_ADMIN where the file system was
 * mounted, mount_setattr(2). */
#ifndef VG_RUNTIME_IDMAP_TREE_H
#define VG_RUNTIME_IDMAP_TREE_H

#include <stdbool.h>

#include "runtime/spawn.h"

struct vg_idmap {
        const char *source;      /* looked up in the child's mount namespace */
        const char *uids, *gids; /* maps; both empty: those of the child's user namespace */
        bool tree;               /* with all that is mounted below */
        bool recursive;          /* map that, too */
};

/* In a process of its own: it enters the child's mount namespace. */
int vg_idmap_tree(int proc, const struct vg_spawned *spawned, const struct vg_idmap *wanted, int *ret_fd);

#endif
