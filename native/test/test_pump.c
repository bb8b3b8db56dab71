/* Pipes, FIFOs and files: no byte is lost, nobody waits for a reader, nothing spins. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "io/pump.h"
#include "test/check.h"

static char directory[64];
static struct vg_loop *loop;

static const struct vg_stream_fds no_fds = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

static void count_drained(void *owner) {
        ++*(unsigned *)owner;
}

static bool not_zero(void *number) {
        return *(unsigned *)number != 0;
}

static const char *in_directory(const char *name) {
        static char path[128];
        snprintf(path, sizeof path, "%s/%s", directory, name);
        return path;
}

static int fifo_reader(const char *name) {
        int fd = open(in_directory(name), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        CHECK(fd >= 0);
        return fd;
}

/* Our two ends of an output FIFO. */
static void fifo_ends(const char *name, int *ret_sink, int *ret_keep) {
        CHECK(mkfifo(in_directory(name), 0700) == 0 || errno == EEXIST);
        *ret_keep = fifo_reader(name);
        *ret_sink = open(in_directory(name), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        CHECK(*ret_sink >= 0);
}

static void pipe_ends(int *ret_read, int *ret_write) {
        int ends[2];
        CHECK(pipe2(ends, O_CLOEXEC) == 0);
        *ret_read = ends[0];
        *ret_write = ends[1];
}

/* The n-th byte of every stream of these tests. */
static uint8_t byte_at(size_t n) {
        return (uint8_t)(n * 2654435761u >> 13);
}

static void write_stream(int fd, size_t size, size_t step) {
        uint8_t buffer[65536];
        for (size_t at = 0; at < size;) {
                size_t n = size - at < step ? size - at : step;
                for (size_t i = 0; i < n; i++)
                        buffer[i] = byte_at(at + i);
                ssize_t written = write(fd, buffer, n);
                if (written < 0)
                        _exit(errno == EPIPE ? 32 : 1);
                at += (size_t)written;
        }
}

static pid_t writer(int fd, size_t size, size_t step) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid > 0)
                return pid;
        write_stream(fd, size, step);
        _exit(0);
}

static int status_of(pid_t pid) {
        int status;
        CHECK(waitpid(pid, &status, 0) == pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool is_dead(void *pid) {
        siginfo_t info = {0};
        CHECK(waitid(P_PID, (id_t) * (pid_t *)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
        return info.si_pid != 0;
}

/* Reads what is there; returns the position after it. */
static size_t read_stream(int fd, size_t at, size_t limit) {
        uint8_t buffer[65536];
        while (limit > 0) {
                ssize_t n = read(fd, buffer, limit < sizeof buffer ? limit : sizeof buffer);
                if (n <= 0) {
                        CHECK(n == 0 || errno == EAGAIN);
                        break;
                }
                for (ssize_t i = 0; i < n; i++)
                        if (buffer[i] != byte_at(at + (size_t)i)) {
                                fprintf(stderr, "wrong byte at %zu\n", at + (size_t)i);
                                exit(1);
                        }
                at += (size_t)n;
                limit -= (size_t)n;
        }
        return at;
}

struct heart {
        struct vg_timer timer;
        uint64_t last, longest, beats;
};

static void heart_beat(struct vg_timer *timer) {
        struct heart *heart = timer->owner;
        uint64_t now = vg_now_mono();
        if (now - heart->last > heart->longest)
                heart->longest = now - heart->last;
        heart->last = now;
        heart->beats++;
        vg_timer_set(loop, timer, now + 1000000);
}

static void heart_start(struct heart *heart) {
        *heart = (struct heart){.last = vg_now_mono(), .timer = {.fired = heart_beat, .owner = heart}};
        vg_timer_set(loop, &heart->timer, heart->last);
}

static uint64_t cpu_ns(void) {
        struct timespec ts;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void a_slow_reader_gets_every_byte(size_t step) {
        enum { SIZE = 64 << 20 };
        unsigned drained = 0;
        struct vg_stream_fds fds = no_fds;
        struct vg_pump *pump;
        struct heart heart;
        int container;
        fifo_ends("out", &fds.out_sink, &fds.out_keep);
        pipe_ends(&fds.out_pipe, &container);
        pid_t container_pid = writer(container, SIZE, step);
        close(container);
        pid_t reader_pid = fork();
        CHECK(reader_pid >= 0);
        if (reader_pid == 0) {
                int fd = open(in_directory("out"), O_RDONLY);
                close(fds.out_sink);
                close(fds.out_keep);
                size_t at = 0;
                for (size_t last = 1, i = 0; at != last; i++) {
                        last = at;
                        at = read_stream(fd, at, 65536);
                        if (i % 16 == 0)
                                usleep(1000);
                }
                _exit(at == SIZE ? 0 : 1);
        }
        CHECK_EQ(vg_pump_new(loop, &fds, count_drained, &drained, &pump), 0);
        heart_start(&heart);
        CHECK(vg_test_run(loop, 9000, not_zero, &drained));
        CHECK(vg_pump_is_drained(pump));
        vg_timer_cancel(&heart.timer);
        CHECK_EQ(status_of(container_pid), 0);
        CHECK_EQ(status_of(reader_pid), 0);
        CHECK(heart.longest < 200000000);
        vg_pump_free(pump);
        CHECK_EQ(drained, 1);
}

static void a_reader_goes_and_another_one_comes(void) {
        enum { SIZE = 1 << 20 };
        unsigned drained = 0;
        struct vg_stream_fds fds = no_fds;
        struct vg_pump *pump;
        int container;
        fifo_ends("out", &fds.out_sink, &fds.out_keep);
        pipe_ends(&fds.out_pipe, &container);
        pid_t pid = writer(container, SIZE, 4096);
        close(container);
        CHECK_EQ(vg_pump_new(loop, &fds, count_drained, &drained, &pump), 0);
        size_t at = 0;
        for (unsigned i = 0; at < SIZE; i++) {
                CHECK(i < 1000);
                int reader = fifo_reader("out");
                vg_test_run(loop, 2, NULL, NULL);
                at = read_stream(reader, at, 100000);
                close(reader);
                vg_test_run(loop, 2, NULL, NULL);
        }
        CHECK(vg_test_run(loop, 1000, not_zero, &drained));
        CHECK_EQ(status_of(pid), 0);
        vg_pump_free(pump);
}

static void nobody_reads(void) {
        unsigned drained = 0;
        struct vg_stream_fds fds = no_fds;
        struct vg_pump *pump;
        struct heart heart;
        int container, errors;
        fifo_ends("out", &fds.out_sink, &fds.out_keep);
        fifo_ends("err", &fds.err_sink, &fds.err_keep);
        pipe_ends(&fds.out_pipe, &container);
        pipe_ends(&fds.err_pipe, &errors);
        pid_t pid = writer(container, 1 << 20, 1000), other = writer(errors, 1 << 20, 7);
        close(container);
        close(errors);
        CHECK_EQ(vg_pump_new(loop, &fds, count_drained, &drained, &pump), 0);
        vg_test_run(loop, 300, NULL, NULL);
        heart_start(&heart);
        uint64_t cpu = cpu_ns();
        vg_test_run(loop, 300, NULL, NULL);
        cpu = cpu_ns() - cpu;
        vg_timer_cancel(&heart.timer);
        CHECK(heart.beats > 100);
        /* 600 timers of the test itself; a loop that spins takes all of the 300 ms. */
        CHECK(cpu < 100000000);
        CHECK(!is_dead(&pid) && !is_dead(&other) && !drained);
        /* Freeing the pump lets them go. */
        vg_pump_free(pump);
        CHECK_EQ(status_of(pid), 32);
        CHECK_EQ(status_of(other), 32);
        CHECK_EQ(drained, 0);
}

/* The FIFO takes 64 KiB: all is handed on although nobody reads it yet, and the end is seen although the FIFO is full. */
static void the_end_is_seen_behind_a_full_sink(bool splices) {
        unsigned drained = 0;
        struct vg_stream_fds fds = no_fds;
        struct vg_pump *pump;
        int container;
        fifo_ends("out", &fds.out_sink, &fds.out_keep);
        if (splices)
                pipe_ends(&fds.out_pipe, &container);
        else
                pipe_ends(&fds.out_pipe, &container);
        int reader = fifo_reader("out");
        write_stream(container, 65536, 4096);
        CHECK_EQ(vg_pump_new(loop, &fds, count_drained, &drained, &pump), 0);
        vg_test_run(loop, 20, NULL, NULL);
        CHECK_EQ(drained, 0);
        close(container);
        CHECK(vg_test_run(loop, 1000, not_zero, &drained));
        CHECK_EQ(read_stream(reader, 0, 1 << 20), 65536);
        uint8_t byte;
        CHECK_EQ(read(reader, &byte, 1), 0);
        close(reader);
        vg_pump_free(pump);
}
