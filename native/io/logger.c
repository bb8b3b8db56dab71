#include "io/logger.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/deadline.h"
#include "runtime/hygiene.h"
#include "runtime/sys.h"

#define STOP_TIMEOUT_MS 1000 /* its birth has failed: it has nothing to log */

/* 3, 4 and 5 may be in use for one another's sources: first all above, then down. */
static int put_in_place(int out, int err, int ready) {
        int from[3] = {out, err, ready};
        for (int i = 0; i < 3; i++) {
                from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 10);
                if (from[i] < 0)
                        return -errno;
        }
        for (int i = 0; i < 3; i++)
                if (dup2(from[i], 3 + i) < 0)
                        return -errno;
        return 0;
}

static _Noreturn void become(const struct vg_logger_spec *spec, int ready, int failed) {
        vg_reset_signals();
        umask(022); /* the helper's own is 0 */
        /* Out of the way of 3, 4 and 5. */
        int tell = fcntl(failed, F_DUPFD_CLOEXEC, 20);
        int status = tell < 0 ? -errno : put_in_place(spec->out, spec->err, ready);
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd < 3 && status == 0; fd++)
                if (null < 0 || dup2(null, fd) < 0)
                        status = -errno;
        if (status == 0) {
                execve(spec->argv[0], spec->argv, spec->environment);
                status = -errno;
        }
        /* A pipe has room for this; the reader may be gone, then nobody wants to know. */
        (void)!write(tell < 0 ? failed : tell, &status, sizeof status);
        _exit(127);
}

/* End of file says that execve succeeded. */
static int read_exec_failure(int failed) {
        int status = 0;
        ssize_t size = read(failed, &status, sizeof status);
        if (size < 0)
                return -errno;
        return size == sizeof status ? status : 0;
}

static int read_ready(int ready, bool must_ready) {
        uint8_t byte;
        ssize_t size = read(ready, &byte, sizeof byte);
        if (size < 0)
                return -errno;
        return size == 0 && must_ready ? -EPROTO : 0;
}

int vg_logger_start(const struct vg_logger_spec *spec, pid_t *ret_pid, int *ret_pidfd) {
        int ready[2], failed[2];
        if (pipe2(ready, O_CLOEXEC) < 0)
                return -errno;
        _cleanup_close_ int ready_read = ready[0], ready_write = ready[1];
        if (pipe2(failed, O_CLOEXEC) < 0)
                return -errno;
        _cleanup_close_ int failed_read = failed[0], failed_write = failed[1];
        pid_t pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                become(spec, ready_write, failed_write);
        vg_closep(&ready_write);
        vg_closep(&failed_write);
        _cleanup_close_ int pidfd = vg_pidfd_open(pid);
        int status = pidfd < 0 ? pidfd : read_exec_failure(failed_read);
        if (status == 0)
                status = read_ready(ready_read, spec->must_ready);
        if (status < 0) {
                vg_logger_stop(pid, pidfd);
                return status;
        }
        *ret_pid = pid;
        *ret_pidfd = TAKE_FD(pidfd);
        return 0;
}

void vg_logger_stop(pid_t pid, int pidfd) {
        /* Its own child, not reaped yet: the number is sure. */
        struct pollfd wait = {.fd = pidfd, .events = POLLIN};
        uint64_t deadline = vg_deadline(STOP_TIMEOUT_MS);
        int dead = 0;
        kill(pid, SIGTERM);
        while (pidfd >= 0 && dead <= 0 && vg_time_left_ms(deadline) > 0)
                dead = poll(&wait, 1, vg_time_left_ms(deadline));
        if (dead <= 0)
                kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}
