#include "core/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/core.h"

static bool may_speak(int fd) {
        struct ucred peer;
        socklen_t size = sizeof peer;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return false;
        return peer.uid == geteuid() || peer.uid == 0;
}

static void retry_fired(struct vg_timer *timer) {
        struct vg_listener *l = timer->owner;
        vg_source_change(&l->source, EPOLLIN);
}

static void listener_ready(struct vg_source *source, uint32_t events) {
        struct vg_listener *l = source->owner;
        (void)events;
        _cleanup_close_ int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
                /* Out of descriptors or memory: the connection stays in the backlog, which would wake us again at once. */
                if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                        vg_source_change(source, 0);
                        vg_timer_set(l->core->loop, &l->retry, vg_now_mono() + 100 * VG_MS);
                }
                return;
        }
        if (!may_speak(fd) || l->core->connections.count >= VG_CONNECTIONS_MAX)
                return;
        vg_connection_new(l->core, TAKE_FD(fd));
}

int vg_listener_open(struct vg_core *core, int fd) {
        struct vg_listener *l = &core->listener;
        struct stat st;
        if (lstat(core->config.socket, &st) == 0) {
                l->device = st.st_dev;
                l->inode = st.st_ino;
        }
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        l->core = core;
        l->retry = (struct vg_timer){.fired = retry_fired, .owner = l};
        l->source = (struct vg_source){.fd = fd, .events = EPOLLIN, .ready = listener_ready, .owner = l};
        return vg_source_add(core->loop, &l->source);
}

void vg_listener_close(struct vg_core *core) {
        struct vg_listener *l = &core->listener;
        struct stat st;
        if (lstat(core->config.socket, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode)
                unlink(core->config.socket);
        vg_timer_cancel(&l->retry);
        vg_source_remove(&l->source);
        if (l->source.fd > 0)
                close(l->source.fd);
        l->source.fd = -1;
}
