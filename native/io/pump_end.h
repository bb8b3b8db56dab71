/* One descriptor that a pump watches. */
#ifndef VG_PUMP_END_H
#define VG_PUMP_END_H

#include "core/loop.h"
#include "io/pump_flow.h"

/* A pty master is where one flow comes from and where another one goes to. */
struct vg_end {
        struct vg_source source;         /* the first member; its fd is owned */
        struct vg_flow *leaves, *enters; /* the flow that reads it; the flow that writes it */
};

/* Makes it non-blocking and has its edges reported to source.ready. 0 without a descriptor; 1 if it never makes anybody wait
 * and so has no edges: its flows are then told that it is ready. */
int vg_end_open(struct vg_loop *loop, struct vg_end *end);
/* For source.ready: tells the flows. */
void vg_end_note(struct vg_source *source, uint32_t events);
void vg_end_close(struct vg_end *end);

#endif
