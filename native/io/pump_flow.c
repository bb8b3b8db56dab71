#include "io/pump_flow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define BUFFER_SIZE (32u << 10)
#define SPLICE_MIN (16 << 10)
#define SPLICE_SIZE (1u << 20)

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
        flow->buffer = malloc(BUFFER_SIZE);
        return flow->buffer ? 0 : -ENOMEM;
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

/* Whether what waits in the source is worth splicing. Each write of the container takes a whole buffer of the reader's FIFO
 * when it is spliced there, so that 16 short lines would fill it; copied they share pages. */
static bool flow_has_much(const struct vg_flow *flow) {
        int waiting;
        return flow->splices && ioctl(flow->from, FIONREAD, &waiting) == 0 && waiting >= SPLICE_MIN;
}

/* The source is not empty, so EAGAIN speaks of the sink. */
static enum vg_flow_state flow_splice(struct vg_flow *flow, size_t *moved) {
        ssize_t n = splice(flow->from, NULL, flow->to, NULL, SPLICE_SIZE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n > 0) {
                *moved += (size_t)n;
                return VG_FLOW_MORE;
        }
        if (n == 0)
                return VG_FLOW_ENDED;
        switch (errno) {
        case EAGAIN:
                flow->to_ready = false;
                return VG_FLOW_WAITS;
        case EINVAL:
                flow->splices = false;
                return VG_FLOW_MORE;
        case EINTR:
                return VG_FLOW_MORE;
        default:
                return VG_FLOW_BROKEN;
        }
}

/* Fills the empty buffer. */
static enum vg_flow_state flow_read(struct vg_flow *flow) {
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

/* Empties the buffer as far as the sink takes it. */
static enum vg_flow_state flow_write(struct vg_flow *flow, size_t *moved) {
        size_t size = flow->end - flow->start;
        ssize_t n = flow->to < 0 ? (ssize_t)size : write(flow->to, flow->buffer + flow->start, size);
        if (n > 0) {
                flow->start += (size_t)n;
                flow->last = flow->buffer[flow->start - 1];
                *moved += (size_t)n;
                return VG_FLOW_MORE;
        }
        if (n < 0 && errno == EINTR)
                return VG_FLOW_MORE;
        if (n < 0 && flow->to_file && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG || errno == EIO)) {
                flow->start = flow->end;
                *moved += size;
                return VG_FLOW_MORE;
        }
        flow->to_ready = false;
        if (n == 0 || errno == EAGAIN)
                return VG_FLOW_WAITS;
        return errno == EIO ? VG_FLOW_TO_HUNG : VG_FLOW_BROKEN;
}

static enum vg_flow_state flow_step(struct vg_flow *flow, size_t *moved) {
        bool to_ready = flow->to < 0 || flow->to_ready;
        if (flow->start < flow->end)
                return to_ready ? flow_write(flow, moved) : VG_FLOW_WAITS;
        if (flow->from < 0)
                return VG_FLOW_ENDED;
        if (!flow->from_ready)
                return VG_FLOW_WAITS;
        if (!flow_has_much(flow))
                return flow_read(flow); /* also into a sink that is full: the end is to be seen */
        return to_ready ? flow_splice(flow, moved) : VG_FLOW_WAITS;
}

enum vg_flow_state vg_flow_run(struct vg_flow *flow, size_t budget) {
        enum vg_flow_state state = VG_FLOW_MORE;
        for (size_t moved = 0; state == VG_FLOW_MORE && moved < budget;)
                state = flow_step(flow, &moved);
        return state;
}
