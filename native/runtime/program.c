#include "runtime/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/deadline.h"
#include "runtime/hygiene.h"
#include "runtime/sys.h"

#define SHOWN_MAX (VG_MESSAGE_MAX - 64) /* of a log or an output, beside the words around it */

struct run {
        const struct vg_program *program;
        const struct vg_program_io *io;
        pid_t pid;
        int pidfd, output;
        char shown[SHOWN_MAX + 1];
        size_t size;
};

static int open_input(struct vg_bytes input) {
        _cleanup_close_ int fd = memfd_create("vigil-input", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        while (input.size > 0) {
                ssize_t n = write(fd, input.data, input.size);
                if (n < 0)
                        return -errno;
                input.data += n;
                input.size -= (size_t)n;
        }
        return lseek(fd, 0, SEEK_SET) < 0 ? -errno : TAKE_FD(fd);
}

static _Noreturn void become(const struct vg_program *program, const int stdio[3], int failed) {
        /* Meant for the manager that started the shim (sd_listen_fds(3), sd_notify(3)): runtimes would act upon them. */
        static const char *const foreign[] = {"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"};
        int status = 0, high[3];
        vg_reset_signals();
        umask(022); /* the helper's own is 0 */
        for (size_t i = 0; i < VG_COUNT(foreign); i++)
                unsetenv(foreign[i]);
        /* A group of its own, so that a time-out also ends its hooks. It dies with the helper, which undoes. */
        if (setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                status = -errno;
        for (int i = 0; i < 3 && status == 0; i++)
                if ((high[i] = fcntl(stdio[i], F_DUPFD_CLOEXEC, 3)) < 0)
                        status = -errno;
        for (int i = 0; i < 3 && status == 0; i++)
                if (dup2(high[i], i) < 0)
                        status = -errno;
        if (status == 0) {
                execvp(program->argv[0], program->argv);
                status = -errno;
        }
        (void)!write(failed, &status, sizeof status); /* a pipe has room for this */
        _exit(127);
}

static int launch_failed(struct run *r, int status, struct vg_failure *f) {
        const char *name = r->program->argv[0];
        while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        vg_closep(&r->pidfd);
        vg_closep(&r->output);
        if (status == -ENOENT && !strchr(name, '/'))
                return vg_fail_words(f, status, "exec: \"%s\": executable file not found in $PATH", name);
        return vg_fail(f, status, "exec: \"%s\"", name);
}

static int launch(struct run *r, struct vg_failure *f) {
        const struct vg_program *p = r->program;
        int failed[2], output[2], status = 0;
        _cleanup_close_ int input = open_input(p->input);
        if (input < 0)
                return vg_fail(f, input, "give input to %s", p->argv[0]);
        if (pipe2(failed, O_CLOEXEC) < 0)
                return vg_fail(f, -errno, "make a pipe");
        _cleanup_close_ int failed_read = failed[0], failed_write = failed[1], output_write = -1;
        if (!r->io->stdio) {
                if (pipe2(output, O_CLOEXEC) < 0)
                        return vg_fail(f, -errno, "make a pipe");
                r->output = output[0];
                output_write = output[1];
                if (fcntl(r->output, F_SETFL, O_NONBLOCK) < 0)
                        return vg_fail(f, -errno, "make a pipe");
        }
        const int own[3] = {input, output_write, output_write};
        r->pid = fork();
        if (r->pid < 0)
                return vg_fail(f, -errno, "fork for %s", p->argv[0]);
        if (r->pid == 0)
                become(p, r->io->stdio ? r->io->stdio : own, failed_write);
        vg_closep(&failed_write);
        r->pidfd = vg_pidfd_open(r->pid);
        if (r->pidfd < 0) {
                status = r->pidfd;
                kill(r->pid, SIGKILL);
                return launch_failed(r, status, f);
        }
        /* Closed by a successful execve. */
        return read(failed_read, &status, sizeof status) == sizeof status ? launch_failed(r, status, f) : 0;
}

/* What is beyond the room is read and dropped: a pipe that is full would stop the program. */
static void take_output(struct run *r) {
        char dropped[4096];
        for (;;) {
                size_t room = SHOWN_MAX - r->size;
                ssize_t n = room ? read(r->output, r->shown + r->size, room) : read(r->output, dropped, sizeof dropped);
                if (n > 0 && room)
                        r->size += (size_t)n;
                if (n == 0)
                        vg_closep(&r->output);
                if (n <= 0 && (n == 0 || errno != EINTR))
                        return;
        }
}

static void end(struct run *r) {
        kill(-r->pid, SIGKILL);
        kill(r->pid, SIGKILL); /* not in its group yet, or out of it again */
}

static int await(struct run *r, int *ret_status, struct vg_failure *f) {
        uint64_t deadline = vg_deadline(r->program->timeout_ms);
        int status = 0, watched = r->io->watched;
        for (;;) {
                struct pollfd waits[] = {
                        {.fd = r->pidfd, .events = POLLIN},
                        {.fd = r->output, .events = POLLIN},
                        {.fd = watched, .events = POLLIN},
                };
                int left = status < 0 ? -1 : vg_time_left_ms(deadline), n = poll(waits, VG_COUNT(waits), left);
                if (n < 0 && errno != EINTR)
                        return vg_fail(f, -errno, "wait for %s", r->program->argv[0]);
                if (n == 0 && status == 0 && vg_time_left_ms(deadline) == 0) {
                        status = vg_fail_words(f, -ETIMEDOUT, "%s did not end within %u ms", r->program->argv[0],
                                               r->program->timeout_ms);
                        end(r);
                }
                if (n <= 0)
                        continue;
                if (waits[1].revents)
                        take_output(r);
                int seen = waits[2].revents ? r->io->ready(r->io->owner, f) : 0;
                if (seen != 0)
                        watched = -1;
                if (seen < 0) {
                        status = seen;
                        end(r);
                }
                if (waits[0].revents)
                        break;
        }
        int wait_status = 0;
        while (waitpid(r->pid, &wait_status, 0) < 0 && errno == EINTR)
                ;
        if (r->output >= 0)
                take_output(r);
        *ret_status = wait_status;
        return status;
}

/* The last line of the log, as it is: whoever knows the format reads it. */
static bool read_log(struct run *r) {
        _cleanup_close_ int fd = open(r->program->log, O_RDONLY | O_CLOEXEC);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
                return false;
        char tail[2 * SHOWN_MAX];
        ssize_t n = pread(fd, tail, sizeof tail, st.st_size > (off_t)sizeof tail ? st.st_size - (off_t)sizeof tail : 0);
        while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == ' '))
                n--;
        if (n <= 0)
                return false;
        const char *line = memrchr(tail, '\n', (size_t)n);
        line = line ? line + 1 : tail;
        r->size = (size_t)(tail + n - line);
        if (r->size > SHOWN_MAX)
                r->size = SHOWN_MAX;
        memcpy(r->shown, line, r->size);
        return true;
}

static int failed(struct run *r, int status, struct vg_failure *f) {
        char how[64];
        if (WIFSIGNALED(status))
                snprintf(how, sizeof how, "signal: %s", strsignal(WTERMSIG(status)));
        else
                snprintf(how, sizeof how, "exit status %d", WEXITSTATUS(status));
        bool logged = r->program->log[0] && read_log(r);
        while (r->size > 0 && (r->shown[r->size - 1] == '\n' || r->shown[r->size - 1] == ' '))
                r->size--;
        r->shown[r->size] = 0;
        if (logged)
                return vg_fail_words(f, -EREMOTEIO, "%s", r->shown);
        return vg_fail_words(f, -EREMOTEIO, "%s: %s%s%s", r->program->argv[0], how, r->size ? ": " : "", r->shown);
}

int vg_program_run(const struct vg_program *program, const struct vg_program_io *io, struct vg_failure *f) {
        struct run r = {.program = program, .io = io, .pidfd = -1, .output = -1};
        if (!program->argv[0])
                return vg_fail_words(f, -EINVAL, "there is no program to run");
        int wait_status = 0, status = launch(&r, f);
        if (status == 0) {
                status = await(&r, &wait_status, f);
                if (status == 0 && wait_status != 0)
                        status = failed(&r, wait_status, f);
        }
        vg_closep(&r.pidfd);
        vg_closep(&r.output);
        return status;
}
