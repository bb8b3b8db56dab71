/* The streams of a process before it is born: opened in the birth helper, where an open may block. */
#ifndef VG_IO_OPEN_H
#define VG_IO_OPEN_H

#include <sys/types.h>

#include "io/pump.h"
#include "runtime/failure.h"
#include "runtime/runtime.h"

struct vg_streams {
        struct vg_stream_fds fds; /* for the core; `pty` and `logger` stay -1 */
        int container[3];         /* what the process gets as 0, 1, 2 */
        pid_t logger;             /* 0: none */
        int logger_pidfd;
};

/* Everything opened in at most io_timeout_ms; -ETIMEDOUT then. On failure nothing is left, the logger included. */
int vg_streams_open(const struct vg_birth *birth, struct vg_streams *ret_streams, struct vg_failure *failure);
/* Closes what the core has got by now. */
void vg_streams_close_core_ends(struct vg_streams *streams);
/* Closes everything and ends the logger. */
void vg_streams_done(struct vg_streams *streams);

#endif
