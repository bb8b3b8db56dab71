/* The streams of a process: what the helper opens, what it refuses, how long it waits. */
#include "runtime_bed.h"

static void run_to_ready(struct birth *b, struct plan *p) {
        birth_begin(b, p, -1);
        if (birth_run(b) != 'r')
                bed_fail(__FILE__, __LINE__, "not ready: %s", b->message);
}

static void run_to_end(struct birth *b) {
        birth_start(b);
        CHECK_INT(birth_run(b), 0);
        CHECK(b->saw_x);
        CHECK_INT(reap(b->helper), 0);
}

static bool is_nonblocking(int fd) {
        return fcntl(fd, F_GETFL) & O_NONBLOCK;
}

static void fifos(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.kinds = {VG_STREAM_PATH, VG_STREAM_PATH, VG_STREAM_PATH}, .io_uid = 123, .io_gid = 456};
        struct birth b;
        char in[96];
        snprintf(in, sizeof in, "%s/in", bed->top);
        CHECK(mkfifo(in, 0700) == 0);
        int out = bed_fifo(bed->fifo_out), err = bed_fifo(bed->fifo_err);
        p.paths[0] = in;
        p.paths[1] = bed->fifo_out;
        p.paths[2] = bed->fifo_err;
        put_program(&p.ops, ARGV("sh", "-c", "read line; echo got $line; stat -L -c %u:%g /proc/self/fd/0 >&2"));
        run_to_ready(&b, &p);
        for (int i = 0; i < 9; i++)
                CHECK(b.fds[i] >= 0);
        CHECK(is_nonblocking(b.fds[IN_FIFO]) && is_nonblocking(b.fds[IN_PIPE]) && is_nonblocking(b.fds[OUT_PIPE]) &&
              is_nonblocking(b.fds[OUT_SINK]) && is_nonblocking(b.fds[ERR_SINK]));
        /* The writing end that is kept: a client that comes and goes is not the end of file. */
        char text[64];
        int client = open(in, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        CHECK(client >= 0 && write(client, "hey\n", 4) == 4);
        close(client);
        CHECK_INT(read(b.fds[IN_FIFO], text, sizeof text), 4);
        CHECK(read(b.fds[IN_FIFO], text, sizeof text) < 0 && errno == EAGAIN);
        vg_closep(&b.fds[IN_KEEP]);
        CHECK_INT(read(b.fds[IN_FIFO], text, sizeof text), 0);
        /* The reading end that is kept: no SIGPIPE when the client goes, and what was written is there for the next. */
        close(out);
        CHECK_INT(write(b.fds[OUT_SINK], "kept\n", 5), 5);
        out = open(bed->fifo_out, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        CHECK_INT(read(out, text, sizeof text), 5);
        CHECK_INT(write(b.fds[IN_PIPE], "hey\n", 4), 4);
        run_to_end(&b);
        birth_collect(&b);
        CHECK_STR(b.output, "got hey\n123:456\n");
        CHECK_INT(reap(b.child), 0);
        birth_done(&b);
        close(out);
        close(err);
}

static void files(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.kinds = {VG_STREAM_NULL, VG_STREAM_PATH, VG_STREAM_FILE}};
        struct birth b;
        char made[128], text[64];
        struct stat st;
        snprintf(made, sizeof made, "%s/new/directory/log", bed->top);
        bed_write(bed->fifo_out, "before\n");
        p.paths[1] = bed->fifo_out;
        p.paths[2] = made;
        put_program(&p.ops, ARGV("sh", "-c", "cat; echo out; echo err >&2"));
        run_to_ready(&b, &p);
        CHECK(b.fds[IN_FIFO] < 0 && b.fds[IN_PIPE] < 0 && b.fds[OUT_KEEP] < 0 && b.fds[ERR_KEEP] < 0);
        CHECK(fcntl(b.fds[OUT_SINK], F_GETFL) & O_APPEND && fcntl(b.fds[ERR_SINK], F_GETFL) & O_APPEND);
        CHECK_INT(write(b.fds[OUT_SINK], "after\n", 6), 6);
        run_to_end(&b);
        birth_collect(&b);
        CHECK_INT(reap(b.child), 0);
        bed_read(bed->fifo_out, text, sizeof text);
        CHECK_STR(text, "before\nafter\n");
        CHECK(stat(made, &st) == 0 && (st.st_mode & 07777) == 0644);
        snprintf(made, sizeof made, "%s/new/directory", bed->top);
        CHECK(stat(made, &st) == 0 && (st.st_mode & 07777) == 0755);
        birth_done(&b);
}

static void expect_failure(struct plan *p, int status, const char *words) {
        struct birth b;
        OP(&p->script, VG_OP_WRITE, 0, "ss", "/nonexistent", "never reached");
        birth_begin(&b, p, -1);
        CHECK_INT(birth_run(&b), 'e');
        CHECK_HAS(b.message, words);
        CHECK_INT(b.status, status);
        CHECK_INT(WEXITSTATUS(reap(b.helper)), 1);
        birth_done(&b);
}

static void refused(struct bed *bed) {
        _cleanup_plan_ struct plan missing = {.kinds = {VG_STREAM_NULL, VG_STREAM_PATH, VG_STREAM_NULL},
                                              .paths = {"", "/nonexistent/fifo", ""}};
        expect_failure(&missing, -ENOENT, "open stdout /nonexistent/fifo: No such file or directory");
        _cleanup_plan_ struct plan directory = {.kinds = {VG_STREAM_NULL, VG_STREAM_NULL, VG_STREAM_PATH},
                                                .paths = {"", "", bed->top}};
        expect_failure(&directory, -EINVAL, "open stderr ");
        _cleanup_plan_ struct plan input = {.kinds = {VG_STREAM_FILE, VG_STREAM_NULL, VG_STREAM_NULL}, .paths = {"/x", "", ""}};
        expect_failure(&input, -EINVAL, "open stdin /x");
        _cleanup_plan_ struct plan relative = {.kinds = {VG_STREAM_NULL, VG_STREAM_FILE, VG_STREAM_NULL}, .paths = {"", "x/y", ""}};
        expect_failure(&relative, -EINVAL, "open stdout x/y");
}

static void nobody_reads(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.kinds = {VG_STREAM_NULL, VG_STREAM_PATH, VG_STREAM_NULL},
                                        .paths = {"", bed->fifo_out, ""}};
        p.io_timeout_ms = 150;
        struct timespec before, after;
        CHECK(mkfifo(bed->fifo_out, 0700) == 0);
        clock_gettime(CLOCK_MONOTONIC, &before);
        expect_failure(&p, -ETIMEDOUT, "nobody opened it for reading within 150 ms");
        clock_gettime(CLOCK_MONOTONIC, &after);
        long took = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
        CHECK(took >= 140);
}

/* The reader comes late; and the FIFO's name is gone once it has been looked at. */
static void late_reader(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.kinds = {VG_STREAM_NULL, VG_STREAM_PATH, VG_STREAM_NULL},
                                        .paths = {"", bed->fifo_out, ""}};
        struct birth b;
        CHECK(mkfifo(bed->fifo_out, 0700) == 0);
        int handle = open(bed->fifo_out, O_PATH | O_CLOEXEC);
        put_program(&p.ops, ARGV("true"));
        birth_begin(&b, &p, -1);
        struct pollfd wait = {.fd = b.channel, .events = POLLIN};
        CHECK_INT(poll(&wait, 1, 200), 0);
        CHECK(unlink(bed->fifo_out) == 0);
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", handle);
        int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        CHECK(reader >= 0);
        CHECK_INT(birth_run(&b), 'r');
        CHECK(b.fds[OUT_KEEP] >= 0);
        run_to_end(&b);
        CHECK_INT(reap(b.child), 0);
        birth_done(&b);
        close(reader);
        close(handle);
}

static void put_logger(struct plan *p, const char *const *argv) {
        p->kinds[1] = p->kinds[2] = VG_STREAM_LOGGER;
        p->paths[1] = p->paths[2] = "";
        p->logger_argv = argv;
        p->logger_must_ready = true;
}

static void logger(struct bed *bed) {
        _cleanup_plan_ struct plan p = {0};
        struct birth b;
        char script[512], log[96], text[4096];
        snprintf(log, sizeof log, "%s/log", bed->top);
        snprintf(script, sizeof script,
                 "{ env | sort; ls /proc/self/fd; } >%s; printf x >&5; exec 5>&-; cat <&3 >>%s; cat <&4 >>%s; echo end >>%s", log,
                 log, log, log);
        const char *const argv[] = {bed_busybox(), "sh", "-c", script, NULL};
        put_logger(&p, argv);
        static const char *const environment[] = {"CONTAINER_ID=c1", "CONTAINER_NAMESPACE=ns", NULL};
        p.logger_env = environment;
        put_program(&p.ops, ARGV("sh", "-c", "echo to out; echo to err >&2"));
        run_to_ready(&b, &p);
        for (int i = 0; i < 9; i++)
                CHECK_INT(b.fds[i], -1);
        CHECK(b.logger > 0);
        run_to_end(&b);
        CHECK_INT(reap(b.child), 0);
        /* The core's now, as subreaper; the container's end was the last one of its pipes. */
        CHECK_INT(reap(b.logger), 0);
        bed_read(log, text, sizeof text);
        CHECK_HAS(text, "CONTAINER_ID=c1\nCONTAINER_NAMESPACE=ns\n");
        CHECK_LACKS(text, "\nHOME=");
        CHECK_HAS(text, "\n0\n1\n2\n3\n4\n5\n");
        CHECK_LACKS(text, "\n7\n");
        CHECK_HAS(text, "to out\nto err\nend\n");
        birth_done(&b);
}

static void logger_fails(struct bed *bed) {
        (void)bed;
        _cleanup_plan_ struct plan none = {0}, early = {0}, hangs = {0};
        const char *const missing[] = {"/nonexistent/logger", NULL};
        put_logger(&none, missing);
        expect_failure(&none, -ENOENT, "start logger /nonexistent/logger: No such file or directory");
        const char *const ends[] = {bed_busybox(), "true", NULL};
        put_logger(&early, ends);
        expect_failure(&early, -EPROTO, "ended before it was ready");
        const char *const sleeps[] = {bed_busybox(), "sleep", "77.123", NULL};
        put_logger(&hangs, sleeps);
        hangs.io_timeout_ms = 100;
        expect_failure(&hangs, -ETIMEDOUT, "start logger ");
        CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD); /* it would have come to the subreaper, this process */
}

static void terminal_logger(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.terminal = true, .clone_flags = ALL_NAMESPACES};
        struct birth b;
        char script[256], log[96], text[256];
        snprintf(log, sizeof log, "%s/log", bed->top);
        snprintf(script, sizeof script, "printf x >&5; exec 5>&-; cat <&3 >%s", log);
        const char *const argv[] = {bed_busybox(), "sh", "-c", script, NULL};
        put_logger(&p, argv);
        put_root(&p.ops, bed);
        put_pivot(&p.ops);
        OP(&p.ops, VG_OP_CONSOLE, 0, "22", 0, 0);
        put_program(&p.ops, ARGV("true"));
        run_to_ready(&b, &p);
        CHECK(b.fds[OUT_SINK] >= 0 && b.pty >= 0);
        CHECK_INT(write(b.fds[OUT_SINK], "pumped\n", 7), 7);
        run_to_end(&b);
        CHECK_INT(reap(b.child), 0);
        birth_done(&b);
        CHECK_INT(reap(b.logger), 0);
        bed_read(log, text, sizeof text);
        CHECK_STR(text, "pumped\n");
}

int main(void) {
        static void (*const all[])(struct bed *) = {fifos,       files,  refused,      nobody_reads,
                                                    late_reader, logger, logger_fails, terminal_logger};
        bed_needs();
        for (size_t i = 0; i < VG_COUNT(all); i++) {
                struct bed bed;
                bed_make(&bed);
                all[i](&bed);
                bed_done(&bed);
        }
        return 0;
}
