#include "core/command.h"

#include <errno.h>
#include <string.h>

#include "core/core.h"

static int cmd_ready(struct vg_core *core, const char *key, struct vg_reader *r) {
        (void)key;
        uint32_t abi = vg_get_u32(r);
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        if (abi != VG_ABI_VERSION)
                return -EPROTONOSUPPORT;
        vg_daemon_ready(core);
        return 0;
}

static int cmd_receipt(struct vg_core *core, const char *key, struct vg_reader *r) {
        (void)key;
        uint64_t number = vg_get_u64(r);
        if (vg_reader_end(r) < 0 || number > core->daemon.channel.number)
                return -EBADMSG;
        vg_daemon_receipt(core, number);
        return 0;
}

/* A key that is not there belongs to a connection which closed meanwhile. */
static int cmd_begin(struct vg_core *core, const char *key, struct vg_reader *r) {
        struct vg_request *q = vg_request_find(core, key);
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        if (q)
                vg_request_begin(core, q);
        return 0;
}

static int cmd_park(struct vg_core *core, const char *key, struct vg_reader *r) {
        struct vg_request *q = vg_request_find(core, key);
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        if (q)
                vg_request_park(core, q);
        return 0;
}

static int cmd_hold(struct vg_core *core, const char *key, struct vg_reader *r) {
        struct vg_bytes data = vg_get_bytes(r);
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        int q = vg_request_hold(core, key, data);
        if (q < 0) /* it is carried out all the same, but not again by a next daemon */
                vg_log(&core->log, VG_LOG_WARNING, "request not held", "key", key, "error", strerror(-q), NULL);
        return 0;
}

static int cmd_commit(struct vg_core *core, const char *key, struct vg_reader *r) {
        return vg_commit_run(core, key, r);
}

static int cmd_reply(struct vg_core *core, const char *key, struct vg_reader *r) {
        struct vg_bytes reply = vg_get_bytes(r);
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        vg_commit_reply(core, key, reply);
        return 0;
}

static int cmd_delivered(struct vg_core *core, const char *key, struct vg_reader *r) {
        (void)key;
        _cleanup_writer_ struct vg_writer w = {0};
        uint64_t seq = vg_get_u64(r);
        if (vg_reader_end(r) < 0 || seq > core->store.last_seq)
                return -EBADMSG;
        if (seq <= core->store.delivered)
                return 0;
        vg_put_u64(&w, seq);
        int q = w.error ? w.error
                        : vg_journal_append(&core->journal, VG_JOURNAL_DELIVERED, (struct vg_bytes){w.data, w.size}, false);
        if (q < 0) /* what follows a core's death may then be published once more; nothing is lost */
                vg_log(&core->log, VG_LOG_WARNING, "delivery not on disk", "error", strerror(-q), NULL);
        vg_store_delivered(&core->store, seq);
        vg_compact_if_due(core);
        vg_shutdown_look(core);
        return 0;
}

static int cmd_shutdown(struct vg_core *core, const char *key, struct vg_reader *r) {
        (void)key;
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        vg_shutdown_ask(core);
        return 0;
}

enum kind {
        PLAIN, /* no key */
        KEYED, /* a key, and no result */
        ONCE,  /* a command that is done once a key and has a result; `once` runs it */
};

static const struct {
        uint16_t type;
        enum kind kind;
        int (*run)(struct vg_core *core, const char *key, struct vg_reader *r);
        int (*once)(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r);
} commands[] = {
        {VG_CMD_READY, PLAIN, cmd_ready, NULL},
        {VG_CMD_RECEIPT, PLAIN, cmd_receipt, NULL},
        {VG_CMD_BEGIN, KEYED, cmd_begin, NULL},
        {VG_CMD_PARK, KEYED, cmd_park, NULL},
        {VG_CMD_HOLD, KEYED, cmd_hold, NULL},
        {VG_CMD_BIRTH, ONCE, NULL, vg_container_birth},
        {VG_CMD_SCRIPT, ONCE, NULL, vg_script_start},
        {VG_CMD_START, ONCE, NULL, vg_container_start},
        {VG_CMD_SIGNAL, ONCE, NULL, vg_container_signal},
        {VG_CMD_RESIZE, ONCE, NULL, vg_container_resize},
        {VG_CMD_CLOSE_STDIN, ONCE, NULL, vg_container_close_stdin},
        {VG_CMD_DRAIN, ONCE, NULL, vg_container_drain},
        {VG_CMD_FORGET, ONCE, NULL, vg_container_forget},
        {VG_CMD_COMMIT, KEYED, cmd_commit, NULL},
        {VG_CMD_DELIVERED, PLAIN, cmd_delivered, NULL},
        {VG_CMD_SHUTDOWN, PLAIN, cmd_shutdown, NULL},
        {VG_CMD_REPLY, KEYED, cmd_reply, NULL},
        {VG_CMD_OCI_BIRTH, ONCE, NULL, vg_container_oci_birth},
        {VG_CMD_OCI_RESTORE, ONCE, NULL, vg_container_oci_restore},
        {VG_CMD_RESTORE, ONCE, NULL, vg_container_restore},
        {VG_CMD_OCI_START, ONCE, NULL, vg_container_oci_start},
        {VG_CMD_WATCH, ONCE, NULL, vg_container_watch},
        {VG_CMD_SANDBOX, ONCE, NULL, vg_sandbox_enter},
};

static int get_key(struct vg_reader *r, char ret_key[VG_KEY_MAX + 1]) {
        struct vg_bytes key = vg_get_bytes(r);
        if (r->error || key.size == 0 || key.size > VG_KEY_MAX || memchr(key.data, 0, key.size))
                return -EBADMSG;
        memcpy(ret_key, key.data, key.size);
        ret_key[key.size] = 0;
        return 0;
}

static int run_once(struct vg_core *core, size_t which, const char *key, struct vg_reader *r) {
        struct vg_kept *kept;
        int q = vg_kept_begin(core, key, &kept);
        if (q == 1)
                return 0;
        if (q < 0) {
                vg_result_send(core, key, &(struct vg_result){.status = q});
                return 0;
        }
        q = commands[which].once(core, kept, r);
        if (q < 0)
                vg_kept_forget(core, kept);
        return q;
}

int vg_command_run(struct vg_core *core, const struct vg_record_header *header, struct vg_bytes payload) {
        struct vg_reader r = vg_reader_of(payload.data, payload.size);
        for (size_t i = 0; i < VG_COUNT(commands); i++) {
                if (commands[i].type != header->type)
                        continue;
                char key[VG_KEY_MAX + 1] = "";
                if (commands[i].kind != PLAIN && get_key(&r, key) < 0)
                        return -EBADMSG;
                if (header->epoch != core->daemon.epoch) {
                        if (commands[i].kind != PLAIN)
                                vg_result_send(core, key, &(struct vg_result){.status = -ESTALE});
                        return 0;
                }
                return commands[i].kind == ONCE ? run_once(core, i, key, &r) : commands[i].run(core, key, &r);
        }
        return -EPROTO;
}
