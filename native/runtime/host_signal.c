/* VG_OP_SIGNAL_PROCESS, VG_OP_AWAIT_END: for who is not the parent of the process, and knows it only by number and birthday. */
#include <errno.h>
#include <poll.h>

#include "lib/cleanup.h"
#include "lib/proc.h"
#include "runtime/deadline.h"
#include "runtime/host.h"
#include "runtime/sys.h"

static int open_process(const struct vg_op_args *a, int *ret_pidfd) {
        pid_t pid = (pid_t)a->at[0].number;
        uint64_t born;
        _cleanup_close_ int fd = vg_pidfd_open(pid);
        int status = fd < 0 ? fd : vg_proc_start_time(pid, &born);
        /* The descriptor came first: whoever has the number now is who it holds. */
        if (status == -ENOENT || (status == 0 && born != a->at[1].number))
                status = -ESRCH;
        if (status == 0)
                *ret_pidfd = TAKE_FD(fd);
        return status;
}

int vg_host_signal(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        int number = (int)a->at[2].number;
        _cleanup_close_ int fd = -1;
        int status = open_process(a, &fd);
        if (status == 0)
                status = vg_pidfd_signal(fd, number);
        return status < 0 ? vg_fail(f, status, "send signal %d to process %d", number, (int)a->at[0].number) : 0;
}

int vg_host_await_end(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        _cleanup_close_ int fd = -1;
        int status = open_process(a, &fd);
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        uint64_t deadline = vg_deadline((uint32_t)a->at[2].number);
        while (status == 0 && !wait.revents) {
                int left = vg_time_left_ms(deadline), ready = poll(&wait, 1, left);
                if (ready < 0 && errno != EINTR)
                        status = -errno;
                else if (ready == 0)
                        status = -ETIMEDOUT;
        }
        return status < 0 && status != -ESRCH ? vg_fail(f, status, "wait for the end of process %d", (int)a->at[0].number) : 0;
}
