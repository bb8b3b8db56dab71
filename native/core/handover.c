#include "core/handover.h"

#include <unistd.h>

#include "core/core.h"

static void hello(struct vg_core *core) {
        const struct vg_config *c = &core->config;
        struct vg_writer w = {0};
        vg_record_begin(&w);
        vg_put_u32(&w, VG_ABI_VERSION);
        vg_put_str(&w, c->boot_id);
        vg_put_u32(&w, core->daemon.epoch);
        vg_put_str(&w, c->namespace);
        vg_put_str(&w, c->group);
        vg_put_str(&w, c->ttrpc_address);
        vg_put_str(&w, c->address);
        vg_put_str(&w, c->containerd_binary);
        vg_put_str(&w, c->bundle);
        vg_put_str(&w, c->state_dir);
        vg_put_u64(&w, c->birth_real);
        vg_put_u32(&w, core->daemon.epoch - 1); /* restarts so far */
        vg_put_u32(&w, (uint32_t)getpid());
        vg_put_str(&w, c->socket);
        vg_put_bytes(&w, c->options, c->options_size);
        vg_put_u8(&w, c->debug);
        vg_daemon_push(core, VG_REC_HELLO, &w);
}

static void states(struct vg_core *core) {
        for (struct vg_map_entry *e = NULL; (e = vg_map_next(&core->store.states, e));) {
                const struct vg_state *state = VG_OWNER(e, struct vg_state, by_container);
                if (!state->present)
                        continue;
                struct vg_writer w = {0};
                vg_record_begin(&w);
                vg_put_str(&w, state->container);
                vg_put_bytes(&w, state->blob, state->size);
                vg_daemon_push(core, VG_REC_STATE, &w);
        }
}

static void kept_replies(struct vg_core *core) {
        const struct vg_reply *reply;
        TAILQ_FOREACH(reply, &core->store.replies, link) {
                struct vg_writer w = {0};
                vg_record_begin(&w);
                vg_put_str(&w, reply->key);
                vg_put_bytes(&w, reply->data, reply->size);
                vg_daemon_push(core, VG_REC_KEPT, &w);
        }
}

static void outbox(struct vg_core *core) {
        const struct vg_outbox_entry *entry;
        TAILQ_FOREACH(entry, &core->store.outbox, link) {
                struct vg_writer w = {0};
                vg_record_begin(&w);
                vg_put_u64(&w, entry->seq);
                vg_put_u64(&w, entry->fact);
                vg_put_bytes(&w, entry->data, entry->size);
                vg_daemon_push(core, VG_REC_OUTBOX, &w);
        }
}

static void facts(struct vg_core *core) {
        const struct vg_fact_entry *fact;
        TAILQ_FOREACH(fact, &core->facts.list, link) {
                struct vg_writer w = {0};
                vg_record_begin(&w);
                vg_put_raw(&w, fact->payload, fact->size);
                vg_daemon_push(core, VG_REC_FACT, &w);
        }
}

void vg_handover(struct vg_core *core) {
        hello(core);
        states(core);
        kept_replies(core);
        outbox(core);
        facts(core);
        vg_requests_feed(core, true);
        struct vg_writer w = {0};
        vg_record_begin(&w);
        vg_daemon_push(core, VG_REC_SYNCED, &w);
}
