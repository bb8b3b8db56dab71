#include "io/open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/logger.h"
#include "io/timer.h"
#include "lib/cleanup.h"
#include "vigil.h"

static const char *const names[3] = {"stdin", "stdout", "stderr"};

/* The reader's end of one output, and what keeps it open. */
struct sink {
        int write, keep;
};

static int reopen(int handle, int flags) {
        char path[sizeof("/proc/self/fd/-2147483648")];
        snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
        int fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
        return fd < 0 ? -errno : fd;
}

static int set_nonblock(int fd) {
        int flags = fcntl(fd, F_GETFL);
        return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* Through an O_PATH handle: what was looked at is what is opened, also when the FIFO is unlinked in between. */
static int open_handle(const char *path, int *ret_handle, mode_t *ret_mode) {
        _cleanup_close_ int handle = open(path, O_PATH | O_CLOEXEC);
        struct stat st;
        if (handle < 0 || fstat(handle, &st) < 0)
                return -errno;
        if (!S_ISFIFO(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
                return -EINVAL;
        *ret_handle = TAKE_FD(handle);
        *ret_mode = st.st_mode;
        return 0;
}

static int open_output(const char *path, struct sink *ret_sink) {
        _cleanup_close_ int handle = -1, sink = -1, keep = -1;
        mode_t mode;
        int status = open_handle(path, &handle, &mode);
        if (status < 0)
                return status;
        /* A FIFO: blocks until the client has its reading end, so that nothing is written to nobody. */
        sink = reopen(handle, S_ISFIFO(mode) ? O_WRONLY : O_WRONLY | O_APPEND);
        if (sink < 0)
                return sink == -EINTR ? -ETIMEDOUT : sink;
        if (S_ISFIFO(mode)) {
                /* Held so that a client can go away and come back without SIGPIPE and without loss. */
                keep = reopen(handle, O_RDONLY | O_NONBLOCK);
                if (keep < 0)
                        return keep;
        }
        status = set_nonblock(sink);
        if (status < 0)
                return status;
        *ret_sink = (struct sink){.write = TAKE_FD(sink), .keep = TAKE_FD(keep)};
        return 0;
}

static int make_parents(const char *path) {
        _cleanup_free_ char *parents = strdup(path);
        if (!parents)
                return -ENOMEM;
        for (char *slash = strchr(parents + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = 0;
                if (mkdir(parents, 0755) < 0 && errno != EEXIST)
                        return -errno;
                *slash = '/';
        }
        return 0;
}

static int open_file(const char *path, struct sink *ret_sink) {
        if (path[0] != '/')
                return -EINVAL;
        int status = make_parents(path);
        if (status < 0)
                return status;
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0644);
        if (fd < 0)
                return -errno;
        *ret_sink = (struct sink){.write = fd, .keep = -1};
        return 0;
}

static int make_pipe(int *ret_read, int *ret_write) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        *ret_read = ends[0];
        *ret_write = ends[1];
        return 0;
}

static int give(int fd, const struct vg_birth *birth) {
        return fchown(fd, birth->io_uid, birth->io_gid) < 0 ? -errno : 0;
}

static int open_own(const struct vg_birth *birth, struct vg_streams *s, int number) {
        if (birth->streams[number].kind != VG_STREAM_INHERIT || birth->terminal)
                return 0;
        s->container[number] = fcntl(number, F_DUPFD_CLOEXEC, 3);
        return s->container[number] < 0 ? -errno : 0;
}

static int open_null(struct vg_streams *s, int number) {
        if (s->container[number] >= 0)
                return 0;
        s->container[number] = open("/dev/null", O_RDWR | O_CLOEXEC);
        return s->container[number] < 0 ? -errno : 0;
}

static int open_stdin(const struct vg_birth *birth, struct vg_streams *s) {
        const struct vg_stream_spec *spec = &birth->streams[0];
        if (spec->kind == VG_STREAM_NULL || spec->kind == VG_STREAM_INHERIT)
                return 0;
        if (spec->kind != VG_STREAM_PATH)
                return -EINVAL;
        _cleanup_close_ int handle = -1;
        mode_t mode;
        int status = open_handle(spec->path, &handle, &mode);
        if (status < 0)
                return status;
        /* Reading end first: the writing end does not open without blocking otherwise. Nothing is read before both are there, so
         * the end of file that a FIFO without writer gives is never seen. */
        s->fds.in_fifo = reopen(handle, O_RDONLY | O_NONBLOCK);
        if (s->fds.in_fifo < 0)
                return s->fds.in_fifo;
        if (S_ISFIFO(mode)) {
                s->fds.in_keep = reopen(handle, O_WRONLY | O_NONBLOCK);
                if (s->fds.in_keep < 0)
                        return s->fds.in_keep;
        }
        if (birth->terminal)
                return 0;
        status = make_pipe(&s->container[0], &s->fds.in_pipe);
        if (status == 0)
                status = set_nonblock(s->fds.in_pipe);
        return status == 0 ? give(s->container[0], birth) : status;
}

static int open_sink(const struct vg_birth *birth, int number, struct vg_streams *s) {
        const struct vg_stream_spec *spec = &birth->streams[number];
        int *sink = number == 1 ? &s->fds.out_sink : &s->fds.err_sink, *keep = number == 1 ? &s->fds.out_keep : &s->fds.err_keep;
        int *from = number == 1 ? &s->fds.out_pipe : &s->fds.err_pipe;
        /* A terminal has one output. */
        if (spec->kind == VG_STREAM_NULL || spec->kind == VG_STREAM_LOGGER || spec->kind == VG_STREAM_INHERIT ||
            (birth->terminal && number == 2))
                return 0;
        struct sink made = {-1, -1};
        int status = spec->kind == VG_STREAM_FILE ? open_file(spec->path, &made) : open_output(spec->path, &made);
        if (status < 0)
                return status;
        *sink = made.write;
        *keep = made.keep;
        if (birth->terminal)
                return 0;
        status = make_pipe(from, &s->container[number]);
        if (status == 0)
                status = set_nonblock(*from);
        return status == 0 ? give(s->container[number], birth) : status;
}

/* The container writes into the logger's pipes itself; only a terminal's output goes through the core. */
static int open_logger(const struct vg_birth *birth, struct vg_streams *s) {
        bool wanted[3] = {false, birth->streams[1].kind == VG_STREAM_LOGGER, birth->streams[2].kind == VG_STREAM_LOGGER};
        if (!wanted[1] && !wanted[2])
                return 0;
        _cleanup_close_ int out = -1, out_write = -1, err = -1, err_write = -1;
        int status = make_pipe(&out, &out_write);
        if (status == 0)
                status = make_pipe(&err, &err_write);
        if (status == 0)
                status = give(out_write, birth);
        if (status == 0)
                status = give(err_write, birth);
        if (status < 0)
                return status;
        const struct vg_logger_spec spec = {birth->logger_argv, birth->logger_env, out, err, birth->logger_must_ready};
        status = vg_logger_start(&spec, &s->logger, &s->logger_pidfd);
        if (status < 0)
                return status == -EINTR ? -ETIMEDOUT : status;
        if (birth->terminal) {
                status = wanted[1] ? set_nonblock(out_write) : 0;
                s->fds.out_sink = wanted[1] ? TAKE_FD(out_write) : -1;
                return status;
        }
        if (wanted[1])
                s->container[1] = TAKE_FD(out_write);
        if (wanted[2])
                s->container[2] = TAKE_FD(err_write);
        return 0;
}

static int open_all(const struct vg_birth *birth, struct vg_streams *s, struct vg_failure *failure) {
        int status = open_stdin(birth, s);
        if (status < 0)
                return vg_fail(failure, status, "open stdin %s", birth->streams[0].path);
        for (int number = 1; number < 3; number++) {
                status = open_sink(birth, number, s);
                if (status == -ETIMEDOUT)
                        return vg_fail_words(failure, status, "open %s %s: nobody opened it for reading within %u ms",
                                             names[number], birth->streams[number].path, birth->io_timeout_ms);
                if (status < 0)
                        return vg_fail(failure, status, "open %s %s", names[number], birth->streams[number].path);
        }
        status = open_logger(birth, s);
        if (status == -EPROTO)
                return vg_fail_words(failure, status, "logger %s ended before it was ready", birth->logger_argv[0]);
        if (status < 0)
                return vg_fail(failure, status, "start logger %s", birth->logger_argv[0] ? birth->logger_argv[0] : "");
        for (int number = 0; number < 3; number++) {
                status = open_own(birth, s, number);
                if (status < 0)
                        return vg_fail(failure, status, "take over %s", names[number]);
                status = open_null(s, number);
                if (status < 0)
                        return vg_fail(failure, status, "open /dev/null");
        }
        return 0;
}

int vg_streams_open(const struct vg_birth *birth, struct vg_streams *ret_streams, struct vg_failure *failure) {
        struct vg_streams s = {
                .fds = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
                .container = {-1, -1, -1},
                .logger_pidfd = -1,
        };
        int status = vg_io_timer_start(birth->io_timeout_ms);
        if (status < 0)
                return vg_fail(failure, status, "limit the time for opening streams");
        status = open_all(birth, &s, failure);
        vg_io_timer_stop();
        if (status < 0) {
                vg_streams_done(&s);
                return status;
        }
        *ret_streams = s;
        return 0;
}

void vg_streams_close_core_ends(struct vg_streams *s) {
        int *ends[] = {&s->fds.in_fifo,  &s->fds.in_keep,  &s->fds.in_pipe,  &s->fds.out_pipe, &s->fds.out_sink,
                       &s->fds.out_keep, &s->fds.err_pipe, &s->fds.err_sink, &s->fds.err_keep};
        for (size_t i = 0; i < VG_COUNT(ends); i++)
                vg_closep(ends[i]);
}

void vg_streams_done(struct vg_streams *s) {
        vg_streams_close_core_ends(s);
        for (int i = 0; i < 3; i++)
                vg_closep(&s->container[i]);
        if (s->logger > 0)
                vg_logger_stop(s->logger, s->logger_pidfd);
        vg_closep(&s->logger_pidfd);
        s->logger = 0;
}
