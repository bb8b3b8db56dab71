/* The terminal: EIO is not the end before the exit, and everything before the end arrives. */
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#include "io/pump.h"
#include "test/test_loop.h"

static char directory[64];
static struct vg_loop *loop;

struct terminal {
        struct vg_pump *pump;
        int client_in, client_out; /* the client's ends of the FIFOs */
        int master;                /* until it is given to the pump */
        char slave[64];
        unsigned drained;
        char output[4096];
        size_t size;
        uint64_t total;
};

static void count_drained(void *owner) {
        ++*(unsigned *)owner;
}

static bool not_zero(void *number) {
        return *(unsigned *)number != 0;
}

static int open_in(const char *name, int flags) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", directory, name);
        CHECK(mkfifo(path, 0700) == 0 || errno == EEXIST);
        int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);
        CHECK(fd >= 0);
        return fd;
}

static void terminal_new(struct terminal *t, bool with_sink) {
        struct vg_stream_fds fds = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
        *t = (struct terminal){.client_out = -1};
        fds.in_fifo = open_in("in", O_RDONLY);
        fds.in_keep = open_in("in", O_WRONLY);
        t->client_in = open_in("in", O_WRONLY);
        if (with_sink) {
                fds.out_keep = open_in("out", O_RDONLY);
                fds.out_sink = open_in("out", O_WRONLY);
                t->client_out = open_in("out", O_RDONLY);
        }
        t->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        int unlock = 0;
        CHECK(t->master >= 0 && ioctl(t->master, TIOCSPTLCK, &unlock) == 0);
        CHECK(ptsname_r(t->master, t->slave, sizeof t->slave) == 0);
        CHECK_EQ(vg_pump_new(loop, &fds, count_drained, &t->drained, &t->pump), 0);
}

static void terminal_free(struct terminal *t) {
        vg_pump_free(t->pump);
        close(t->client_in);
        if (t->client_out >= 0)
                close(t->client_out);
}

static int open_slave(const struct terminal *t) {
        int slave = open(t->slave, O_RDWR | O_NOCTTY);
        CHECK(slave >= 0);
        return slave;
}

/* A session of its own on the slave; stdin, stdout and stderr are the terminal, nothing else is open. */
static pid_t spawn(const struct terminal *t, const char *script) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid)
                return pid;
        setsid();
        int slave = open(t->slave, O_RDWR);
        if (slave < 0 || dup2(slave, 0) < 0 || dup2(slave, 1) < 0 || dup2(slave, 2) < 0 || close_range(3, ~0u, 0) < 0)
                _exit(126);
        signal(SIGPIPE, SIG_DFL);
        execl("/bin/sh", "sh", "-c", script, NULL);
        _exit(127);
}

static bool read_output(void *what) {
        struct terminal *t = what;
        char chunk[65536];
        ssize_t n;
        while ((n = read(t->client_out, chunk, sizeof chunk)) > 0) {
                t->total += (uint64_t)n;
                size_t room = sizeof t->output - 1 - t->size, keep = (size_t)n < room ? (size_t)n : room;
                memcpy(t->output + t->size, chunk, keep);
                t->size += keep;
        }
        return n == 0;
}

struct expected {
        struct terminal *terminal;
        const char *text;
};

static bool has_text(void *what) {
        struct expected *expected = what;
        read_output(expected->terminal);
        return strstr(expected->terminal->output, expected->text) != NULL;
}

static void expect(struct terminal *t, const char *text) {
        if (vg_test_await(loop, has_text, &(struct expected){t, text}))
                return;
        fprintf(stderr, "expected '%s', got '%s'\n", text, t->output);
        exit(1);
}

static void type(struct terminal *t, const char *text) {
        CHECK_EQ(write(t->client_in, text, strlen(text)), strlen(text));
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

static void what_is_typed_comes_back(void) {
        struct terminal t;
        terminal_new(&t, true);
        pid_t pid = spawn(&t, "cat; echo over");
        CHECK_EQ(vg_pump_set_pty(t.pump, t.master), 0);
        type(&t, "hello\n");
        expect(&t, "hello\r\nhello\r\n");
        close(t.client_in);
        t.client_in = -1;
        CHECK(!vg_test_run(loop, 50, is_dead, &pid));
        /* A line without its end: the first end-of-file character hands it on, the second one is the end. */
        t.client_in = open_in("in", O_WRONLY);
        type(&t, "half");
        expect(&t, "half");
        close(t.client_in);
        t.client_in = -1;
        vg_pump_close_stdin(t.pump);
        CHECK(vg_test_await(loop, is_dead, &pid));
        CHECK_EQ(t.drained, 0);
        vg_pump_process_exited(t.pump);
        CHECK(vg_test_await(loop, not_zero, &t.drained));
        expect(&t, "halfhalfover\r\n");
        CHECK(read_output(&t));
        CHECK_EQ(status_of(pid), 0);
        terminal_free(&t);
        CHECK_EQ(t.drained, 1);
}

/* A shell whose line is empty gets one end-of-file character, or the program after it would be ended, too. */
static void the_end_is_typed_once_after_a_line(void) {
        struct terminal t;
        terminal_new(&t, true);
        CHECK_EQ(vg_pump_set_pty(t.pump, t.master), 0);
        pid_t pid = spawn(&t, "cat >/dev/null; echo second; cat; echo never");
        type(&t, "line\n");
        vg_test_run(loop, 50, NULL, NULL);
        vg_pump_close_stdin(t.pump);
        close(t.client_in);
        t.client_in = -1;
        expect(&t, "second\r\n");
        CHECK(!vg_test_run(loop, 50, is_dead, &pid));
        kill(pid, SIGKILL);
        CHECK_EQ(status_of(pid), 128 + SIGKILL);
        vg_pump_free(t.pump);
        close(t.client_out);
}

static void much_output_and_a_quick_exit(void) {
        struct terminal t;
        terminal_new(&t, true);
        CHECK_EQ(vg_pump_set_pty(t.pump, t.master), 0);
        pid_t pid = spawn(&t, "stty raw; head -c 6900000 /dev/zero; printf THE-END");
        unsigned n = 0;
        while (!is_dead(&pid)) {
                CHECK(n++ < 5000);
                vg_test_run(loop, 1, NULL, NULL);
                read_output(&t);
        }
        vg_pump_process_exited(t.pump);
        while (!read_output(&t)) {
                CHECK(n++ < 5000);
                vg_test_run(loop, 1, NULL, NULL);
        }
        CHECK_EQ(t.total, 6900000 + 7);
        CHECK(vg_test_await(loop, not_zero, &t.drained));
        CHECK_EQ(status_of(pid), 0);
        terminal_free(&t);
}

/* Nobody has the slave open (again): reading and writing the master gives EIO, and that must neither end nor spin it. */
static void no_slave_yet(bool with_input) {
        struct terminal t;
        terminal_new(&t, true);
        close(open_slave(&t));
        CHECK_EQ(vg_pump_set_pty(t.pump, t.master), 0);
        if (with_input)
                type(&t, "early\n");
        struct timespec a, b;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
        vg_test_run(loop, 200, NULL, NULL);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
        CHECK((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec < 80000000);
        CHECK(!vg_pump_is_drained(t.pump));
        pid_t pid = spawn(&t, with_input ? "read line; echo got $line" : "echo one; exec </dev/null >/dev/null 2>&1; sleep 0.05");
        expect(&t, with_input ? "got early\r\n" : "one\r\n");
        CHECK(vg_test_await(loop, is_dead, &pid));
        CHECK_EQ(t.drained, 0);
        int slave = open_slave(&t);
        CHECK_EQ(write(slave, "two\n", 4), 4);
        close(slave);
        expect(&t, "two\r\n");
        vg_pump_process_exited(t.pump);
        CHECK(vg_test_await(loop, not_zero, &t.drained));
        CHECK_EQ(status_of(pid), 0);
        terminal_free(&t);
}

static void a_child_in_the_background_holds_the_terminal(void) {
        struct terminal t;
        terminal_new(&t, true);
        CHECK_EQ(vg_pump_set_pty(t.pump, t.master), 0);
        pid_t pid = spawn(&t, "trap '' HUP; (sleep 0.4; echo late) & echo soon");
        CHECK(vg_test_await(loop, is_dead, &pid));
        vg_pump_process_exited(t.pump);
        expect(&t, "soon\r\n");
        CHECK(!vg_test_run(loop, 100, not_zero, &t.drained));
        CHECK(vg_test_await(loop, not_zero, &t.drained));
        expect(&t, "late\r\n");
        CHECK_EQ(status_of(pid), 0);
        terminal_free(&t);
}

static void the_size_is_kept_until_there_is_a_terminal(void) {
        struct terminal t;
        struct winsize size;
        terminal_new(&t, true);
        CHECK_EQ(vg_pump_resize(t.pump, 80, 25), 0);
        CHECK_EQ(vg_pump_set_pty(t.pump, t.master), 0);
        int slave = open_slave(&t);
        CHECK(ioctl(slave, TIOCGWINSZ, &size) == 0 && size.ws_col == 80 && size.ws_row == 25);
        CHECK_EQ(vg_pump_resize(t.pump, 132, 50), 0);
        CHECK(ioctl(slave, TIOCGWINSZ, &size) == 0 && size.ws_col == 132 && size.ws_row == 50);
        close(slave);
        vg_pump_process_exited(t.pump);
        CHECK(vg_test_await(loop, not_zero, &t.drained));
        CHECK_EQ(vg_pump_resize(t.pump, 10, 10), 0);
        terminal_free(&t);
}

static void a_terminal_that_never_came(void) {
        struct terminal t;
        terminal_new(&t, true);
        CHECK(!vg_pump_is_drained(t.pump));
        close(t.master);
        vg_pump_process_exited(t.pump);
        CHECK(vg_test_await(loop, not_zero, &t.drained));
        CHECK(read_output(&t));
        terminal_free(&t);
}

/* A program that does not read stops its client only; when it reads, the rest comes without another push. */
static void much_input_for_a_slow_program(void) {
        enum { SIZE = 300000 };
        struct terminal t;
        terminal_new(&t, true);
        CHECK_EQ(vg_pump_set_pty(t.pump, t.master), 0);
        pid_t pid = spawn(&t, "stty raw -echo; echo ready; sleep 0.2; head -c 300000 | wc -c");
        expect(&t, "ready");
        char chunk[4096];
        memset(chunk, 'x', sizeof chunk);
        for (size_t sent = 0, n = 0; sent < SIZE; n++) {
                size_t size = SIZE - sent < sizeof chunk ? SIZE - sent : sizeof chunk;
                ssize_t written = write(t.client_in, chunk, size);
                if (written > 0)
                        sent += (size_t)written;
                CHECK(n < 5000);
                vg_test_run(loop, 1, NULL, NULL);
        }
        expect(&t, "300000");
        CHECK(vg_test_await(loop, is_dead, &pid));
        vg_pump_process_exited(t.pump);
        CHECK(vg_test_await(loop, not_zero, &t.drained));
        CHECK_EQ(status_of(pid), 0);
        terminal_free(&t);
}

static void output_without_a_sink_is_dropped(void) {
        struct terminal t;
        terminal_new(&t, false);
        CHECK_EQ(vg_pump_set_pty(t.pump, t.master), 0);
        pid_t pid = spawn(&t, "head -c 1000000 /dev/zero");
        CHECK(vg_test_await(loop, is_dead, &pid));
        CHECK_EQ(status_of(pid), 0);
        vg_pump_process_exited(t.pump);
        CHECK(vg_test_await(loop, not_zero, &t.drained));
        terminal_free(&t);
}

/* A logging program that died must not hang up the session. */
static void a_sink_that_broke_does_not_hang_up(void) {
        struct terminal t = {.client_in = -1, .client_out = -1};
        struct vg_stream_fds fds = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
        int logger[2];
        CHECK(pipe2(logger, O_CLOEXEC) == 0);
        fds.out_sink = logger[1];
        fds.pty = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        int unlock = 0;
        CHECK(fds.pty >= 0 && ioctl(fds.pty, TIOCSPTLCK, &unlock) == 0);
        CHECK(ptsname_r(fds.pty, t.slave, sizeof t.slave) == 0);
        CHECK_EQ(vg_pump_new(loop, &fds, count_drained, &t.drained, &t.pump), 0);
        close(logger[0]);
        pid_t pid = spawn(&t, "head -c 1000000 /dev/zero");
        CHECK(vg_test_await(loop, is_dead, &pid));
        CHECK_EQ(status_of(pid), 0);
        vg_pump_process_exited(t.pump);
        CHECK(vg_test_await(loop, not_zero, &t.drained));
        vg_pump_free(t.pump);
}

int main(void) {
        signal(SIGPIPE, SIG_IGN);
        snprintf(directory, sizeof directory, "/tmp/vigil-test-pty-XXXXXX");
        CHECK(mkdtemp(directory));
        CHECK_EQ(vg_loop_new(&loop), 0);
        unsigned files = vg_test_open_files();
        what_is_typed_comes_back();
        the_end_is_typed_once_after_a_line();
        much_output_and_a_quick_exit();
        no_slave_yet(false);
        no_slave_yet(true);
        a_child_in_the_background_holds_the_terminal();
        the_size_is_kept_until_there_is_a_terminal();
        a_terminal_that_never_came();
        much_input_for_a_slow_program();
        output_without_a_sink_is_dropped();
        a_sink_that_broke_does_not_hang_up();
        CHECK_EQ(vg_test_open_files(), files);
        vg_loop_free(loop);
        char path[128];
        snprintf(path, sizeof path, "%s/in", directory);
        unlink(path);
        snprintf(path, sizeof path, "%s/out", directory);
        unlink(path);
        CHECK(rmdir(directory) == 0);
        return 0;
}
