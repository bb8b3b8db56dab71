/* A pod without a container of its own: the core is what its containers share namespaces with, by its pid. */
#ifndef VG_SANDBOX_H
#define VG_SANDBOX_H

#include "core/kept.h"
#include "lib/wire.h"

struct vg_core;

/* VG_CMD_SANDBOX. What fails leaves the core in the namespaces where it was. */
int vg_sandbox_enter(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r);

#endif
