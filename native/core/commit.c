#include "core/commit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"

struct change {
        struct vg_state *state; /* made absent if it is new */
        bool present;
        struct vg_bytes blob;
        uint8_t *copy;
};

struct commit {
        struct change *changes;
        uint32_t n_changes;
        struct vg_outbox_entry **entries; /* NULL: its fact has been announced before */
        uint32_t n_entries;
        size_t bytes;
        uint64_t facts_through, first_seq;
        bool reply_present, finished;
        struct vg_bytes reply;
        struct vg_reply *kept;
};

static void commit_done(struct commit *c) {
        for (uint32_t i = 0; i < c->n_changes; i++)
                free(c->changes[i].copy);
        for (uint32_t i = 0; i < c->n_entries; i++)
                free(c->entries[i]);
        free(c->changes);
        free(c->entries);
        vg_reply_free(c->kept);
}
#define _cleanup_commit_ __attribute__((cleanup(commit_done)))

/* No item is shorter than its length words: a count beyond that is refused before memory is asked for. */
static bool count_is_possible(const struct vg_reader *r, uint32_t count, size_t least) {
        return !r->error && count <= (size_t)(r->end - r->at) / least;
}

static int read_states(struct vg_core *core, struct vg_reader *r, struct commit *c) {
        uint32_t n = vg_get_u32(r);
        if (!count_is_possible(r, n, 9))
                return -EBADMSG;
        c->changes = calloc(n + 1, sizeof *c->changes);
        if (!c->changes)
                return -ENOMEM;
        for (; c->n_changes < n; c->n_changes++) {
                struct change *change = &c->changes[c->n_changes];
                _cleanup_free_ char *container = vg_get_str(r);
                change->present = vg_get_u8(r);
                change->blob = vg_get_bytes(r);
                if (r->error)
                        return r->error;
                int q = vg_store_state(&core->store, container, &change->state);
                if (q < 0)
                        return q;
                if (!change->present)
                        continue;
                change->copy = malloc(change->blob.size + 1);
                if (!change->copy)
                        return -ENOMEM;
                memcpy(change->copy, change->blob.data, change->blob.size);
        }
        return 0;
}

/* A fact that is covered, or whose event is in the outbox already, has been announced: a daemon that came after the one which
 * did it says it again. Its number stays unused. */
static int read_entry(struct vg_core *core, struct vg_reader *r, struct commit *c) {
        uint64_t seq = vg_get_u64(r);
        struct vg_bytes bytes = vg_get_bytes(r);
        if (r->error)
                return r->error;
        if (seq > core->facts.last)
                return -EINVAL;
        if (seq > 0) {
                const struct vg_fact_entry *fact = vg_fact_find(&core->facts, seq);
                if (!fact || fact->announced)
                        return 0;
        }
        struct vg_outbox_entry *entry = vg_outbox_entry_new(seq, bytes);
        if (!entry)
                return -ENOMEM;
        entry->seq = c->first_seq + c->n_entries;
        c->entries[c->n_entries] = entry;
        c->bytes += bytes.size;
        return 0;
}

static int read_outbox(struct vg_core *core, struct vg_reader *r, struct commit *c) {
        uint32_t n = vg_get_u32(r);
        if (!count_is_possible(r, n, 12))
                return -EBADMSG;
        c->entries = calloc(n + 1, sizeof(struct vg_outbox_entry *));
        if (!c->entries)
                return -ENOMEM;
        c->first_seq = core->store.last_seq + 1;
        for (; c->n_entries < n; c->n_entries++) {
                int q = read_entry(core, r, c);
                if (q < 0)
                        return q;
        }
        return 0;
}

static int read_commit(struct vg_core *core, const char *key, struct vg_reader *r, struct commit *c) {
        int q = read_states(core, r, c);
        if (q == 0)
                q = read_outbox(core, r, c);
        if (q < 0)
                return q;
        c->facts_through = vg_get_u64(r);
        c->reply_present = vg_get_u8(r);
        c->reply = vg_get_bytes(r);
        c->finished = vg_get_u8(r);
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        if (c->facts_through > core->facts.last)
                return -EINVAL;
        if (core->store.outbox_count + c->n_entries > VG_OUTBOX_MAX || core->store.outbox_bytes + c->bytes > VG_OUTBOX_BYTES_MAX)
                return -ENOBUFS;
        if (c->reply_present && strncmp(key, "g:", 2) == 0 && !(c->kept = vg_reply_new(key, c->reply)))
                return -ENOMEM;
        return 0;
}

/* The reply is not in it: it never outlives the core, whose connections and daemons end with it. */
static int journal(struct vg_core *core, const char *key, const struct commit *c) {
        _cleanup_writer_ struct vg_writer w = {0};
        vg_put_str(&w, key);
        vg_put_u64(&w, c->facts_through);
        vg_put_u64(&w, core->store.last_seq + c->n_entries);
        vg_put_u32(&w, c->n_changes);
        for (uint32_t i = 0; i < c->n_changes; i++) {
                vg_put_str(&w, c->changes[i].state->container);
                vg_put_u8(&w, c->changes[i].present);
                vg_put_bytes(&w, c->changes[i].blob.data, c->changes[i].blob.size);
        }
        size_t slot = vg_put_slot(&w);
        uint32_t written = 0;
        for (uint32_t i = 0; i < c->n_entries; i++) {
                const struct vg_outbox_entry *entry = c->entries[i];
                if (!entry)
                        continue;
                vg_put_u64(&w, entry->seq);
                vg_put_u64(&w, entry->fact);
                vg_put_bytes(&w, entry->data, entry->size);
                written++;
        }
        vg_patch_u32(&w, slot, written);
        vg_put_u8(&w, c->finished);
        return w.error ? w.error : vg_journal_append(&core->journal, VG_JOURNAL_COMMIT, (struct vg_bytes){w.data, w.size}, false);
}

/* A state that is new and whose commit failed, or that was dropped: out of the table. */
static void forget_absent(struct vg_core *core, struct commit *c) {
        for (uint32_t i = 0; i < c->n_changes; i++) {
                struct vg_state *state = c->changes[i].state;
                if (!state || state->present)
                        continue;
                for (uint32_t k = i; k < c->n_changes; k++) /* the same container twice in one commit */
                        if (c->changes[k].state == state && k > i)
                                c->changes[k].state = NULL;
                c->changes[i].state = NULL;
                vg_store_forget(&core->store, state);
        }
}

static void apply(struct vg_core *core, struct commit *c) {
        for (uint32_t i = 0; i < c->n_changes; i++) {
                struct change *change = &c->changes[i];
                free(change->state->blob);
                change->state->blob = TAKE_PTR(change->copy);
                change->state->size = change->present ? change->blob.size : 0;
                change->state->present = change->present;
        }
        for (uint32_t i = 0; i < c->n_entries; i++) {
                struct vg_outbox_entry *entry = TAKE_PTR(c->entries[i]);
                if (!entry)
                        continue;
                struct vg_fact_entry *fact = entry->fact ? vg_fact_find(&core->facts, entry->fact) : NULL;
                if (fact)
                        fact->announced = true;
                vg_store_push(&core->store, entry);
        }
        core->store.last_seq += c->n_entries;
        if (c->facts_through > 0)
                vg_facts_covered(&core->facts, c->facts_through);
        if (c->kept)
                vg_store_keep(&core->store, TAKE_PTR(c->kept));
}

static void finish(struct vg_core *core, const char *key, const struct commit *c) {
        struct vg_request *q = vg_request_find(core, key);
        if (q && c->reply_present)
                vg_request_answer(core, q, c->reply);
        else if (q && c->finished)
                vg_request_refuse(core, q, VG_CODE_INTERNAL, "the request ended without an answer");
        if (c->finished)
                vg_kept_drop(core, key);
}

int vg_commit_run(struct vg_core *core, const char *key, struct vg_reader *r) {
        _cleanup_commit_ struct commit c = {0};
        int q = read_commit(core, key, r, &c);
        if (q == 0)
                q = journal(core, key, &c);
        if (q < 0) {
                forget_absent(core, &c);
                if (q == -EBADMSG)
                        return q;
                const char *words = q == -EINVAL ? "the commit speaks of a fact that never was" : NULL;
                vg_result_send(core, key, &(struct vg_result){.status = q, .message = words});
                vg_log(&core->log, VG_LOG_WARNING, "commit refused", "key", key, "error", strerror(-q), NULL);
                return 0;
        }
        apply(core, &c);
        forget_absent(core, &c);
        struct vg_writer w = {0};
        vg_record_begin(&w);
        vg_put_str(&w, key);
        vg_put_u64(&w, c.first_seq);
        vg_daemon_push(core, VG_REC_COMMITTED, &w);
        finish(core, key, &c);
        vg_compact_if_due(core);
        return 0;
}

void vg_commit_reply(struct vg_core *core, const char *key, struct vg_bytes reply) {
        struct vg_request *q = vg_request_find(core, key);
        if (q)
                vg_request_answer(core, q, reply);
        vg_kept_drop(core, key);
}
