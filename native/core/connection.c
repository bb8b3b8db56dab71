#include "core/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/core.h"

struct vg_out_frame {
        STAILQ_ENTRY(vg_out_frame) link;
        size_t size, sent;
        uint8_t data[];
};

enum { READ_STEP = 64 << 10 };

static void connection_free(struct vg_connection *c) {
        vg_source_remove(&c->source);
        vg_timer_cancel(&c->end);
        vg_requests_closed(c->core, c);
        for (struct vg_out_frame *f; (f = STAILQ_FIRST(&c->out));) {
                STAILQ_REMOVE_HEAD(&c->out, link);
                free(f);
        }
        vg_frame_reader_done(&c->reader);
        if (c->fd >= 0)
                close(c->fd);
        TAILQ_REMOVE(&c->core->connections.list, c, link);
        c->core->connections.count--;
        free(c);
}

static void end_fired(struct vg_timer *timer) {
        struct vg_connection *c = timer->owner;
        struct vg_core *core = c->core;
        connection_free(c);
        vg_shutdown_look(core);
}

void vg_connection_end(struct vg_connection *c) {
        if (c->ended)
                return;
        c->ended = true;
        vg_source_remove(&c->source);
        vg_timer_set(c->core->loop, &c->end, 0);
}

static int connection_write(struct vg_connection *c) {
        for (struct vg_out_frame *f; (f = STAILQ_FIRST(&c->out));) {
                ssize_t n = send(c->fd, f->data + f->sent, f->size - f->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? 0 : -errno;
                f->sent += (size_t)n;
                c->out_bytes -= (size_t)n;
                if (f->sent < f->size)
                        continue;
                STAILQ_REMOVE_HEAD(&c->out, link);
                free(f);
        }
        return 0;
}

void vg_connection_respond(struct vg_connection *c, uint32_t stream, struct vg_bytes response) {
        if (c->ended)
                return;
        if (response.size > VG_FRAME_MAX) {
                vg_connection_refuse(c, stream, VG_CODE_RESOURCE_EXHAUSTED,
                                     "the response exceeds the maximum size of 4194304 bytes");
                return;
        }
        struct vg_frame frame = {.length = (uint32_t)response.size, .stream = stream, .type = VG_FRAME_RESPONSE};
        struct vg_out_frame *f = malloc(sizeof *f + VG_FRAME_HEADER + response.size);
        if (!f || c->out_bytes + response.size > VG_REPLY_BYTES_MAX) {
                free(f);
                vg_connection_end(c);
                return;
        }
        f->size = VG_FRAME_HEADER + response.size;
        f->sent = 0;
        vg_frame_header(f->data, &frame);
        memcpy(f->data + VG_FRAME_HEADER, response.data, response.size);
        bool idle = STAILQ_EMPTY(&c->out);
        STAILQ_INSERT_TAIL(&c->out, f, link);
        c->out_bytes += f->size;
        if ((idle && connection_write(c) < 0) || vg_source_change(&c->source, EPOLLIN | (STAILQ_EMPTY(&c->out) ? 0 : EPOLLOUT)) < 0)
                vg_connection_end(c);
}

void vg_connection_refuse(struct vg_connection *c, uint32_t stream, enum vg_code code, const char *message) {
        _cleanup_writer_ struct vg_writer w = {0};
        vg_put_status_response(&w, code, message);
        if (w.error)
                vg_connection_end(c);
        else
                vg_connection_respond(c, stream, (struct vg_bytes){w.data, w.size});
}

/* The checks and their order are those of containerd's ttrpc server. Takes the body over. */
static void connection_frame(struct vg_connection *c, const struct vg_frame *frame, uint8_t *body) {
        _cleanup_free_ uint8_t *owned = body;
        if (!body) {
                vg_connection_refuse(c, frame->stream, VG_CODE_RESOURCE_EXHAUSTED,
                                     "message exceeds the maximum size of 4194304 bytes");
                return;
        }
        if (frame->stream % 2 != 1) {
                vg_connection_refuse(c, frame->stream, VG_CODE_INVALID_ARGUMENT,
                                     "StreamID must be odd for client initiated streams");
                return;
        }
        if (frame->type == VG_FRAME_DATA) {
                vg_connection_refuse(c, frame->stream, VG_CODE_INVALID_ARGUMENT, "StreamID is no longer active");
                return;
        }
        /* Types to come are ignored. */
        if (frame->type != VG_FRAME_REQUEST)
                return;
        if (frame->stream <= c->last_stream) {
                vg_connection_refuse(c, frame->stream, VG_CODE_INVALID_ARGUMENT, "StreamID cannot be re-used and must increment");
                return;
        }
        c->last_stream = frame->stream;
        if (frame->flags & VG_FRAME_REMOTE_OPEN) {
                vg_connection_refuse(c, frame->stream, VG_CODE_UNIMPLEMENTED, "streaming is not supported");
                return;
        }
        vg_request_arrived(c->core, c, frame->stream, TAKE_PTR(owned), frame->length);
}

static void connection_read(struct vg_connection *c) {
        uint8_t buffer[READ_STEP];
        ssize_t n = recv(c->fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                vg_connection_end(c);
                return;
        }
        const uint8_t *at = buffer, *end = buffer + n;
        struct vg_frame frame;
        uint8_t *body;
        while (!c->ended && vg_frame_take(&c->reader, &at, end, &frame, &body) == 1)
                connection_frame(c, &frame, body);
}

/* 'P' begins the preface of HTTP/2 (RFC 9113 §3.4), a zero the length of any ttrpc frame that may be. */
static void connection_probe(struct vg_connection *c) {
        uint8_t first;
        ssize_t n = recv(c->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n == 1 && first == 'P') {
                vg_source_remove(&c->source);
                vg_handoff_add(c->core, TAKE_FD(c->fd));
        } else if (n == 1 && first == 0) {
                c->is_ttrpc = true;
                return;
        }
        vg_connection_end(c);
}

static void connection_ready(struct vg_source *source, uint32_t events) {
        struct vg_connection *c = source->owner;
        if (events & EPOLLOUT) {
                if (connection_write(c) < 0) {
                        vg_connection_end(c);
                        return;
                }
                if (STAILQ_EMPTY(&c->out)) {
                        vg_source_change(&c->source, EPOLLIN);
                        vg_shutdown_look(c->core);
                }
        }
        if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                return;
        if (!c->is_ttrpc)
                connection_probe(c);
        if (c->is_ttrpc)
                connection_read(c);
}

int vg_connection_new(struct vg_core *core, int fd) {
        struct vg_connection *c = calloc(1, sizeof *c);
        if (!c) {
                close(fd);
                return -ENOMEM;
        }
        c->core = core;
        c->fd = fd;
        c->id = ++core->connections.last_id;
        c->source = (struct vg_source){.fd = fd, .events = EPOLLIN, .ready = connection_ready, .owner = c};
        c->end = (struct vg_timer){.fired = end_fired, .owner = c};
        STAILQ_INIT(&c->out);
        TAILQ_INSERT_TAIL(&core->connections.list, c, link);
        core->connections.count++;
        vg_shutdown_watch_idle(core);
        int r = vg_source_add(core->loop, &c->source);
        if (r < 0)
                connection_free(c);
        return r;
}

bool vg_connections_flushing(const struct vg_core *core) {
        const struct vg_connection *c;
        TAILQ_FOREACH(c, &core->connections.list, link)
                if (!c->ended && !STAILQ_EMPTY(&c->out))
                        return true;
        return false;
}

void vg_connections_done(struct vg_core *core) {
        for (struct vg_connection *c; (c = TAILQ_FIRST(&core->connections.list));)
                connection_free(c);
}
