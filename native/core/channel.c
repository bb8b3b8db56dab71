#include "core/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct vg_channel_record {
        STAILQ_ENTRY(vg_channel_record) link;
        uint8_t *data;
        size_t size, sent;
};

enum {
        READ_STEP = 64 << 10,
        READS_A_ROUND = 16, /* then others have their turn */
};

void vg_record_begin(struct vg_writer *w) {
        static const struct vg_record_header blank;
        vg_put_raw(w, &blank, sizeof blank);
}

static void want(struct vg_channel *ch) {
        uint32_t events = (ch->queued > 0 ? EPOLLOUT : 0) | (ch->queued <= VG_CHANNEL_HIGH ? EPOLLIN : 0);
        vg_source_change(&ch->source, events);
}

static void channel_write(struct vg_channel *ch) {
        for (struct vg_channel_record *r; (r = STAILQ_FIRST(&ch->out));) {
                ssize_t n = send(ch->fd, r->data + r->sent, r->size - r->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                /* EPIPE and the like: the end will be read, or the process reaped. */
                if (n < 0)
                        return;
                r->sent += (size_t)n;
                ch->queued -= (size_t)n;
                if (r->sent < r->size)
                        continue;
                STAILQ_REMOVE_HEAD(&ch->out, link);
                free(r->data);
                free(r);
        }
}

int vg_channel_push(struct vg_channel *ch, enum vg_record type, struct vg_writer *w) {
        struct vg_channel_record *record = w->error ? NULL : calloc(1, sizeof *record);
        if (!record) {
                vg_writer_done(w);
                return -ENOMEM;
        }
        struct vg_record_header header = {
                .length = (uint32_t)(w->size - sizeof header),
                .type = (uint16_t)type,
                .version = VG_ABI_VERSION,
                .epoch = ch->epoch,
                .number = ++ch->number,
        };
        memcpy(w->data, &header, sizeof header);
        record->data = w->data;
        record->size = w->size;
        *w = (struct vg_writer){0};
        bool idle = ch->queued == 0;
        STAILQ_INSERT_TAIL(&ch->out, record, link);
        ch->queued += record->size;
        if (idle && ch->source.loop)
                channel_write(ch);
        want(ch);
        return 0;
}

static int in_reserve(struct vg_channel *ch, size_t size) {
        if (size <= ch->room)
                return 0;
        uint8_t *in = realloc(ch->in, size);
        if (!in)
                return -ENOMEM;
        ch->in = in;
        ch->room = size;
        return 0;
}

/* Hands on the whole records of the buffer, unless one of them ends the channel. */
static int take_records(struct vg_channel *ch) {
        size_t at = 0;
        int r = 0;
        while (r == 0 && ch->source.loop && ch->have - at >= sizeof(struct vg_record_header)) {
                struct vg_record_header header;
                memcpy(&header, ch->in + at, sizeof header);
                if (header.length > VG_RECORD_MAX || header.version != VG_ABI_VERSION) {
                        r = -EPROTO;
                        break;
                }
                size_t size = sizeof header + header.length;
                if (ch->have - at < size) {
                        r = in_reserve(ch, size + READ_STEP);
                        break;
                }
                r = ch->record(ch->owner, &header, (struct vg_bytes){ch->in + at + sizeof header, header.length});
                at += size;
        }
        memmove(ch->in, ch->in + at, ch->have - at);
        ch->have -= at;
        return r;
}

/* 1: there may be more; 0: nothing more now; -EPIPE: end of file; else broken. */
static int channel_read(struct vg_channel *ch) {
        if (ch->room - ch->have < READ_STEP) {
                int r = in_reserve(ch, ch->have + READ_STEP);
                if (r < 0)
                        return r;
        }
        ssize_t n = recv(ch->fd, ch->in + ch->have, ch->room - ch->have, MSG_DONTWAIT);
        if (n < 0)
                return errno == EINTR ? 1 : errno == EAGAIN ? 0 : -EPIPE;
        if (n == 0)
                return -EPIPE;
        ch->have += (size_t)n;
        int r = take_records(ch);
        return r < 0 ? r : 1;
}

static void channel_ended(struct vg_channel *ch, int error) {
        vg_channel_stop(ch);
        ch->ended(ch->owner, error);
}

static void channel_ready(struct vg_source *source, uint32_t events) {
        struct vg_channel *ch = source->owner;
        if (events & EPOLLOUT) {
                bool high = ch->queued > VG_CHANNEL_HIGH;
                channel_write(ch);
                if (high && ch->queued <= VG_CHANNEL_HIGH)
                        ch->drained(ch->owner);
        }
        int r = 1;
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                for (int i = 0; r > 0 && i < READS_A_ROUND && ch->source.loop; i++)
                        r = channel_read(ch);
        if (!ch->source.loop)
                return;
        if (r < 0)
                channel_ended(ch, r == -EPIPE ? 0 : r);
        else
                want(ch);
}

int vg_channel_open(struct vg_channel *ch, struct vg_loop *loop, int fd, uint32_t epoch) {
        ch->fd = fd;
        ch->epoch = epoch;
        ch->number = 0;
        ch->queued = 0;
        STAILQ_INIT(&ch->out);
        ch->source = (struct vg_source){.fd = fd, .events = EPOLLIN, .ready = channel_ready, .owner = ch};
        return vg_source_add(loop, &ch->source);
}

void vg_channel_read_rest(struct vg_channel *ch) {
        int r = 1;
        while (r > 0 && ch->source.loop)
                r = channel_read(ch);
}

void vg_channel_stop(struct vg_channel *ch) {
        vg_source_remove(&ch->source);
}

void vg_channel_done(struct vg_channel *ch) {
        vg_channel_stop(ch);
        for (struct vg_channel_record *r; (r = STAILQ_FIRST(&ch->out));) {
                STAILQ_REMOVE_HEAD(&ch->out, link);
                free(r->data);
                free(r);
        }
        free(ch->in);
        if (ch->fd >= 0)
                close(ch->fd);
        ch->in = NULL;
        ch->have = ch->room = ch->queued = 0;
        ch->fd = -1;
}
