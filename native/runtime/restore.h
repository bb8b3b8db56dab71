/* An init that CRIU restores. */
#ifndef VG_RUNTIME_RESTORE_H
#define VG_RUNTIME_RESTORE_H

#include "io/open.h"
#include "runtime/host.h"
#include "runtime/runtime.h"

/* Returns 0 once the core has taken the process over. On failure none of its processes is left. */
int vg_restore_birth(const struct vg_birth *birth, struct vg_streams *streams, int channel, struct vg_host *host,
                     struct vg_failure *failure);

#endif
