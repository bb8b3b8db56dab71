#include "core/compact.h"

#include <string.h>
#include <unistd.h>

#include "core/core.h"

static int append(struct vg_journal *j, enum vg_journal_type type, struct vg_writer *w) {
        int r = w->error ? w->error : vg_journal_append(j, type, (struct vg_bytes){w->data, w->size}, false);
        vg_writer_done(w);
        return r;
}

static int write_header(const struct vg_core *core, struct vg_journal *j) {
        struct vg_writer w = {0};
        vg_put_u32(&w, VG_JOURNAL_VERSION);
        vg_put_str(&w, core->config.boot_id);
        vg_put_str(&w, core->config.namespace);
        vg_put_str(&w, core->config.group);
        vg_put_u64(&w, core->config.birth_real);
        vg_put_u64(&w, core->facts.through);
        /* The facts that follow raise it again. */
        vg_put_u64(&w, core->facts.last);
        vg_put_u64(&w, core->store.delivered);
        vg_put_u64(&w, core->store.last_seq);
        return append(j, VG_JOURNAL_HEADER, &w);
}

/* A commit with one state or one outbox entry and nothing else: no entry of the journal outgrows a record this way. */
static int write_state(struct vg_journal *j, const struct vg_state *state) {
        struct vg_writer w = {0};
        vg_put_str(&w, "");
        vg_put_u64(&w, 0);
        vg_put_u64(&w, 0);
        vg_put_u32(&w, 1);
        vg_put_str(&w, state->container);
        vg_put_u8(&w, 1);
        vg_put_bytes(&w, state->blob, state->size);
        vg_put_u32(&w, 0);
        vg_put_u8(&w, 0);
        return append(j, VG_JOURNAL_COMMIT, &w);
}

static int write_outbox_entry(struct vg_journal *j, const struct vg_outbox_entry *entry) {
        struct vg_writer w = {0};
        vg_put_str(&w, "");
        vg_put_u64(&w, 0);
        vg_put_u64(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 1);
        vg_put_u64(&w, entry->seq);
        vg_put_u64(&w, entry->fact);
        vg_put_bytes(&w, entry->data, entry->size);
        vg_put_u8(&w, 0);
        return append(j, VG_JOURNAL_COMMIT, &w);
}

static int write_live(struct vg_core *core, struct vg_journal *j) {
        int r = write_header(core, j);
        if (r == 0)
                r = vg_containers_journal(core, j);
        for (struct vg_map_entry *e = NULL; r == 0 && (e = vg_map_next(&core->store.states, e));) {
                struct vg_state *state = VG_OWNER(e, struct vg_state, by_container);
                if (state->present)
                        r = write_state(j, state);
        }
        struct vg_outbox_entry *entry;
        TAILQ_FOREACH(entry, &core->store.outbox, link)
                if (r == 0)
                        r = write_outbox_entry(j, entry);
        struct vg_fact_entry *fact;
        TAILQ_FOREACH(fact, &core->facts.list, link)
                if (r == 0)
                        r = vg_journal_append(j, VG_JOURNAL_FACT, (struct vg_bytes){fact->payload, fact->size}, true);
        return r;
}

int vg_journal_begin(struct vg_core *core) {
        int r = vg_journal_create(core->state_directory, "journal", &core->journal);
        return r < 0 ? r : write_header(core, &core->journal);
}

void vg_compact_if_due(struct vg_core *core) {
        struct vg_journal *j = &core->journal, next;
        if (j->fd < 0 || j->used < j->compact_at)
                return;
        uint64_t size = j->used;
        unlinkat(core->state_directory, "journal.new", 0);
        int r = vg_journal_create(core->state_directory, "journal.new", &next);
        if (r == 0) {
                r = write_live(core, &next);
                if (r == 0) {
                        r = vg_journal_replace(j, "journal", &next, "journal.new");
                } else {
                        vg_journal_done(&next);
                        unlinkat(core->state_directory, "journal.new", 0);
                }
        }
        if (r < 0) {
                j->compact_at = size + size / 2;
                vg_log(&core->log, VG_LOG_WARNING, "journal not compacted, it grows on", "error", strerror(-r), NULL);
        }
}
