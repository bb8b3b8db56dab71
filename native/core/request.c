#include "core/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"

static void request_free(struct vg_core *core, struct vg_request *q) {
        struct vg_requests *all = &core->requests;
        TAILQ_REMOVE(q->closing ? &all->closing : q->sent ? &all->sent : &all->waiting, q, link);
        vg_map_remove(&all->by_key, &q->by_key);
        all->bytes -= q->size;
        if (q->connection) {
                q->connection->requests--;
                q->connection->request_bytes -= q->size;
        }
        free(q->data);
        free(q);
}

static int request_add(struct vg_core *core, struct vg_request *q) {
        int r = vg_map_add(&core->requests.by_key, &q->by_key, q->key);
        if (r < 0)
                return r;
        TAILQ_INSERT_TAIL(&core->requests.waiting, q, link);
        core->requests.bytes += q->size;
        return 0;
}

static const char *over_limit(struct vg_core *core, const struct vg_connection *c, size_t size) {
        if (c->requests >= VG_REQUESTS_MAX)
                return "too many unanswered requests on this connection";
        if (c->request_bytes + size > VG_REQUEST_BYTES_MAX || core->requests.bytes + size > VG_ALL_REQUEST_BYTES_MAX)
                return "too many bytes of unanswered requests";
        return NULL;
}

void vg_request_arrived(struct vg_core *core, struct vg_connection *c, uint32_t stream, uint8_t *data, size_t size) {
        _cleanup_free_ uint8_t *owned = data;
        if (core->unavailable) {
                vg_connection_refuse(c, stream, VG_CODE_UNAVAILABLE, core->unavailable);
                return;
        }
        const char *limit = over_limit(core, c, size);
        if (limit) {
                vg_connection_refuse(c, stream, VG_CODE_RESOURCE_EXHAUSTED, limit);
                return;
        }
        _cleanup_free_ struct vg_request *q = calloc(1, sizeof *q);
        if (q) {
                q->connection_id = c->id;
                q->stream = stream;
                q->arrived = vg_now_mono();
                q->data = data;
                q->size = size;
                snprintf(q->key, sizeof q->key, "t:%s:%llu:%u", core->config.boot_id, (unsigned long long)c->id, stream);
        }
        if (!q || request_add(core, q) < 0) {
                vg_connection_refuse(c, stream, VG_CODE_RESOURCE_EXHAUSTED, "out of memory");
                return;
        }
        TAKE_PTR(owned);
        q->connection = c;
        c->requests++;
        c->request_bytes += size;
        TAKE_PTR(q);
        vg_daemon_feed(core);
}

/* The daemon that holds it has it: it counts as sent and as begun. */
int vg_request_hold(struct vg_core *core, const char *key, struct vg_bytes data) {
        if (vg_request_find(core, key))
                return 0;
        if (core->requests.bytes + data.size > VG_ALL_REQUEST_BYTES_MAX)
                return -ENOBUFS;
        _cleanup_free_ uint8_t *copy = malloc(data.size + 1);
        _cleanup_free_ struct vg_request *q = calloc(1, sizeof *q);
        if (!copy || !q)
                return -ENOMEM;
        memcpy(copy, data.data, data.size);
        snprintf(q->key, sizeof q->key, "%s", key);
        q->arrived = vg_now_mono();
        q->begun = true;
        q->size = data.size;
        q->data = copy;
        int r = request_add(core, q);
        if (r < 0)
                return r;
        TAILQ_REMOVE(&core->requests.waiting, q, link);
        TAILQ_INSERT_TAIL(&core->requests.sent, q, link);
        q->sent = true;
        q->deliveries = 1;
        TAKE_PTR(copy);
        TAKE_PTR(q);
        return 0;
}

struct vg_request *vg_request_find(struct vg_core *core, const char *key) {
        struct vg_map_entry *e = vg_map_find(&core->requests.by_key, key);
        return e ? VG_OWNER(e, struct vg_request, by_key) : NULL;
}

void vg_request_begin(struct vg_core *core, struct vg_request *q) {
        q->begun = true;
        q->parked = false;
        if (!q->closing)
                return;
        TAILQ_REMOVE(&core->requests.closing, q, link);
        TAILQ_INSERT_TAIL(&core->requests.sent, q, link);
        q->closing = 0;
}

void vg_request_park(struct vg_core *core, struct vg_request *q) {
        if (q->closing || !q->connection)
                request_free(core, q);
        else
                q->parked = true;
}

void vg_request_answer(struct vg_core *core, struct vg_request *q, struct vg_bytes response) {
        struct vg_connection *c = q->connection;
        uint32_t stream = q->stream;
        request_free(core, q);
        if (c)
                vg_connection_respond(c, stream, response);
}

void vg_request_refuse(struct vg_core *core, struct vg_request *q, enum vg_code code, const char *message) {
        struct vg_connection *c = q->connection;
        uint32_t stream = q->stream;
        request_free(core, q);
        if (c)
                vg_connection_refuse(c, stream, code, message);
}

static void closed_in(struct vg_core *core, struct vg_request_list *list, struct vg_connection *c, uint64_t record) {
        for (struct vg_request *q = TAILQ_FIRST(list), *next; q; q = next) {
                next = TAILQ_NEXT(q, link);
                if (q->connection != c)
                        continue;
                q->connection = NULL;
                if (q->begun)
                        continue;
                if (q->parked || !q->sent || record == 0) {
                        request_free(core, q);
                        continue;
                }
                TAILQ_REMOVE(list, q, link);
                TAILQ_INSERT_TAIL(&core->requests.closing, q, link);
                q->closing = record;
        }
}

void vg_requests_closed(struct vg_core *core, struct vg_connection *c) {
        uint64_t record = 0;
        if (c->is_ttrpc) {
                struct vg_writer w = {0};
                vg_record_begin(&w);
                vg_put_u64(&w, c->id);
                record = vg_daemon_push(core, VG_REC_CLOSED, &w);
        }
        closed_in(core, &core->requests.sent, c, record);
        closed_in(core, &core->requests.waiting, c, record);
}

static void request_push(struct vg_core *core, struct vg_request *q) {
        struct vg_writer w = {0};
        q->deliveries++;
        vg_record_begin(&w);
        vg_put_str(&w, q->key);
        vg_put_u64(&w, q->connection_id);
        vg_put_u64(&w, vg_now_mono() - q->arrived);
        vg_put_u32(&w, q->deliveries);
        vg_put_u8(&w, q->begun);
        vg_put_bytes(&w, q->data, q->size);
        vg_daemon_push(core, VG_REC_REQUEST, &w);
}

void vg_requests_feed(struct vg_core *core, bool all) {
        struct vg_requests *r = &core->requests;
        for (struct vg_request *q; (q = TAILQ_FIRST(&r->waiting)) && (all || vg_daemon_has_room(core));) {
                TAILQ_REMOVE(&r->waiting, q, link);
                TAILQ_INSERT_TAIL(&r->sent, q, link);
                q->sent = true;
                request_push(core, q);
        }
}

void vg_requests_receipt(struct vg_core *core, uint64_t number) {
        for (struct vg_request *q; (q = TAILQ_FIRST(&core->requests.closing)) && q->closing <= number;)
                request_free(core, q);
}

void vg_requests_daemon_died(struct vg_core *core, bool blame) {
        struct vg_requests *r = &core->requests;
        for (struct vg_request *q; (q = TAILQ_FIRST(&r->closing));)
                request_free(core, q);
        for (struct vg_request *q = TAILQ_FIRST(&r->sent), *next; q; q = next) {
                next = TAILQ_NEXT(q, link);
                if (blame && !q->parked && ++q->deaths >= VG_POISON_DEATHS) {
                        vg_log(&core->log, VG_LOG_ERROR, "request given up: the daemon died over it", "key", q->key, NULL);
                        vg_kept_drop(core, q->key);
                        vg_request_refuse(core, q, VG_CODE_INTERNAL, "the vigil daemon died three times over this request");
                }
        }
        struct vg_request *q;
        TAILQ_FOREACH(q, &r->sent, link) {
                q->sent = false;
                if (!blame && q->deliveries > 0)
                        q->deliveries--;
        }
        TAILQ_CONCAT(&r->sent, &r->waiting, link);
        TAILQ_CONCAT(&r->waiting, &r->sent, link);
}

void vg_requests_unavailable(struct vg_core *core) {
        for (struct vg_request *q = TAILQ_FIRST(&core->requests.waiting), *next; q; q = next) {
                next = TAILQ_NEXT(q, link);
                if (!q->begun) {
                        vg_request_refuse(core, q, VG_CODE_UNAVAILABLE, core->unavailable);
                } else if (q->connection) {
                        vg_connection_refuse(q->connection, q->stream, VG_CODE_UNAVAILABLE, core->unavailable);
                        q->connection->requests--;
                        q->connection->request_bytes -= q->size;
                        q->connection = NULL;
                }
        }
}

void vg_requests_done(struct vg_core *core) {
        struct vg_requests *r = &core->requests;
        struct vg_request_list *lists[] = {&r->sent, &r->waiting, &r->closing};
        for (size_t i = 0; i < VG_COUNT(lists); i++)
                for (struct vg_request *q; (q = TAILQ_FIRST(lists[i]));)
                        request_free(core, q);
        vg_map_done(&r->by_key);
}
