#include "core/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "core/core.h"

struct wish {
        char *id, *network, *hostname;
        bool ipc, uts;
};

static void wish_done(struct wish *w) {
        free(w->id);
        free(w->network);
        free(w->hostname);
}
#define _cleanup_wish_ __attribute__((cleanup(wish_done)))

/* Nothing but a network namespace is opened for reading: what else may be at the path could block. */
static int open_network(const char *path, int *ret_fd) {
        struct statfs fs;
        _cleanup_close_ int named = open(path, O_PATH | O_CLOEXEC);
        if (named < 0 || fstatfs(named, &fs) < 0)
                return -errno;
        if (fs.f_type != NSFS_MAGIC)
                return -EINVAL;
        char own[64];
        snprintf(own, sizeof own, "/proc/self/fd/%d", named);
        _cleanup_close_ int fd = open(own, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
                return -EINVAL;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int enter(const struct wish *w) {
        _cleanup_close_ int network = -1;
        if (*w->network) {
                int r = open_network(w->network, &network);
                if (r < 0)
                        return r;
        }
        if (w->ipc && unshare(CLONE_NEWIPC) < 0)
                return -errno;
        if (w->uts && unshare(CLONE_NEWUTS) < 0)
                return -errno;
        if (*w->hostname && sethostname(w->hostname, strlen(w->hostname)) < 0)
                return -errno;
        return network >= 0 && setns(network, CLONE_NEWNET) < 0 ? -errno : 0;
}

/* A thread's own namespaces are its process's only while it is the only one (namespaces(7)): the core has no other. */
static int enter_or_stay(const struct wish *w) {
        _cleanup_close_ int ipc = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int uts = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
        if (ipc < 0 || uts < 0)
                return -errno;
        int r = enter(w);
        if (r < 0) {
                /* Where it came from: this cannot fail for who was allowed to leave. */
                (void)setns(ipc, CLONE_NEWIPC);
                (void)setns(uts, CLONE_NEWUTS);
        }
        return r;
}

int vg_sandbox_enter(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r) {
        _cleanup_wish_ struct wish w = {.id = vg_get_str(r)};
        w.network = vg_get_str(r);
        w.ipc = vg_get_u8(r);
        w.uts = vg_get_u8(r);
        w.hostname = vg_get_str(r);
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        /* A host name is set in a namespace of the sandbox's own, or it would be the machine's. */
        int q = *w.hostname && !w.uts ? -EINVAL : vg_shutdown_seen(core, w.id);
        if (q == 0)
                q = enter_or_stay(&w);
        vg_kept_done(core, kept, &(struct vg_result){.status = q});
        return 0;
}
