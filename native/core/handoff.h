/* HTTP/2 connections on their way to the daemon: each waits here until one is ready to take it. */
#ifndef VG_HANDOFF_H
#define VG_HANDOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct vg_core;
struct vg_handoff;

struct vg_handoffs {
        STAILQ_HEAD(, vg_handoff) waiting;
        size_t count;
        uint64_t last_tag;
};

/* Beyond it a connection is closed, which an HTTP/2 client takes as "try again". */
#define VG_HANDOFFS_MAX 256

/* Takes the descriptor over. */
void vg_handoff_add(struct vg_core *core, int fd);
/* Sends what the daemon's socket takes; true when some still wait. */
bool vg_handoffs_feed(struct vg_core *core, int fds_socket);
/* Closes those that wait. */
void vg_handoffs_done(struct vg_core *core);

#endif
