#include "core/kept.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"

void vg_result_send(struct vg_core *core, const char *key, const struct vg_result *result) {
        const char *message = result->message ? result->message : result->status < 0 ? strerror(-result->status) : "";
        struct vg_writer w = {0};
        vg_record_begin(&w);
        vg_put_str(&w, key);
        vg_put_u32(&w, (uint32_t)result->status);
        vg_put_u32(&w, result->op);
        vg_put_str(&w, message);
        vg_put_bytes(&w, result->data.data, result->data.size);
        vg_daemon_push(core, VG_REC_RESULT, &w);
}

static void kept_free(struct vg_core *core, struct vg_kept *k) {
        if (!k->dropped) {
                vg_map_remove(&core->keep.by_key, &k->by_key);
                TAILQ_REMOVE(&core->keep.list, k, link);
                core->keep.count--;
        }
        free(k->message);
        free(k);
}

void vg_kept_forget(struct vg_core *core, struct vg_kept *kept) {
        kept_free(core, kept);
}

static void kept_answer(struct vg_core *core, struct vg_kept *k) {
        struct vg_result result = {.status = k->status, .op = k->op, .message = k->message, .data = {k->data, k->size}};
        for (; k->asked > 0; k->asked--)
                vg_result_send(core, k->key, &result);
}

/* "KEY/step" belongs to KEY. */
static bool belongs_to(const char *key, const char *base) {
        size_t size = strlen(base);
        return strncmp(key, base, size) == 0 && (key[size] == 0 || key[size] == '/');
}

static bool has_owner(struct vg_core *core, const struct vg_kept *k) {
        char base[sizeof k->key];
        snprintf(base, sizeof base, "%s", k->key);
        for (char *slash;; *slash = 0) {
                if (vg_request_find(core, base))
                        return true;
                slash = strrchr(base, '/');
                if (!slash)
                        return false;
        }
}

static int make_room(struct vg_core *core) {
        if (core->keep.count < VG_KEPT_MAX)
                return 0;
        struct vg_kept *k;
        TAILQ_FOREACH(k, &core->keep.list, link)
                if (k->done && !has_owner(core, k)) {
                        kept_free(core, k);
                        return 0;
                }
        return -ENOBUFS;
}

static void ask(struct vg_core *core, struct vg_kept *k) {
        if (k->asked_epoch != core->daemon.epoch)
                k->asked = 0;
        k->asked_epoch = core->daemon.epoch;
        k->asked++;
        if (k->done)
                kept_answer(core, k);
}

int vg_kept_begin(struct vg_core *core, const char *key, struct vg_kept **ret_kept) {
        struct vg_map_entry *e = vg_map_find(&core->keep.by_key, key);
        if (e) {
                ask(core, VG_OWNER(e, struct vg_kept, by_key));
                return 1;
        }
        int r = make_room(core);
        if (r < 0)
                return r;
        struct vg_kept *k = calloc(1, sizeof *k);
        if (!k)
                return -ENOMEM;
        snprintf(k->key, sizeof k->key, "%s", key);
        r = vg_map_add(&core->keep.by_key, &k->by_key, k->key);
        if (r < 0) {
                free(k);
                return r;
        }
        TAILQ_INSERT_TAIL(&core->keep.list, k, link);
        core->keep.count++;
        ask(core, k);
        *ret_kept = k;
        return 0;
}

void vg_kept_done(struct vg_core *core, struct vg_kept *k, const struct vg_result *result) {
        k->done = true;
        k->status = result->status;
        k->op = result->op;
        if (result->message)
                k->message = strdup(result->message); /* NULL: strerror's words take its place */
        if (result->data.size > 0 && result->data.size <= sizeof k->data) {
                memcpy(k->data, result->data.data, result->data.size);
                k->size = result->data.size;
        }
        if (k->asked_epoch == core->daemon.epoch)
                kept_answer(core, k);
        k->asked = 0;
        if (k->dropped)
                kept_free(core, k);
}

void vg_kept_drop(struct vg_core *core, const char *key) {
        for (struct vg_kept *k = TAILQ_FIRST(&core->keep.list), *next; k; k = next) {
                next = TAILQ_NEXT(k, link);
                if (!belongs_to(k->key, key))
                        continue;
                if (k->done) {
                        kept_free(core, k);
                        continue;
                }
                vg_map_remove(&core->keep.by_key, &k->by_key);
                TAILQ_REMOVE(&core->keep.list, k, link);
                core->keep.count--;
                k->dropped = true;
        }
}

void vg_keep_done(struct vg_core *core) {
        for (struct vg_kept *k; (k = TAILQ_FIRST(&core->keep.list));)
                kept_free(core, k);
        vg_map_done(&core->keep.by_key);
}
