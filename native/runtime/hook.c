#include "runtime/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/deadline.h"
#include "runtime/hygiene.h"
#include "runtime/sys.h"

#define TAIL_SIZE 256 /* of what it wrote to stdout and stderr: an error message has 1 KiB for everything */

struct stream {
        int ours, theirs;
};

struct tail {
        char text[TAIL_SIZE + 1];
        size_t size;
};

struct run {
        const struct vg_hook *hook;
        pid_t pid;
        int pidfd;
        struct stream in, out, err;
        struct stream report; /* close-on-exec: an error number (negative: of chdir), or its end when execve succeeded */
        struct tail stdout_tail, stderr_tail;
        size_t written; /* of the state */
};

static void stream_done(struct stream *s) {
        vg_closep(&s->ours);
        vg_closep(&s->theirs);
}

static void run_done(struct run *r) {
        stream_done(&r->in);
        stream_done(&r->out);
        stream_done(&r->err);
        stream_done(&r->report);
        vg_closep(&r->pidfd);
}
#define _cleanup_run_ __attribute__((cleanup(run_done)))

static int stream_open(struct stream *s, bool we_write) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        s->ours = ends[we_write ? 1 : 0];
        s->theirs = ends[we_write ? 0 : 1];
        return fcntl(s->ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static _Noreturn void become(const struct run *r, pid_t parent) {
        const struct vg_hook *h = r->hook;
        int error = 0;
        (void)setpgid(0, 0); /* the caller does the same: whoever comes first */
        vg_reset_signals();
        /* A hook shall not outlive who waits for it: nobody would undo, or report, what it does. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
                _exit(EXIT_FAILURE);
        if (h->umask >= 0)
                umask((mode_t)h->umask);
        if (dup2(r->in.theirs, 0) < 0 || dup2(r->out.theirs, 1) < 0 || dup2(r->err.theirs, 2) < 0)
                error = errno;
        if (!error && h->directory[0] && chdir(h->directory) < 0)
                error = -errno;
        if (!error) {
                execve(h->path, h->argv, h->environment);
                error = errno;
        }
        ssize_t size = write(r->report.theirs, &error, sizeof error);
        _exit(size == sizeof error ? EXIT_FAILURE : EXIT_FAILURE + 1);
}

static int start(struct run *r) {
        int status = stream_open(&r->in, true);
        if (status == 0)
                status = stream_open(&r->out, false);
        if (status == 0)
                status = stream_open(&r->err, false);
        if (status == 0)
                status = stream_open(&r->report, false);
        if (status < 0)
                return status;
        pid_t parent = getpid();
        /* clone and not clone3: a container's seccomp filter, which may hold by now, mostly refuses the latter. */
        r->pid = vg_sys(syscall(SYS_clone, (unsigned long)(CLONE_PIDFD | SIGCHLD), NULL, &r->pidfd, NULL, 0));
        if (r->pid == 0)
                become(r, parent);
        if (r->pid < 0)
                return r->pid;
        (void)setpgid(r->pid, r->pid); /* EACCES: it has done so and is past execve */
        vg_closep(&r->in.theirs);
        vg_closep(&r->out.theirs);
        vg_closep(&r->err.theirs);
        vg_closep(&r->report.theirs);
        return 0;
}

static void feed(struct run *r) {
        size_t size = strlen(r->hook->state);
        ssize_t n = write(r->in.ours, r->hook->state + r->written, size - r->written);
        if (n > 0)
                r->written += (size_t)n;
        /* EPIPE: it does not want to know the state. */
        if (r->written == size || (n < 0 && errno != EAGAIN && errno != EINTR))
                vg_closep(&r->in.ours);
}

/* Keeps the end of what was written. */
static void take(struct stream *s, struct tail *t) {
        char part[4096];
        ssize_t n;
        while (s->ours >= 0 && (n = read(s->ours, part, sizeof part)) != 0) {
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        if (errno == EAGAIN)
                                return;
                        break;
                }
                size_t size = (size_t)n < TAIL_SIZE ? (size_t)n : TAIL_SIZE;
                size_t keep = t->size + size > TAIL_SIZE ? TAIL_SIZE - size : t->size;
                memmove(t->text, t->text + t->size - keep, keep);
                memcpy(t->text + keep, part + n - size, size);
                t->size = keep + size;
        }
        vg_closep(&s->ours);
}

static const char *tail_text(struct tail *t) {
        while (t->size > 0 && t->text[t->size - 1] == '\n')
                t->size--;
        t->text[t->size] = 0;
        return t->text;
}

/* Until it has ended (0), its time is up or its caller's reason to wait is gone. */
static int attend(struct run *r) {
        const struct vg_hook *h = r->hook;
        uint64_t deadline = vg_deadline(h->timeout_ms);
        for (;;) {
                struct pollfd waits[] = {
                        {.fd = r->pidfd, .events = POLLIN},    {.fd = h->guard, .events = POLLRDHUP},
                        {.fd = r->in.ours, .events = POLLOUT}, {.fd = r->out.ours, .events = POLLIN},
                        {.fd = r->err.ours, .events = POLLIN},
                };
                int left = h->timeout_ms > 0 ? vg_time_left_ms(deadline) : -1;
                if (left == 0)
                        return -ETIMEDOUT;
                if (poll(waits, VG_COUNT(waits), left) < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (waits[1].revents)
                        return -ECONNRESET;
                if (waits[2].revents)
                        feed(r);
                if (waits[3].revents)
                        take(&r->out, &r->stdout_tail);
                if (waits[4].revents)
                        take(&r->err, &r->stderr_tail);
                /* A descendant in the background may hold its pipes: they are not waited for. */
                if (waits[0].revents) {
                        take(&r->out, &r->stdout_tail);
                        take(&r->err, &r->stderr_tail);
                        return 0;
                }
        }
}

static int conclude(struct run *r, int wait_status, struct vg_failure *f) {
        const struct vg_hook *h = r->hook;
        int error;
        char words[VG_REASON_SIZE], how[64];
        if (read(r->report.ours, &error, sizeof error) == sizeof error) {
                vg_reason(words, error < 0 ? error : -error);
                if (error < 0)
                        return vg_fail_words(f, -EIO, "error running %s: chdir %s: %s", h->name, h->directory, words);
                return vg_fail_words(f, -EIO, "error running %s: fork/exec %s: %s", h->name, h->path, words);
        }
        if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
                return 0;
        if (WIFSIGNALED(wait_status))
                snprintf(how, sizeof how, "signal %d", WTERMSIG(wait_status));
        else
                snprintf(how, sizeof how, "exit status %d", WEXITSTATUS(wait_status));
        return vg_fail_words(f, -EIO, "error running %s: %s, stdout: %s, stderr: %s", h->name, how, tail_text(&r->stdout_tail),
                             tail_text(&r->stderr_tail));
}

int vg_hook_run(const struct vg_hook *hook, struct vg_failure *f) {
        _cleanup_run_ struct run r = {
                .hook = hook, .pidfd = -1, .in = {-1, -1}, .out = {-1, -1}, .err = {-1, -1}, .report = {-1, -1}};
        /* It may close its standard input unread. */
        const struct sigaction ignore = {.sa_handler = SIG_IGN};
        struct sigaction before;
        sigaction(SIGPIPE, &ignore, &before);
        int wait_status = 0, status = start(&r);
        if (status < 0) {
                sigaction(SIGPIPE, &before, NULL);
                return vg_fail(f, status, "error running %s: make a process", hook->name);
        }
        status = attend(&r);
        sigaction(SIGPIPE, &before, NULL);
        if (status < 0) {
                /* Not reaped: the pid is its own. The group may not be there yet. */
                kill(-r.pid, SIGKILL);
                kill(r.pid, SIGKILL);
        }
        while (waitpid(r.pid, &wait_status, 0) < 0)
                if (errno != EINTR)
                        return vg_fail(f, -errno, "error running %s: wait for it", hook->name);
        if (status == -ETIMEDOUT)
                return vg_fail_words(f, -EIO, "error running %s: hook ran past specified timeout of %.1fs", hook->name,
                                     hook->timeout_ms / 1000.0);
        if (status < 0)
                return vg_fail(f, status, "error running %s", hook->name);
        return conclude(&r, wait_status, f);
}
