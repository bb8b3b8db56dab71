/* VG_OP_TIME_NAMESPACE: a time namespace with the plan's offsets, time_namespaces(7). */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/favour.h"
#include "runtime/mount.h"

int vg_child_time_namespace(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const char *offsets = a->at[0].string;
        /* Not by clone3: offsets can be set only as long as nobody is in it. Nor left to execve, which enters it since Linux 6.1
         * alone: unshare(2) makes it for children, setns(2) brings its maker in. */
        if (unshare(CLONE_NEWTIME) < 0)
                return vg_fail(f, -errno, "new time namespace");
        int status = 0;
        if (offsets[0])
                status = c->in_user_namespace ? vg_favour_write(c, "timens_offsets", offsets)
                                              : vg_proc_write(c->proc, "self/timens_offsets", offsets);
        if (status < 0)
                return vg_fail(f, status, "set the offsets of the time namespace");
        _cleanup_close_ int fd = openat(c->proc, "self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
        if (fd < 0 || setns(fd, CLONE_NEWTIME) < 0)
                return vg_fail(f, -errno, "enter the time namespace");
        return 0;
}
