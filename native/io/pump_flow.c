#include "io/pump_flow.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define BUFFER_SIZE (32u << 10)
#define SPLICE_SIZE (256u << 10)

static int flow_buffer(struct vg_flow *flow) {
        if (!flow->buffer)
                flow->buffer = malloc(BUFFER_SIZE);
        return flow->buffer ? 0 : -ENOMEM;
}

int vg_flow_init(struct vg_flow *flow, int from, int to) {
        struct stat source, sink;
        *flow = (struct vg_flow){.from = from, .to = to};
        if (fstat(from, &source) < 0)
                return -errno;
        if (to >= 0) {
                if (fstat(to, &sink) < 0)
                        return -errno;
                flow->splices = S_ISFIFO(source.st_mode) && S_ISFIFO(sink.st_mode);
                flow->to_file = S_ISREG(sink.st_mode);
        }
        return flow->splices ? 0 : flow_buffer(flow);
}

void vg_flow_drop(struct vg_flow *flow) {
        flow->to = -1;
        flow->start = flow->end = 0;
}

void vg_flow_done(struct vg_flow *flow) {
        free(flow->buffer);
        *flow = (struct vg_flow){.from = -1, .to = -1};
}

/* The end-of-file character twice where the line is not empty, as the first one then only hands the line on (termios(3)). */
int vg_flow_type_end(struct vg_flow *flow) {
        struct termios mode;
        flow->from = -1;
        if (tcgetattr(flow->to, &mode) < 0)
                return -errno;
        if (mode.c_cc[VEOF] == _POSIX_VDISABLE)
                return -ENOTSUP;
        bool line_is_empty = flow->last == 0 || flow->last == '\n' || flow->last == '\r';
        flow->buffer[0] = flow->buffer[1] = mode.c_cc[VEOF];
        flow->start = 0;
        flow->end = line_is_empty ? 1 : 2;
        return 0;
}

/* A pipe that is empty and has no writer any more polls as POLLHUP alone: its end can be told while the sink is full. */
static bool flow_source_is_over(const struct vg_flow *flow) {
        struct pollfd source = {.fd = flow->from, .events = POLLIN};
        struct stat st;
        return poll(&source, 1, 0) == 1 && source.revents == POLLHUP && fstat(flow->from, &st) == 0 && S_ISFIFO(st.st_mode);
}

/* EAGAIN of splice(2) does not say which side would block. Asking both afterwards is free of races: what becomes ready
 * later makes an edge. */
static enum vg_flow_state flow_after_eagain(struct vg_flow *flow) {
        struct pollfd ends[] = {{.fd = flow->from, .events = POLLIN}, {.fd = flow->to, .events = POLLOUT}};
        if (poll(ends, 2, 0) < 0)
                return VG_FLOW_MORE;
        flow->from_ready = ends[0].revents;
        flow->to_ready = ends[1].revents;
        if (ends[0].revents == POLLHUP)
                return VG_FLOW_ENDED;
        return flow->from_ready && flow->to_ready ? VG_FLOW_MORE : VG_FLOW_WAITS;
}

static enum vg_flow_state flow_stop_splicing(struct vg_flow *flow) {
        if (flow_buffer(flow) < 0)
                return VG_FLOW_BROKEN;
        flow->splices = false;
        return VG_FLOW_MORE;
}

static enum vg_flow_state flow_splice(struct vg_flow *flow, size_t budget) {
        size_t moved = 0;
        unsigned refused = 0;
        while (moved < budget) {
                size_t size = budget - moved < SPLICE_SIZE ? budget - moved : SPLICE_SIZE;
                ssize_t n = splice(flow->from, NULL, flow->to, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
                if (n > 0) {
                        moved += (size_t)n;
                        refused = 0;
                } else if (n == 0) {
                        return VG_FLOW_ENDED;
                } else if (errno == EAGAIN) {
                        enum vg_flow_state state = flow_after_eagain(flow);
                        if (state != VG_FLOW_MORE)
                                return state;
                        /* Both sides ready and still refused: copying cannot be refused for ever. */
                        if (++refused == 3)
                                return flow_stop_splicing(flow);
                } else if (errno == EINVAL) {
                        return flow_stop_splicing(flow);
                } else if (errno != EINTR) {
                        return VG_FLOW_BROKEN;
                }
        }
        return VG_FLOW_MORE;
}

/* Fills the empty buffer. VG_FLOW_MORE: there is something in it. */
static enum vg_flow_state flow_read(struct vg_flow *flow) {
        if (flow->from < 0)
                return VG_FLOW_ENDED;
        if (!flow->from_ready)
                return VG_FLOW_WAITS;
        ssize_t n = read(flow->from, flow->buffer, BUFFER_SIZE);
        if (n > 0) {
                flow->start = 0;
                flow->end = (size_t)n;
                return VG_FLOW_MORE;
        }
        if (n == 0)
                return VG_FLOW_ENDED;
        if (errno == EINTR)
                return VG_FLOW_MORE;
        flow->from_ready = false;
        if (errno == EAGAIN)
                return VG_FLOW_WAITS;
        return errno == EIO ? VG_FLOW_FROM_HUNG : VG_FLOW_ENDED;
}

/* Empties the buffer as far as the sink takes it. VG_FLOW_MORE: it took something. */
static enum vg_flow_state flow_write(struct vg_flow *flow) {
        size_t size = flow->end - flow->start;
        ssize_t n = flow->to < 0 ? (ssize_t)size : write(flow->to, flow->buffer + flow->start, size);
        if (n > 0) {
                flow->start += (size_t)n;
                flow->last = flow->buffer[flow->start - 1];
                return VG_FLOW_MORE;
        }
        if (n < 0 && errno == EINTR)
                return VG_FLOW_MORE;
        if (n < 0 && flow->to_file && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO)) {
                flow->start = flow->end;
                return VG_FLOW_MORE;
        }
        if (n == 0 || errno == EAGAIN || errno == EIO) {
                flow->to_ready = false;
                return n < 0 && errno == EIO ? VG_FLOW_TO_HUNG : VG_FLOW_WAITS;
        }
        return VG_FLOW_BROKEN;
}

static enum vg_flow_state flow_copy(struct vg_flow *flow, size_t budget) {
        size_t moved = 0;
        while (moved < budget) {
                size_t size = flow->end - flow->start;
                enum vg_flow_state state = size ? flow_write(flow) : flow_read(flow);
                if (state != VG_FLOW_MORE)
                        return state;
                if (size)
                        moved += size - (flow->end - flow->start);
        }
        return VG_FLOW_MORE;
}

enum vg_flow_state vg_flow_run(struct vg_flow *flow, size_t budget) {
        if (flow->to >= 0 && !flow->to_ready) {
                if (flow->start == flow->end && flow->from >= 0 && flow_source_is_over(flow))
                        return VG_FLOW_ENDED;
                return VG_FLOW_WAITS;
        }
        if (flow->splices)
                return flow->from_ready ? flow_splice(flow, budget) : VG_FLOW_WAITS;
        return flow_copy(flow, budget);
}
