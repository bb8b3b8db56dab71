/* Making the child of a birth: a sibling of the helper, in the cgroups and namespaces of the plan. */
#ifndef VG_RUNTIME_SPAWN_H
#define VG_RUNTIME_SPAWN_H

#include "runtime/child.h"

struct vg_spawned {
        pid_t pid;
        int pidfd;
        int talk; /* private socket: the child waits for 'g' on it, and reports over it until it is released; 'h' asks for
                   * its next hook in the runtime's namespaces and is answered 'h', 'n' brings the listener of its
                   * filter for the agent */
};

/* Returns in the helper only; in the child it becomes vg_child_run(). On failure there is no child. */
int vg_spawn(struct vg_child *child, struct vg_spawned *ret_spawned, struct vg_failure *failure);
/* SIGKILL, and waits until it is dead. Reaping is up to the core. */
void vg_spawned_kill(const struct vg_spawned *spawned);
/* Waits for its death, then for its reaping, at most so long. */
void vg_spawned_wait(const struct vg_spawned *spawned, bool reaped, uint32_t timeout_ms);

#endif
