/* What a new daemon is told first: HELLO, STATE*, KEPT*, OUTBOX*, FACT*, REQUEST*, SYNCED. */
#ifndef VG_HANDOVER_H
#define VG_HANDOVER_H

struct vg_core;

void vg_handover(struct vg_core *core);

#endif
