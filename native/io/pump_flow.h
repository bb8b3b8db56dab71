/* Bytes from one descriptor to another, both non-blocking and watched edge-triggered. */
#ifndef VG_PUMP_FLOW_H
#define VG_PUMP_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vg_flow {
        int from; /* borrowed; -1: only what is in the buffer is still to go */
        int to;   /* borrowed; -1: what comes is dropped */
        /* Set by an edge of epoll, cleared when the kernel says "would block". */
        bool from_ready, to_ready;
        bool splices; /* between pipes: much at once does not pass through this process */
        bool to_file; /* a full disk loses output instead of ending the container */
        uint8_t *buffer;
        size_t start, end;
        uint8_t last; /* the byte handed on last (not kept when it was spliced) */
};

enum vg_flow_state {
        VG_FLOW_WAITS,     /* for an edge */
        VG_FLOW_MORE,      /* the budget is used up: run it again after everybody else had a turn */
        VG_FLOW_ENDED,     /* end of file, and everything before it was handed on */
        VG_FLOW_FROM_HUNG, /* EIO of a pty master: no slave is open */
        VG_FLOW_TO_HUNG,   /* the same, when written to; the bytes are kept */
        VG_FLOW_BROKEN,    /* nobody will ever read it; what was under way is lost */
};

int vg_flow_init(struct vg_flow *flow, int from, int to);
enum vg_flow_state vg_flow_run(struct vg_flow *flow, size_t budget);
/* The source has ended and the sink is a terminal: what is still to go is what a person would type to say so. -ENOTSUP: the
 * terminal has no such character. */
int vg_flow_type_end(struct vg_flow *flow);
/* From now on what comes is dropped, and what is in the buffer, too. */
void vg_flow_drop(struct vg_flow *flow);
void vg_flow_done(struct vg_flow *flow);

#endif
