/* The stream of records to and from one daemon: vigil.h's header and payload, whole records out, whole records in. */
#ifndef VG_CHANNEL_H
#define VG_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/loop.h"
#include "lib/wire.h"
#include "vigil.h"

struct vg_channel_record;

struct vg_channel {
        int fd; /* owned; -1: closed */
        struct vg_source source;
        uint32_t epoch;
        uint64_t number; /* of the last record queued */
        STAILQ_HEAD(, vg_channel_record) out;
        size_t queued; /* bytes */
        uint8_t *in;
        size_t have, room;
        void *owner;
        /* A whole record. Less than 0: the daemon broke the protocol; nothing more is read. */
        int (*record)(void *owner, const struct vg_record_header *header, struct vg_bytes payload);
        /* The queue has run below VG_CHANNEL_HIGH. */
        void (*drained)(void *owner);
        /* Nothing more will come: 0 end of file, else -errno. May not free the channel. */
        void (*ended)(void *owner, int error);
};

/* Above it no more requests are queued and no commands are read: what is in flight stays bounded by what the other side takes. */
#define VG_CHANNEL_HIGH (4u << 20)

/* Starts a record in an empty writer: room for its header. */
void vg_record_begin(struct vg_writer *w);

/* Takes the descriptor over. Callbacks and owner must be set before. */
int vg_channel_open(struct vg_channel *channel, struct vg_loop *loop, int fd, uint32_t epoch);
/* Empties the writer whatever happens. -ENOMEM: the record is lost. */
int vg_channel_push(struct vg_channel *channel, enum vg_record type, struct vg_writer *w);
/* Reads what is there without waiting: the last words of a daemon that has died. */
void vg_channel_read_rest(struct vg_channel *channel);
/* No more reading and writing; the descriptor stays open until vg_channel_done(). */
void vg_channel_stop(struct vg_channel *channel);
void vg_channel_done(struct vg_channel *channel);

#endif
