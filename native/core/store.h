/* What commits have made true: the state of each container, the events not yet delivered, the replies kept for gRPC retries. */
#ifndef VG_STORE_H
#define VG_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/map.h"
#include "lib/wire.h"
#include "vigil.h"

struct vg_state {
        struct vg_map_entry by_container;
        char *container;
        bool present; /* false: nothing committed yet */
        size_t size;
        uint8_t *blob;
};

struct vg_outbox_entry {
        TAILQ_ENTRY(vg_outbox_entry) link;
        uint64_t seq, fact;
        size_t size;
        uint8_t data[];
};

struct vg_reply {
        TAILQ_ENTRY(vg_reply) link;
        size_t size;
        uint8_t *data;
        char key[];
};

TAILQ_HEAD(vg_outbox_list, vg_outbox_entry);

struct vg_store {
        struct vg_map states;
        struct vg_outbox_list outbox;
        uint64_t last_seq, delivered;
        size_t outbox_count, outbox_bytes;
        TAILQ_HEAD(, vg_reply) replies; /* the oldest first */
        size_t replies_count;
};

/* A commit whose events do not fit below is refused with -ENOBUFS: nobody has taken events for a very long time. */
#define VG_OUTBOX_MAX 65536
#define VG_OUTBOX_BYTES_MAX (64u << 20)

void vg_store_init(struct vg_store *store);
/* Finds the container's state or makes an absent one. */
int vg_store_state(struct vg_store *store, const char *container, struct vg_state **ret_state);
void vg_store_forget(struct vg_store *store, struct vg_state *state);
struct vg_outbox_entry *vg_outbox_entry_new(uint64_t fact, struct vg_bytes entry);
void vg_store_push(struct vg_store *store, struct vg_outbox_entry *entry);
void vg_store_delivered(struct vg_store *store, uint64_t seq);
struct vg_reply *vg_reply_new(const char *key, struct vg_bytes data);
void vg_reply_free(struct vg_reply *reply);
/* Takes it over; the oldest beyond VG_KEPT_REPLIES_MAX goes, as does one with the same key. */
void vg_store_keep(struct vg_store *store, struct vg_reply *reply);
void vg_store_done(struct vg_store *store);

#endif
