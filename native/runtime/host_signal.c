/* VG_OP_SIGNAL_PROCESS: for who is not the parent of the process, and knows it only by number and birthday. */
#include <errno.h>

#include "lib/cleanup.h"
#include "lib/proc.h"
#include "runtime/host.h"
#include "runtime/sys.h"

int vg_host_signal(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        pid_t pid = (pid_t)a->at[0].number;
        int number = (int)a->at[2].number;
        uint64_t born;
        _cleanup_close_ int fd = vg_pidfd_open(pid);
        int status = fd < 0 ? fd : vg_proc_start_time(pid, &born);
        /* The descriptor came first: whoever has the number now is who it holds. */
        if (status == -ENOENT || (status == 0 && born != a->at[1].number))
                status = -ESRCH;
        if (status == 0)
                status = vg_pidfd_signal(fd, number);
        return status < 0 ? vg_fail(f, status, "send signal %d to process %d", number, (int)pid) : 0;
}
