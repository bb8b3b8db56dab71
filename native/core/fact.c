#include "core/fact.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"

void vg_fact_begin(struct vg_core *core, struct vg_writer *w, enum vg_fact kind) {
        vg_record_begin(w);
        vg_put_u64(w, core->facts.last + 1);
        vg_put_u8(w, (uint8_t)kind);
}

void vg_fact_record(struct vg_core *core, struct vg_writer *w) {
        struct vg_facts *facts = &core->facts;
        struct vg_bytes payload = {w->data + sizeof(struct vg_record_header), w->size - sizeof(struct vg_record_header)};
        struct vg_fact_entry *fact = w->error ? NULL : malloc(sizeof *fact + payload.size);
        if (!fact) {
                vg_log(&core->log, VG_LOG_ERROR, "fact lost", "error", strerror(ENOMEM), NULL);
                vg_writer_done(w);
                return;
        }
        int r = vg_journal_append(&core->journal, VG_JOURNAL_FACT, payload, true);
        if (r < 0) /* the daemon still learns of it; only the core's death would lose it */
                vg_log(&core->log, VG_LOG_ERROR, "fact not on disk", "error", strerror(-r), NULL);
        fact->seq = ++facts->last;
        fact->announced = false;
        fact->size = payload.size;
        memcpy(fact->payload, payload.data, payload.size);
        TAILQ_INSERT_TAIL(&facts->list, fact, link);
        facts->count++;
        facts->bytes += fact->size;
        vg_daemon_push(core, VG_REC_FACT, w);
        vg_compact_if_due(core);
}

bool vg_facts_crowded(const struct vg_facts *facts) {
        return facts->count >= VG_FACTS_MAX || facts->bytes >= VG_FACTS_BYTES_MAX;
}

struct vg_fact_entry *vg_fact_find(struct vg_facts *facts, uint64_t seq) {
        struct vg_fact_entry *fact;
        TAILQ_FOREACH(fact, &facts->list, link)
                if (fact->seq == seq)
                        return fact;
        return NULL;
}

void vg_facts_covered(struct vg_facts *facts, uint64_t through) {
        if (through > facts->through)
                facts->through = through;
        for (struct vg_fact_entry *fact; (fact = TAILQ_FIRST(&facts->list)) && fact->seq <= through;) {
                TAILQ_REMOVE(&facts->list, fact, link);
                facts->count--;
                facts->bytes -= fact->size;
                free(fact);
        }
}
