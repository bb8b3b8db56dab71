/* What the daemon says: one handler a record type. */
#ifndef VG_COMMAND_H
#define VG_COMMAND_H

#include "lib/wire.h"
#include "vigil.h"

struct vg_core;

/* Less than 0: not what vigil.h allows; the daemon is to be ended. */
int vg_command_run(struct vg_core *core, const struct vg_record_header *header, struct vg_bytes payload);

#endif
