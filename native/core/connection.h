/* One accepted connection: looks at its first byte, then speaks ttrpc itself or gives the descriptor to the daemon. */
#ifndef VG_CONNECTION_H
#define VG_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/frame.h"
#include "core/loop.h"
#include "core/status.h"
#include "lib/wire.h"

struct vg_core;
struct vg_out_frame;

struct vg_connection {
        TAILQ_ENTRY(vg_connection) link;
        struct vg_core *core;
        uint64_t id; /* counts up over the life of the core: never used again */
        int fd;
        struct vg_source source;
        struct vg_timer end; /* frees it once nobody on the stack can hold it */
        bool is_ttrpc, ended;
        struct vg_frame_reader reader;
        uint32_t last_stream;
        STAILQ_HEAD(, vg_out_frame) out;
        size_t out_bytes;
        size_t requests, request_bytes; /* unanswered */
};

struct vg_connections {
        TAILQ_HEAD(, vg_connection) list;
        size_t count;
        uint64_t last_id;
};

#define VG_CONNECTIONS_MAX 1024
/* A reader that lets more replies than this lie loses its connection. */
#define VG_REPLY_BYTES_MAX (16u << 20)

/* Takes the descriptor over. */
int vg_connection_new(struct vg_core *core, int fd);
/* Queues one whole response frame; what cannot be queued ends the connection. */
void vg_connection_respond(struct vg_connection *connection, uint32_t stream, struct vg_bytes response);
void vg_connection_refuse(struct vg_connection *connection, uint32_t stream, enum vg_code code, const char *message);
/* True when some reply is still on its way out. */
bool vg_connections_flushing(const struct vg_core *core);
void vg_connection_end(struct vg_connection *connection);
void vg_connections_done(struct vg_core *core);

#endif
