#include "core/handoff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/core.h"

struct vg_handoff {
        STAILQ_ENTRY(vg_handoff) link;
        int fd;
};

static void handoff_drop(struct vg_core *core) {
        struct vg_handoff *h = STAILQ_FIRST(&core->handoffs.waiting);
        STAILQ_REMOVE_HEAD(&core->handoffs.waiting, link);
        core->handoffs.count--;
        close(h->fd);
        free(h);
}

void vg_handoff_add(struct vg_core *core, int fd) {
        struct vg_handoff *h = NULL;
        if (!core->unavailable && core->handoffs.count < VG_HANDOFFS_MAX)
                h = malloc(sizeof *h);
        if (!h) {
                close(fd);
                return;
        }
        h->fd = fd;
        STAILQ_INSERT_TAIL(&core->handoffs.waiting, h, link);
        core->handoffs.count++;
        vg_daemon_feed(core);
}

static int send_fd(int socket, uint64_t tag, int fd) {
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct iovec data = {&tag, sizeof tag};
        struct msghdr message = {
                .msg_iov = &data,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof control,
        };
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
        return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

bool vg_handoffs_feed(struct vg_core *core, int fds_socket) {
        for (struct vg_handoff *h; (h = STAILQ_FIRST(&core->handoffs.waiting));) {
                uint64_t tag = ++core->handoffs.last_tag;
                int r = send_fd(fds_socket, tag, h->fd);
                /* ETOOMANYREFS: too many descriptors in flight (unix(7)); both pass when the daemon has taken some. */
                if (r == -EAGAIN || r == -ETOOMANYREFS)
                        return true;
                if (r == -EPIPE || r == -ECONNRESET || r == -ECONNREFUSED) /* the daemon has died: for the next one */
                        return false;
                handoff_drop(core);
                if (r < 0)
                        continue;
                struct vg_writer w = {0};
                vg_record_begin(&w);
                vg_put_u64(&w, tag);
                vg_daemon_push(core, VG_REC_CONNECTION, &w);
        }
        return false;
}

void vg_handoffs_done(struct vg_core *core) {
        while (!STAILQ_EMPTY(&core->handoffs.waiting))
                handoff_drop(core);
}
