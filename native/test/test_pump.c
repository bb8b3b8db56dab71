/* Pipes, FIFOs and files: no byte is lost, nobody waits for a reader, nothing spins. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "io/pump.h"
#include "test/test_loop.h"

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

/* In a child: it would hold the other end of its own pipe. */
static int keep_only(int fd) {
        CHECK(dup2(fd, 3) == 3 && close_range(4, ~0u, 0) == 0);
        return 3;
}

static pid_t writer(int fd, size_t size, size_t step) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid > 0)
                return pid;
        write_stream(keep_only(fd), size, step);
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
        uint64_t beats;
};

static void heart_beat(struct vg_timer *timer) {
        struct heart *heart = timer->owner;
        heart->beats++;
        vg_timer_set(loop, timer, vg_now_mono() + 1000000);
}

static void heart_start(struct heart *heart) {
        *heart = (struct heart){.timer = {.fired = heart_beat, .owner = heart}};
        vg_timer_set(loop, &heart->timer, vg_now_mono());
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
        CHECK(vg_test_await(loop, not_zero, &drained));
        CHECK(vg_pump_is_drained(pump));
        vg_timer_cancel(&heart.timer);
        CHECK_EQ(status_of(container_pid), 0);
        CHECK_EQ(status_of(reader_pid), 0);
        CHECK(heart.beats > 10);
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
        CHECK(vg_test_await(loop, not_zero, &drained));
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
        CHECK(heart.beats > 10);
        /* 600 timers of the test itself; a loop that spins takes all of the 300 ms. */
        CHECK(cpu < 100000000);
        CHECK(!is_dead(&pid) && !is_dead(&other) && !drained);
        /* Freeing the pump lets them go. */
        vg_pump_free(pump);
        CHECK_EQ(status_of(pid), 32);
        CHECK_EQ(status_of(other), 32);
        CHECK_EQ(drained, 0);
}

/* A FIFO has room for 16 pieces; what is written in small ones must still fill its pages. */
static void short_writes_share_the_pages_of_the_sink(void) {
        unsigned drained = 0;
        struct vg_stream_fds fds = no_fds;
        struct vg_pump *pump;
        int container;
        fifo_ends("out", &fds.out_sink, &fds.out_keep);
        pipe_ends(&fds.out_pipe, &container);
        int reader = fifo_reader("out");
        CHECK_EQ(vg_pump_new(loop, &fds, count_drained, &drained, &pump), 0);
        for (size_t i = 0; i < 100; i++) {
                uint8_t byte = byte_at(i);
                CHECK(write(container, &byte, 1) == 1);
                vg_test_run(loop, 1, NULL, NULL);
        }
        CHECK_EQ(read_stream(reader, 0, 1000), 100);
        close(container);
        close(reader);
        vg_pump_free(pump);
}

/* More than one turn's worth, and only one edge to tell it. */
static void it_comes_back_for_the_rest(void) {
        unsigned drained = 0;
        struct vg_stream_fds fds = no_fds;
        struct vg_pump *pump;
        int container;
        pipe_ends(&fds.out_pipe, &container);
        CHECK(fcntl(container, F_SETPIPE_SZ, 1 << 20) == 1 << 20);
        write_stream(container, 1 << 20, 65536);
        close(container);
        CHECK_EQ(vg_pump_new(loop, &fds, count_drained, &drained, &pump), 0);
        CHECK(vg_test_await(loop, not_zero, &drained));
        vg_pump_free(pump);
}

/* The FIFO takes 64 KiB: all is handed on although nobody reads it yet, and the end is seen although the FIFO is full. */
static void the_end_is_seen_behind_a_full_sink(void) {
        unsigned drained = 0;
        struct vg_stream_fds fds = no_fds;
        struct vg_pump *pump;
        int container;
        fifo_ends("out", &fds.out_sink, &fds.out_keep);
        pipe_ends(&fds.out_pipe, &container);
        int reader = fifo_reader("out");
        write_stream(container, 65536, 4096);
        CHECK_EQ(vg_pump_new(loop, &fds, count_drained, &drained, &pump), 0);
        vg_test_run(loop, 20, NULL, NULL);
        CHECK_EQ(drained, 0);
        close(container);
        CHECK(vg_test_await(loop, not_zero, &drained));
        CHECK_EQ(read_stream(reader, 0, 1 << 20), 65536);
        uint8_t byte;
        CHECK_EQ(read(reader, &byte, 1), 0);
        close(reader);
        vg_pump_free(pump);
}

static void two_streams_share_a_file(bool one_descriptor) {
        enum { LINES = 20000, LINE = 16 };
        unsigned drained = 0;
        struct vg_stream_fds fds = no_fds;
        struct vg_pump *pump;
        int ends[2];
        unlink(in_directory("log"));
        fds.out_sink = open(in_directory("log"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        CHECK(fds.out_sink >= 0);
        fds.err_sink = one_descriptor ? fds.out_sink : open(in_directory("log"), O_WRONLY | O_APPEND | O_CLOEXEC);
        pipe_ends(&fds.out_pipe, &ends[0]);
        pipe_ends(&fds.err_pipe, &ends[1]);
        pid_t pids[2];
        for (unsigned i = 0; i < 2; i++) {
                pids[i] = fork();
                CHECK(pids[i] >= 0);
                if (pids[i])
                        continue;
                for (unsigned n = 0; n < LINES; n++) {
                        char line[LINE + 1];
                        snprintf(line, sizeof line, "%c %013u\n", "oe"[i], n);
                        if (write(ends[i], line, LINE) != LINE)
                                _exit(1);
                }
                _exit(0);
        }
        close(ends[0]);
        close(ends[1]);
        CHECK_EQ(vg_pump_new(loop, &fds, count_drained, &drained, &pump), 0);
        CHECK(vg_test_await(loop, not_zero, &drained));
        CHECK_EQ(status_of(pids[0]), 0);
        CHECK_EQ(status_of(pids[1]), 0);
        FILE *log = fopen(in_directory("log"), "re");
        CHECK(log);
        unsigned next[2] = {0, 0}, number;
        char which, line[64];
        while (fgets(line, sizeof line, log)) {
                CHECK(sscanf(line, "%c %u", &which, &number) == 2);
                CHECK_EQ(number, next[which == 'e']++);
        }
        fclose(log);
        CHECK_EQ(next[0], LINES);
        CHECK_EQ(next[1], LINES);
        vg_pump_free(pump);
        CHECK_EQ(drained, 1);
}

/* In a child: it has a mount namespace of its own. */
static void a_full_disk_does_not_end_the_container(void) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child) {
                int status = status_of(child);
                if (status == 77)
                        printf("left out: a_full_disk_does_not_end_the_container: no mount namespace here\n");
                else
                        CHECK_EQ(status, 0);
                return;
        }
        vg_loop_free(loop);
        CHECK_EQ(vg_loop_new(&loop), 0);
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", directory, "tmpfs", 0, "size=64k") < 0)
                _exit(77);
        unsigned drained = 0;
        struct vg_stream_fds fds = no_fds;
        struct vg_pump *pump;
        int container;
        fds.out_sink = open(in_directory("log"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        pipe_ends(&fds.out_pipe, &container);
        pid_t pid = writer(container, 1 << 20, 4096);
        close(container);
        CHECK_EQ(vg_pump_new(loop, &fds, count_drained, &drained, &pump), 0);
        CHECK(vg_test_await(loop, not_zero, &drained));
        CHECK_EQ(status_of(pid), 0);
        int log = open(in_directory("log"), O_RDONLY | O_CLOEXEC);
        CHECK_EQ(read_stream(log, 0, 1 << 20), 65536);
        close(log);
        vg_pump_free(pump);
        vg_loop_free(loop);
        exit(0);
}

/* A logging program that is gone: no FIFO keeps its place. */
static void a_sink_that_broke_ends_the_writer(void) {
        unsigned drained = 0;
        struct vg_stream_fds fds = no_fds;
        struct vg_pump *pump;
        int container, logger;
        pipe_ends(&logger, &fds.out_sink);
        pipe_ends(&fds.out_pipe, &container);
        CHECK_EQ(vg_pump_new(loop, &fds, count_drained, &drained, &pump), 0);
        vg_test_run(loop, 10, NULL, NULL);
        close(logger);
        CHECK_EQ(drained, 0);
        pid_t pid = writer(container, 1 << 20, 4096);
        close(container);
        CHECK(vg_test_await(loop, not_zero, &drained));
        CHECK_EQ(status_of(pid), 32);
        vg_pump_free(pump);
}

static void no_sink_drops_the_output(void) {
        unsigned drained = 0;
        struct vg_stream_fds fds = no_fds;
        struct vg_pump *pump;
        int container;
        pipe_ends(&fds.err_pipe, &container);
        pid_t pid = writer(container, 4 << 20, 4096);
        close(container);
        CHECK_EQ(vg_pump_new(loop, &fds, count_drained, &drained, &pump), 0);
        CHECK(vg_test_await(loop, not_zero, &drained));
        CHECK_EQ(status_of(pid), 0);
        vg_pump_free(pump);
}

static void a_child_in_the_background_holds_the_output(void) {
        unsigned drained = 0;
        struct vg_stream_fds fds = no_fds;
        struct vg_pump *pump;
        int container, gate[2];
        fifo_ends("out", &fds.out_sink, &fds.out_keep);
        int reader = fifo_reader("out");
        pipe_ends(&fds.out_pipe, &container);
        pipe_ends(&gate[0], &gate[1]);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                close(gate[1]);
                write_stream(container, 1000, 1000);
                uint8_t byte;
                if (fork() == 0 && read(gate[0], &byte, 1) == 0) {
                        for (size_t i = 1000; i < 2000; i++)
                                if (byte = byte_at(i), write(container, &byte, 1) != 1)
                                        _exit(1);
                }
                _exit(0);
        }
        close(container);
        close(gate[0]);
        CHECK_EQ(vg_pump_new(loop, &fds, count_drained, &drained, &pump), 0);
        CHECK_EQ(status_of(pid), 0);
        vg_pump_process_exited(pump);
        CHECK(!vg_test_run(loop, 100, not_zero, &drained));
        CHECK(!vg_pump_is_drained(pump));
        size_t at = read_stream(reader, 0, 5000);
        CHECK_EQ(at, 1000);
        close(gate[1]);
        CHECK(vg_test_await(loop, not_zero, &drained));
        CHECK_EQ(read_stream(reader, at, 5000), 2000);
        close(reader);
        vg_pump_free(pump);
        CHECK_EQ(drained, 1);
}

static void nothing_to_drain_is_told_after_the_exit(void) {
        unsigned drained = 0;
        struct vg_pump *pump;
        CHECK_EQ(vg_pump_new(loop, &no_fds, count_drained, &drained, &pump), 0);
        CHECK(vg_pump_is_drained(pump));
        CHECK(!vg_test_run(loop, 20, not_zero, &drained));
        vg_pump_process_exited(pump);
        CHECK_EQ(drained, 0);
        CHECK(vg_test_await(loop, not_zero, &drained));
        vg_pump_free(pump);
        CHECK_EQ(drained, 1);
}

struct freed_inside {
        struct vg_pump *pump;
        unsigned freed;
};

static void free_pump(void *owner) {
        struct freed_inside *inside = owner;
        vg_pump_free(inside->pump);
        inside->freed++;
}

static void the_owner_may_free_it_when_told(void) {
        struct freed_inside inside = {0};
        struct vg_stream_fds fds = no_fds;
        int container;
        fifo_ends("out", &fds.out_sink, &fds.out_keep);
        pipe_ends(&fds.out_pipe, &container);
        close(container);
        CHECK_EQ(vg_pump_new(loop, &fds, free_pump, &inside, &inside.pump), 0);
        CHECK(vg_test_await(loop, not_zero, &inside.freed));
        vg_test_run(loop, 10, NULL, NULL);
        CHECK_EQ(inside.freed, 1);
}

struct stdin_ends {
        struct vg_pump *pump;
        int client, container;
        unsigned drained;
};

static void stdin_new(struct stdin_ends *ends) {
        struct vg_stream_fds fds = no_fds;
        CHECK(mkfifo(in_directory("in"), 0700) == 0 || errno == EEXIST);
        fds.in_fifo = fifo_reader("in");
        fds.in_keep = open(in_directory("in"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        ends->client = open(in_directory("in"), O_WRONLY | O_CLOEXEC);
        CHECK(fds.in_keep >= 0 && ends->client >= 0);
        pipe_ends(&ends->container, &fds.in_pipe);
        CHECK(fcntl(ends->container, F_SETFL, O_NONBLOCK) == 0);
        ends->drained = 0;
        CHECK_EQ(vg_pump_new(loop, &fds, count_drained, &ends->drained, &ends->pump), 0);
}

static void stdin_ends_when_both_ends_are_closed(bool client_first) {
        struct stdin_ends ends;
        uint8_t byte;
        stdin_new(&ends);
        write_stream(ends.client, 5000, 5000);
        vg_test_run(loop, 10, NULL, NULL);
        CHECK_EQ(read_stream(ends.container, 0, 10000), 5000);
        if (client_first)
                close(ends.client);
        else
                vg_pump_close_stdin(ends.pump);
        vg_test_run(loop, 10, NULL, NULL);
        CHECK(read(ends.container, &byte, 1) < 0 && errno == EAGAIN);
        if (client_first) {
                /* Another client may come: the FIFO is still ours. */
                ends.client = open(in_directory("in"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
                CHECK(ends.client >= 0);
                CHECK(write(ends.client, "x", 1) == 1);
                close(ends.client);
                vg_test_run(loop, 10, NULL, NULL);
                CHECK(read(ends.container, &byte, 1) == 1 && byte == 'x');
                vg_pump_close_stdin(ends.pump);
        } else {
                close(ends.client);
        }
        vg_test_run(loop, 10, NULL, NULL);
        CHECK_EQ(read(ends.container, &byte, 1), 0);
        close(ends.container);
        vg_pump_free(ends.pump);
}

/* More than both pipes hold: the client is stopped until the container reads, and nobody else is. */
static void a_container_that_does_not_read_stops_only_its_client(void) {
        struct stdin_ends ends;
        stdin_new(&ends);
        pid_t pid = writer(ends.client, 1 << 20, 4096);
        close(ends.client);
        uint64_t cpu = cpu_ns();
        vg_test_run(loop, 200, NULL, NULL);
        CHECK(cpu_ns() - cpu < 100000000);
        CHECK(!is_dead(&pid));
        vg_pump_close_stdin(ends.pump);
        size_t at = 0;
        for (unsigned i = 0; i < 2000 && at < 1 << 20; i++) {
                at = read_stream(ends.container, at, 1 << 20);
                vg_test_run(loop, 1, NULL, NULL);
        }
        CHECK_EQ(at, 1 << 20);
        CHECK_EQ(status_of(pid), 0);
        vg_test_run(loop, 10, NULL, NULL);
        uint8_t byte;
        CHECK_EQ(read(ends.container, &byte, 1), 0);
        close(ends.container);
        vg_pump_free(ends.pump);
}

static void a_container_that_closes_its_stdin_is_told_to_the_client(void) {
        struct stdin_ends ends;
        stdin_new(&ends);
        close(ends.container);
        CHECK(write(ends.client, "x", 1) == 1);
        vg_test_run(loop, 10, NULL, NULL);
        CHECK(write(ends.client, "x", 1) < 0 && errno == EPIPE);
        close(ends.client);
        vg_pump_free(ends.pump);
}

int main(void) {
        signal(SIGPIPE, SIG_IGN);
        snprintf(directory, sizeof directory, "/tmp/vigil-test-pump-XXXXXX");
        CHECK(mkdtemp(directory));
        CHECK_EQ(vg_loop_new(&loop), 0);
        unsigned files = vg_test_open_files();
        a_slow_reader_gets_every_byte(65536);
        a_slow_reader_gets_every_byte(3000);
        a_reader_goes_and_another_one_comes();
        nobody_reads();
        short_writes_share_the_pages_of_the_sink();
        it_comes_back_for_the_rest();
        the_end_is_seen_behind_a_full_sink();
        two_streams_share_a_file(true);
        two_streams_share_a_file(false);
        a_full_disk_does_not_end_the_container();
        a_sink_that_broke_ends_the_writer();
        no_sink_drops_the_output();
        a_child_in_the_background_holds_the_output();
        nothing_to_drain_is_told_after_the_exit();
        the_owner_may_free_it_when_told();
        stdin_ends_when_both_ends_are_closed(true);
        stdin_ends_when_both_ends_are_closed(false);
        a_container_that_does_not_read_stops_only_its_client();
        a_container_that_closes_its_stdin_is_told_to_the_client();
        CHECK_EQ(vg_test_open_files(), files);
        vg_loop_free(loop);
        for (unsigned i = 0; i < 4; i++)
                unlink(in_directory(((const char *[]){"in", "out", "err", "log"})[i]));
        CHECK(rmdir(directory) == 0);
        return 0;
}
