#include "test/core_bed.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

bool bed_daemon_comes(struct bed *bed, int timeout_ms) {
        return bed_readable(bed->control, timeout_ms);
}

void bed_daemon_accept(struct bed *bed, struct bed_daemon *ret_daemon) {
        struct bed_daemon d = {0};
        int fds[2];
        CHECK(bed_readable(bed->control, BED_TIMEOUT_MS));
        d.control = accept4(bed->control, NULL, NULL, SOCK_CLOEXEC);
        char space[CMSG_SPACE(sizeof fds)];
        struct iovec part = {&d.pid, sizeof d.pid};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
        CHECK(recvmsg(d.control, &m, MSG_CMSG_CLOEXEC) == (ssize_t)sizeof d.pid && CMSG_FIRSTHDR(&m));
        memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fds);
        d.channel = fds[0];
        d.fds = fds[1];
        *ret_daemon = d;
}

void bed_receive_all(int fd, void *data, size_t size) {
        for (size_t have = 0; have < size;) {
                CHECK(bed_readable(fd, BED_TIMEOUT_MS));
                ssize_t n = read(fd, (char *)data + have, size - have);
                CHECK(n > 0);
                have += (size_t)n;
        }
}

void bed_next(struct bed_daemon *d, struct bed_record *ret_record) {
        struct bed_record r = {0};
        bed_receive_all(d->channel, &r.header, sizeof r.header);
        CHECK(r.header.version == VG_ABI_VERSION && r.header.number == d->taken + 1);
        d->taken = r.header.number;
        r.payload = malloc(r.header.length + 1);
        CHECK(r.payload);
        bed_receive_all(d->channel, r.payload, r.header.length);
        r.reader = vg_reader_of(r.payload, r.header.length);
        *ret_record = r;
}

struct bed_record bed_expect(struct bed_daemon *d, enum vg_record type) {
        struct bed_record r;
        bed_next(d, &r);
        if (r.header.type != type)
                fprintf(stderr, "a record of type %d came, not %d\n", r.header.type, type);
        CHECK(r.header.type == type);
        return r;
}

void bed_expect_nothing(struct bed_daemon *d, int ms) {
        CHECK(!bed_readable(d->channel, ms));
}

void bed_record_done(struct bed_record *record) {
        free(record->payload);
        record->payload = NULL;
}

void bed_send_all(int fd, const void *data, size_t size) {
        for (const char *at = data; size > 0;) {
                ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
                CHECK(n > 0);
                at += n;
                size -= (size_t)n;
        }
}

void bed_command_as(struct bed_daemon *d, uint32_t epoch, enum vg_command type, struct vg_writer *payload) {
        CHECK(!payload->error);
        struct vg_record_header h = {
                .length = (uint32_t)payload->size,
                .type = (uint16_t)type,
                .version = VG_ABI_VERSION,
                .epoch = epoch,
        };
        bed_send_all(d->channel, &h, sizeof h);
        if (payload->size > 0)
                bed_send_all(d->channel, payload->data, payload->size);
        vg_writer_done(payload);
}

void bed_command(struct bed_daemon *d, enum vg_command type, struct vg_writer *payload) {
        bed_command_as(d, d->epoch, type, payload);
}

void bed_keyed(struct bed_daemon *d, enum vg_command type, const char *key, const char *bytes) {
        struct vg_writer w = {0};
        vg_put_str(&w, key);
        if (bytes)
                vg_put_str(&w, bytes);
        bed_command(d, type, &w);
}

void bed_receipt(struct bed_daemon *d) {
        struct vg_writer w = {0};
        vg_put_u64(&w, d->taken);
        bed_command(d, VG_CMD_RECEIPT, &w);
}

void bed_say_ready(struct bed_daemon *d) {
        struct vg_writer w = {0};
        bed_receipt(d);
        vg_put_u32(&w, VG_ABI_VERSION);
        bed_command(d, VG_CMD_READY, &w);
}

void bed_ready(struct bed_daemon *d) {
        struct bed_record hello = bed_expect(d, VG_REC_HELLO);
        d->epoch = hello.header.epoch;
        bed_record_done(&hello);
        struct bed_record synced = bed_expect(d, VG_REC_SYNCED);
        bed_record_done(&synced);
        bed_say_ready(d);
}

void bed_start_ready(struct bed *bed, struct bed_daemon *ret_daemon) {
        bed_start(bed);
        bed_daemon_accept(bed, ret_daemon);
        bed_ready(ret_daemon);
}

void bed_daemon_gone(struct bed_daemon *d) {
        close(d->channel);
        close(d->fds);
        close(d->control);
        *d = (struct bed_daemon){.channel = -1, .fds = -1, .control = -1};
}

void bed_daemon_kill(struct bed_daemon *d) {
        CHECK(kill(d->pid, SIGKILL) == 0);
        bed_daemon_gone(d);
}

char *bed_expect_request(struct bed_daemon *d, const char *data, uint32_t deliveries, bool begun) {
        _cleanup_record_ struct bed_record r = bed_expect(d, VG_REC_REQUEST);
        char *key = vg_get_str(&r.reader);
        vg_get_u64(&r.reader);
        vg_get_u64(&r.reader);
        CHECK(vg_get_u32(&r.reader) == deliveries);
        CHECK(vg_get_u8(&r.reader) == begun);
        struct vg_bytes bytes = vg_get_bytes(&r.reader);
        CHECK(vg_reader_end(&r.reader) == 0);
        CHECK(bytes.size == strlen(data) && memcmp(bytes.data, data, bytes.size) == 0);
        return key;
}

int bed_expect_result(struct bed_daemon *d, const char *key) {
        _cleanup_record_ struct bed_record r = bed_expect(d, VG_REC_RESULT);
        _cleanup_free_ char *its = vg_get_str(&r.reader);
        int status = (int32_t)vg_get_u32(&r.reader);
        if (!its || strcmp(its, key) != 0)
                fprintf(stderr, "a result for %s came, not for %s\n", its, key);
        CHECK(its && strcmp(its, key) == 0);
        return status;
}
