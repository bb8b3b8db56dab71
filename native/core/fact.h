/* Facts: numbered, on disk before anything else sees them, kept until a commit covers them. */
#ifndef VG_FACT_H
#define VG_FACT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/wire.h"
#include "vigil.h"

struct vg_core;

struct vg_fact_entry {
        TAILQ_ENTRY(vg_fact_entry) link;
        uint64_t seq;
        bool announced; /* an outbox entry for it has been committed */
        size_t size;
        uint8_t payload[];
};

TAILQ_HEAD(vg_fact_list, vg_fact_entry);

struct vg_facts {
        struct vg_fact_list list;
        uint64_t last, through; /* through: all up to it are covered */
        size_t count, bytes;
};

/* Exits are bounded by the processes there are; OOM readings are not: beyond this they are summed up (container.c). */
#define VG_FACTS_MAX 4096
#define VG_FACTS_BYTES_MAX (16u << 20)

/* Starts the payload in an empty writer. The matching vg_fact_record() must follow before any other fact. */
void vg_fact_begin(struct vg_core *core, struct vg_writer *w, enum vg_fact kind);
/* Journal, list, daemon, in this order. Empties the writer. */
void vg_fact_record(struct vg_core *core, struct vg_writer *w);
bool vg_facts_crowded(const struct vg_facts *facts);
struct vg_fact_entry *vg_fact_find(struct vg_facts *facts, uint64_t seq);
void vg_facts_covered(struct vg_facts *facts, uint64_t through);

#endif
