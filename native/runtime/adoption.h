/* A process that comes to the core because whoever made it has ended: the core is the nearest subreaper. */
#ifndef VG_RUNTIME_ADOPTION_H
#define VG_RUNTIME_ADOPTION_H

#include <sys/types.h>

#include "runtime/runtime.h"

/* -ECHILD: it is no child of the core's. Another's process is neither watched nor killed. */
int vg_adoption_check(pid_t pid, struct vg_failure *failure);
/* Returns 0 once the core has taken the process over. */
int vg_adoption(const struct vg_birth *birth, int channel, pid_t pid, struct vg_failure *failure);

#endif
