#include "io/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/pump_end.h"
#include "io/pump_flow.h"
#include "lib/cleanup.h"

/* What one stream may move before the rest of the loop has its turn. */
#define TURN_BYTES (1u << 20)
/* A terminal whose slave nobody has open refuses input, and tells nobody when that changes. */
#define HUNG_RETRY_NS 100000000u

enum stream { STREAM_IN, STREAM_OUT, STREAM_ERR, STREAM_COUNT };

struct vg_stream {
        struct vg_flow flow;
        struct vg_end from, to;
        int keep; /* our other end of the client's FIFO */
        bool runs, waits_for_pty;
};

struct vg_pump {
        struct vg_loop *loop;
        struct vg_stream streams[STREAM_COUNT];
        struct vg_end pty;
        struct vg_timer again;
        struct winsize size;
        int logger;
        bool exited, has_output, told;
        void (*drained)(void *owner);
        void *owner;
};

static void pump_run(struct vg_pump *pump);

static void end_ready(struct vg_source *source, uint32_t events) {
        vg_end_note(source, events);
        pump_run(source->owner);
}

static int end_open(struct vg_pump *pump, struct vg_end *end) {
        end->source.ready = end_ready;
        end->source.owner = pump;
        int r = vg_end_open(pump->loop, end);
        if (r > 0) /* no edge will come */
                vg_timer_set(pump->loop, &pump->again, vg_now_mono());
        return r < 0 ? r : 0;
}

/* The keep of an output stays until the pump is freed: what a reader that is away has not read yet would go with it. */
static void stream_close(struct vg_stream *stream) {
        vg_end_close(&stream->from);
        vg_end_close(&stream->to);
        vg_flow_done(&stream->flow);
        stream->runs = stream->waits_for_pty = false;
}

static void stdin_close(struct vg_stream *in) {
        stream_close(in);
        vg_closep(&in->keep);
}

static void pty_close(struct vg_pump *pump) {
        stdin_close(&pump->streams[STREAM_IN]);
        stream_close(&pump->streams[STREAM_OUT]);
        vg_end_close(&pump->pty);
}

static void pump_close(struct vg_pump *pump) {
        vg_timer_cancel(&pump->again);
        pty_close(pump);
        stream_close(&pump->streams[STREAM_ERR]);
        for (size_t i = 0; i < STREAM_COUNT; i++)
                vg_closep(&pump->streams[i].keep);
        /* Its input has ended. */
        if (pump->logger >= 0)
                syscall(SYS_pidfd_send_signal, pump->logger, SIGTERM, NULL, 0);
        vg_closep(&pump->logger);
}

static bool has_pty(const struct vg_pump *pump) {
        return pump->pty.source.fd >= 0;
}

/* False: there is nothing (more) to say to the terminal. */
static bool stdin_type_end(struct vg_pump *pump, struct vg_stream *in) {
        if (!has_pty(pump) || in->flow.from < 0)
                return false;
        vg_end_close(&in->from);
        vg_closep(&in->keep);
        return vg_flow_type_end(&in->flow) == 0;
}

/* Both return when the stream wants to run again without an edge; UINT64_MAX: not at all. */
static uint64_t stdin_run(struct vg_pump *pump, struct vg_stream *in) {
        enum vg_flow_state state = vg_flow_run(&in->flow, TURN_BYTES);
        if (state == VG_FLOW_WAITS)
                return UINT64_MAX;
        if (state == VG_FLOW_MORE || (state == VG_FLOW_ENDED && stdin_type_end(pump, in)))
                return vg_now_mono();
        if (state == VG_FLOW_TO_HUNG && !pump->exited) {
                in->flow.to_ready = true;
                return vg_now_mono() + HUNG_RETRY_NS;
        }
        stdin_close(in);
        return UINT64_MAX;
}

static uint64_t output_run(struct vg_pump *pump, struct vg_stream *out) {
        bool from_pty = out == &pump->streams[STREAM_OUT] && has_pty(pump);
        switch (vg_flow_run(&out->flow, TURN_BYTES)) {
        case VG_FLOW_WAITS:
        case VG_FLOW_TO_HUNG:
                break;
        case VG_FLOW_MORE:
                return vg_now_mono();
        case VG_FLOW_ENDED:
        case VG_FLOW_FROM_HUNG:
                /* What a terminal still holds when its last slave closes comes before the EIO. Until the exit a slave may be
                 * opened again: its first byte makes an edge. */
                if (!from_pty)
                        stream_close(out);
                else if (pump->exited)
                        pty_close(pump);
                break;
        case VG_FLOW_BROKEN:
                if (from_pty) {
                        /* Closing the master would hang up the whole session: the output is dropped instead. */
                        vg_end_close(&out->to);
                        vg_flow_drop(&out->flow);
                        return vg_now_mono();
                }
                /* The container gets SIGPIPE or EPIPE, as if it wrote there itself. */
                stream_close(out);
                break;
        }
        return UINT64_MAX;
}

static void pump_run(struct vg_pump *pump) {
        uint64_t again = UINT64_MAX;
        for (size_t i = 0; i < STREAM_COUNT; i++) {
                struct vg_stream *stream = &pump->streams[i];
                if (!stream->runs)
                        continue;
                uint64_t at = i == STREAM_IN ? stdin_run(pump, stream) : output_run(pump, stream);
                if (at < again)
                        again = at;
        }
        if (again != UINT64_MAX)
                vg_timer_set(pump->loop, &pump->again, again);
        if (!pump->told && (pump->has_output || pump->exited) && vg_pump_is_drained(pump)) {
                pump->told = true;
                pump->drained(pump->owner); /* may free the pump */
        }
}

static void again_fired(struct vg_timer *timer) {
        pump_run(timer->owner);
}

static int stream_start(struct vg_pump *pump, struct vg_stream *stream, int from, int to) {
        int r = vg_flow_init(&stream->flow, from, to);
        if (r < 0)
                return r;
        stream->runs = true;
        stream->waits_for_pty = false;
        stream->from.leaves = stream->to.enters = &stream->flow;
        r = end_open(pump, &stream->from);
        return r < 0 ? r : end_open(pump, &stream->to);
}

static int stream_new(struct vg_pump *pump, enum stream which) {
        struct vg_stream *stream = &pump->streams[which];
        int from = stream->from.source.fd, to = stream->to.source.fd;
        if (from >= 0 && (to >= 0 || which != STREAM_IN)) {
                pump->has_output = pump->has_output || which != STREAM_IN;
                return stream_start(pump, stream, from, to);
        }
        /* The client's end without the container's: that will be the pty. The other way round there is nothing to come. */
        stream->waits_for_pty = (from >= 0 && which == STREAM_IN) || (to >= 0 && which == STREAM_OUT);
        if (!stream->waits_for_pty)
                stream_close(stream);
        return 0;
}

static int pump_open(struct vg_pump *pump, int pty) {
        for (enum stream which = STREAM_IN; which < STREAM_COUNT; which++) {
                int r = stream_new(pump, which);
                if (r < 0) {
                        vg_closep(&pty);
                        return r;
                }
        }
        return pty < 0 ? 0 : vg_pump_set_pty(pump, pty);
}

/* stdout and stderr may be one file under one descriptor: each stream closes its own. */
static int own_sink(int fd, int other) {
        return fd >= 0 && fd == other ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : fd;
}

int vg_pump_new(struct vg_loop *loop, const struct vg_stream_fds *fds, void (*drained)(void *owner), void *owner,
                struct vg_pump **ret_pump) {
        struct vg_pump fallback, *made = calloc(1, sizeof *made), *pump = made ? made : &fallback;
        *pump = (struct vg_pump){
                .loop = loop,
                .streams = {{.from.source.fd = fds->in_fifo, .to.source.fd = fds->in_pipe, .keep = fds->in_keep},
                            {.from.source.fd = fds->out_pipe, .to.source.fd = fds->out_sink, .keep = fds->out_keep},
                            {.from.source.fd = fds->err_pipe,
                             .to.source.fd = own_sink(fds->err_sink, fds->out_sink),
                             .keep = own_sink(fds->err_keep, fds->out_keep)}},
                .pty.source.fd = -1,
                .again = {.fired = again_fired, .owner = pump},
                .logger = fds->logger,
                .drained = drained,
                .owner = owner,
        };
        int pty = fds->pty, r = made ? pump_open(pump, TAKE_FD(pty)) : -ENOMEM;
        if (r < 0) {
                vg_closep(&pty);
                pump_close(pump);
                free(made);
                return r;
        }
        *ret_pump = pump;
        return 0;
}

int vg_pump_set_pty(struct vg_pump *pump, int pty) {
        struct vg_stream *in = &pump->streams[STREAM_IN], *out = &pump->streams[STREAM_OUT];
        if (has_pty(pump) || out->runs) {
                close(pty);
                return -EEXIST;
        }
        pump->pty.source.fd = pty;
        pump->pty.leaves = &out->flow;
        pump->pty.enters = &in->flow;
        pump->has_output = true;
        if ((pump->size.ws_col || pump->size.ws_row) && ioctl(pty, TIOCSWINSZ, &pump->size) < 0)
                return -errno;
        int r = stream_start(pump, out, pty, out->to.source.fd);
        if (r == 0 && in->waits_for_pty)
                r = stream_start(pump, in, in->from.source.fd, pty);
        return r < 0 ? r : end_open(pump, &pump->pty);
}

void vg_pump_process_exited(struct vg_pump *pump) {
        struct vg_stream *out = &pump->streams[STREAM_OUT];
        pump->exited = true;
        if (has_pty(pump))
                out->flow.from_ready = true;
        else if (out->waits_for_pty)
                pty_close(pump);
        vg_timer_set(pump->loop, &pump->again, vg_now_mono());
}

bool vg_pump_is_drained(const struct vg_pump *pump) {
        const struct vg_stream *out = &pump->streams[STREAM_OUT], *err = &pump->streams[STREAM_ERR];
        return !out->runs && !out->waits_for_pty && !err->runs;
}

void vg_pump_close_stdin(struct vg_pump *pump) {
        vg_closep(&pump->streams[STREAM_IN].keep);
}

int vg_pump_resize(struct vg_pump *pump, uint16_t columns, uint16_t rows) {
        pump->size = (struct winsize){.ws_col = columns, .ws_row = rows};
        return has_pty(pump) && ioctl(pump->pty.source.fd, TIOCSWINSZ, &pump->size) < 0 ? -errno : 0;
}

void vg_pump_free(struct vg_pump *pump) {
        if (pump)
                pump_close(pump);
        free(pump);
}
