#include "core/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

void vg_store_init(struct vg_store *s) {
        *s = (struct vg_store){0};
        TAILQ_INIT(&s->outbox);
        TAILQ_INIT(&s->replies);
}

int vg_store_state(struct vg_store *s, const char *container, struct vg_state **ret_state) {
        struct vg_map_entry *e = vg_map_find(&s->states, container);
        if (e) {
                *ret_state = VG_OWNER(e, struct vg_state, by_container);
                return 0;
        }
        _cleanup_free_ struct vg_state *state = calloc(1, sizeof *state);
        _cleanup_free_ char *name = strdup(container);
        if (!state || !name)
                return -ENOMEM;
        int r = vg_map_add(&s->states, &state->by_container, name);
        if (r < 0)
                return r;
        state->container = TAKE_PTR(name);
        *ret_state = TAKE_PTR(state);
        return 0;
}

void vg_store_forget(struct vg_store *s, struct vg_state *state) {
        vg_map_remove(&s->states, &state->by_container);
        free(state->container);
        free(state->blob);
        free(state);
}

struct vg_outbox_entry *vg_outbox_entry_new(uint64_t fact, struct vg_bytes entry) {
        struct vg_outbox_entry *e = malloc(sizeof *e + entry.size);
        if (!e)
                return NULL;
        e->seq = 0;
        e->fact = fact;
        e->size = entry.size;
        memcpy(e->data, entry.data, entry.size);
        return e;
}

void vg_store_push(struct vg_store *s, struct vg_outbox_entry *entry) {
        TAILQ_INSERT_TAIL(&s->outbox, entry, link);
        s->outbox_count++;
        s->outbox_bytes += entry->size;
}

void vg_store_delivered(struct vg_store *s, uint64_t seq) {
        if (seq > s->delivered)
                s->delivered = seq;
        for (struct vg_outbox_entry *e; (e = TAILQ_FIRST(&s->outbox)) && e->seq <= seq;) {
                TAILQ_REMOVE(&s->outbox, e, link);
                s->outbox_count--;
                s->outbox_bytes -= e->size;
                free(e);
        }
}

struct vg_reply *vg_reply_new(const char *key, struct vg_bytes data) {
        struct vg_reply *reply = malloc(sizeof *reply + strlen(key) + 1);
        uint8_t *copy = malloc(data.size + 1);
        if (!reply || !copy) {
                free(reply);
                free(copy);
                return NULL;
        }
        memcpy(copy, data.data, data.size);
        reply->size = data.size;
        reply->data = copy;
        strcpy(reply->key, key);
        return reply;
}

void vg_reply_free(struct vg_reply *reply) {
        if (reply)
                free(reply->data);
        free(reply);
}

static void reply_remove(struct vg_store *s, struct vg_reply *reply) {
        TAILQ_REMOVE(&s->replies, reply, link);
        s->replies_count--;
        vg_reply_free(reply);
}

void vg_store_keep(struct vg_store *s, struct vg_reply *reply) {
        struct vg_reply *old;
        TAILQ_FOREACH(old, &s->replies, link)
                if (strcmp(old->key, reply->key) == 0)
                        break;
        if (old)
                reply_remove(s, old);
        else if (s->replies_count == VG_KEPT_REPLIES_MAX)
                reply_remove(s, TAILQ_FIRST(&s->replies));
        TAILQ_INSERT_TAIL(&s->replies, reply, link);
        s->replies_count++;
}

void vg_store_done(struct vg_store *s) {
        for (struct vg_map_entry *e; (e = vg_map_any(&s->states));)
                vg_store_forget(s, VG_OWNER(e, struct vg_state, by_container));
        vg_map_done(&s->states);
        vg_store_delivered(s, UINT64_MAX);
        while (!TAILQ_EMPTY(&s->replies))
                reply_remove(s, TAILQ_FIRST(&s->replies));
}
