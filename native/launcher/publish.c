#include "launcher/publish.h"

#include <errno.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/journal_read.h"
#include "lib/protobuf.h"
#include "lib/ttrpc_call.h"
#include "vigil.h"

static void owe(struct vg_owed *owed, const struct vg_writer *request) {
        if (request->error && !owed->requests.error)
                owed->requests.error = request->error;
        vg_put_bytes(&owed->requests, request->data, request->size);
        owed->count++;
}

/* ForwardRequest{1 Envelope{1 timestamp, 2 namespace, 3 topic, 4 Any{1 type_url, 2 value}}} (containerd events service). */
static void owe_event(struct vg_owed *owed, const char *topic, const char *type, const struct vg_writer *event, uint64_t real) {
        _cleanup_writer_ struct vg_writer any = {0}, envelope = {0}, request = {0};
        vg_pb_string(&any, 1, type);
        vg_pb_bytes(&any, 2, (struct vg_bytes){event->data, event->size});
        vg_pb_timestamp(&envelope, 1, real);
        vg_pb_string(&envelope, 2, owed->name_space);
        vg_pb_string(&envelope, 3, topic);
        vg_pb_message(&envelope, 4, &any);
        vg_pb_message(&request, 1, &envelope);
        owe(owed, &request);
}

void vg_owed_add_oom(struct vg_owed *owed, uint64_t real) {
        _cleanup_writer_ struct vg_writer event = {0};
        vg_pb_string(&event, 1, owed->container);
        owe_event(owed, "/tasks/oom", "containerd.events.TaskOOM", &event, real);
}

static void owe_started(struct vg_owed *owed, struct vg_reader *r) {
        _cleanup_free_ char *exec = vg_get_str(r);
        uint32_t pid = vg_get_u32(r);
        uint64_t real = vg_get_u64(r);
        _cleanup_writer_ struct vg_writer event = {0};
        vg_pb_string(&event, 1, owed->container);
        if (r->error)
                return;
        if (*exec)
                vg_pb_string(&event, 2, exec);
        vg_pb_varint(&event, *exec ? 3 : 2, pid);
        owe_event(owed, *exec ? "/tasks/exec-started" : "/tasks/start",
                  *exec ? "containerd.events.TaskExecStarted" : "containerd.events.TaskStart", &event, real);
}

static void owe_exited(struct vg_owed *owed, struct vg_reader *r) {
        _cleanup_free_ char *exec = vg_get_str(r);
        uint32_t pid = vg_get_u32(r), status = vg_get_u32(r);
        vg_get_u32(r); /* signal */
        uint64_t real = vg_get_u64(r);
        if (r->error || !*exec)
                return;
        _cleanup_writer_ struct vg_writer event = {0};
        vg_pb_string(&event, 1, owed->container);
        vg_pb_string(&event, 2, exec);
        vg_pb_varint(&event, 3, pid);
        vg_pb_varint(&event, 4, status);
        vg_pb_timestamp(&event, 5, real);
        owe_event(owed, "/tasks/exit", "containerd.events.TaskExit", &event, real);
}

static int on_fact(void *owner, uint64_t seq, uint8_t kind, struct vg_bytes payload) {
        struct vg_owed *owed = owner;
        struct vg_reader r = vg_reader_of(payload.data, payload.size);
        vg_get_u64(&r);
        vg_get_u8(&r);
        _cleanup_free_ char *container = vg_get_str(&r);
        if (!container || strcmp(container, owed->container) != 0)
                return 0;
        if (kind == VG_FACT_STARTED)
                owe_started(owed, &r);
        else if (kind == VG_FACT_EXITED)
                owe_exited(owed, &r);
        else if (kind == VG_FACT_OOM) {
                uint64_t kills = vg_get_u64(&r);
                if (seq > owed->counted_fact)
                        owed->uncounted_kills += kills;
                vg_get_u64(&r); /* total */
                vg_owed_add_oom(owed, vg_get_u64(&r));
        }
        return 0;
}

static struct vg_bytes field(struct vg_bytes message, uint32_t number) {
        struct vg_reader r = vg_reader_of(message.data, message.size);
        struct vg_pb_field f;
        struct vg_bytes found = {(const uint8_t *)"", 0};
        while (vg_pb_next(&r, &f))
                if (f.number == number && f.type == 2)
                        found = f.bytes;
        return found;
}

static bool is_text(struct vg_bytes b, const char *s) {
        return b.size == strlen(s) && memcmp(b.data, s, b.size) == 0;
}

static int on_outbox(void *owner, uint64_t seq, uint64_t fact, struct vg_bytes entry) {
        struct vg_owed *owed = owner;
        (void)fact;
        if (seq <= owed->delivered)
                return 0;
        struct vg_bytes envelope = field(entry, 1), topic = field(envelope, 3), event = field(field(envelope, 4), 2);
        /* Every task event has the container's id as its first field. */
        if (!is_text(field(event, 1), owed->container) || is_text(topic, "/tasks/delete") ||
            (is_text(topic, "/tasks/exit") && is_text(field(event, 2), owed->container)))
                return 0;
        vg_put_bytes(&owed->requests, entry.data, entry.size);
        owed->count++;
        return 0;
}

static int on_init(void *owner, const struct vg_journal_init *init) {
        struct vg_owed *owed = owner;
        if (strcmp(init->container, owed->container) != 0)
                return 0;
        owed->pid = init->pid;
        owed->exited = init->present && init->exited;
        owed->exit_status = init->exit_status;
        owed->exited_real = init->exited_real;
        return 0;
}

int vg_owed_read(const char *journal, struct vg_owed *owed) {
        /* Two rounds: a daemon's commit always comes after the facts that it does not cover yet, but entries of the outbox are
         * older events than facts that nobody has seen. */
        const struct vg_journal_visitor entries = {.owner = owed, .outbox = on_outbox, .init = on_init};
        const struct vg_journal_visitor facts = {.owner = owed, .fact = on_fact};
        int r = vg_journal_read(journal, &entries, NULL);
        if (r == 0)
                r = vg_journal_read(journal, &facts, NULL);
        return r == -ENOENT ? 0 : r;
}

int vg_owed_publish(const struct vg_owed *owed, const char *ttrpc_address, uint64_t deadline) {
        if (owed->requests.error)
                return owed->requests.error;
        _cleanup_close_ int fd = -1;
        int r = vg_ttrpc_connect(ttrpc_address, &fd);
        struct vg_reader requests = vg_reader_of(owed->requests.data, owed->requests.size);
        for (uint32_t i = 0; i < owed->count && r == 0; i++) {
                uint32_t code;
                r = vg_ttrpc_call(fd, 2 * i + 1, "containerd.services.events.ttrpc.v1.Events", "Forward", vg_get_bytes(&requests),
                                  deadline, &code);
        }
        return r;
}

void vg_owed_done(struct vg_owed *owed) {
        vg_writer_done(&owed->requests);
}
