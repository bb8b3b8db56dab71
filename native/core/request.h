/* The unanswered requests, by key: what a new daemon is given again. */
#ifndef VG_REQUEST_H
#define VG_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/map.h"
#include "core/status.h"
#include "lib/wire.h"
#include "vigil.h"

struct vg_core;
struct vg_connection;

struct vg_request {
        struct vg_map_entry by_key;
        TAILQ_ENTRY(vg_request) link;
        char key[VG_KEY_MAX + 1];
        struct vg_connection *connection; /* NULL: closed, or a held gRPC request */
        uint64_t connection_id;
        uint32_t stream;
        uint64_t arrived;    /* CLOCK_MONOTONIC */
        uint32_t deliveries; /* to daemons that took what they were given, the present one included */
        uint32_t deaths;     /* of those, while it was not parked */
        bool sent;           /* to the present daemon */
        bool begun, parked;
        /* Its connection closed before it had begun. The daemon may have begun it meanwhile, which is certain only once it has
         * taken the CLOSED record of this number. */
        uint64_t closing;
        size_t size;
        uint8_t *data;
};

TAILQ_HEAD(vg_request_list, vg_request);

struct vg_requests {
        struct vg_map by_key;
        struct vg_request_list sent, waiting, closing; /* in the order of arrival */
        size_t bytes;
};

/* Of all connections together. */
#define VG_ALL_REQUEST_BYTES_MAX (64u << 20)
/* The daemon death over one request that answers it. */
#define VG_POISON_DEATHS 3

/* Takes the data over; answers what is beyond the limits. */
void vg_request_arrived(struct vg_core *core, struct vg_connection *connection, uint32_t stream, uint8_t *data, size_t size);
/* VG_CMD_HOLD. */
int vg_request_hold(struct vg_core *core, const char *key, struct vg_bytes data);
struct vg_request *vg_request_find(struct vg_core *core, const char *key);
void vg_request_begin(struct vg_core *core, struct vg_request *request);
void vg_request_park(struct vg_core *core, struct vg_request *request);
/* Answered from here on, whatever becomes of the bytes. Frees the request. */
void vg_request_answer(struct vg_core *core, struct vg_request *request, struct vg_bytes response);
void vg_request_refuse(struct vg_core *core, struct vg_request *request, enum vg_code code, const char *message);

void vg_requests_closed(struct vg_core *core, struct vg_connection *connection);
/* Gives the daemon what it has room for; `all`: the hand-over, which is bounded by the table. */
void vg_requests_feed(struct vg_core *core, bool all);
void vg_requests_receipt(struct vg_core *core, uint64_t number);
/* `blame`: the daemon had taken what it was given, so one of these may have killed it. */
void vg_requests_daemon_died(struct vg_core *core, bool blame);
/* No daemon can be started: everybody is told so; what has begun is finished later without its caller. */
void vg_requests_unavailable(struct vg_core *core);
void vg_requests_done(struct vg_core *core);

#endif
