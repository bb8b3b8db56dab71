#include "io/pump_end.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

#include "lib/cleanup.h"

int vg_end_open(struct vg_loop *loop, struct vg_end *end) {
        int fd = end->source.fd;
        if (fd < 0)
                return 0;
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        end->source.events = EPOLLET | (end->leaves ? EPOLLIN : 0u) | (end->enters ? EPOLLOUT : 0u);
        int r = vg_source_add(loop, &end->source);
        /* A regular file or /dev/null (epoll_ctl(2)). */
        if (r != -EPERM)
                return r;
        vg_end_note(&end->source, EPOLLIN | EPOLLOUT);
        return 1;
}

void vg_end_note(struct vg_source *source, uint32_t events) {
        struct vg_end *end = (struct vg_end *)source;
        if (end->leaves && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                end->leaves->from_ready = true;
        if (end->enters && events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
                end->enters->to_ready = true;
}

void vg_end_close(struct vg_end *end) {
        vg_source_remove(&end->source);
        vg_closep(&end->source.fd);
}
