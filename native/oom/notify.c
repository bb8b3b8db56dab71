#include "oom/notify.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/cleanup.h"

static void dispatch(struct vg_inotify *inotify, const struct inotify_event *event) {
        const char *name = event->len ? event->name : "";
        for (inotify->cursor = inotify->first; inotify->cursor;) {
                struct vg_notify *notify = inotify->cursor;
                inotify->cursor = notify->next;
                if (event->mask & IN_Q_OVERFLOW)
                        notify->seen(notify, IN_Q_OVERFLOW, "");
                else if (notify->wd != event->wd)
                        continue;
                else if (event->mask & IN_IGNORED)
                        notify->wd = -1;
                else if (event->mask & notify->mask)
                        notify->seen(notify, event->mask, name);
        }
}

static void inotify_ready(struct vg_source *source, uint32_t events) {
        struct vg_inotify *inotify = source->owner;
        (void)events;
        char buffer[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
        ssize_t size = read(source->fd, buffer, sizeof buffer);
        for (char *at = buffer; size > 0 && at < buffer + size;) {
                const struct inotify_event *event = (const struct inotify_event *)at;
                at += sizeof *event + event->len;
                dispatch(inotify, event);
        }
}

int vg_inotify_open(struct vg_inotify *inotify, struct vg_loop *loop) {
        _cleanup_close_ int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (fd < 0)
                return -errno;
        *inotify = (struct vg_inotify){.source = {.fd = fd, .events = EPOLLIN, .ready = inotify_ready, .owner = inotify}};
        int r = vg_source_add(loop, &inotify->source);
        if (r < 0) {
                inotify->source.fd = -1;
                return r;
        }
        (void)TAKE_FD(fd);
        return 0;
}

int vg_notify_add(struct vg_inotify *inotify, struct vg_notify *notify, int fd) {
        char path[64];
        notify->wd = -1;
        if (inotify->source.fd < 0)
                return -ENOTSUP;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        /* IN_MASK_ADD: another subscriber of the same directory has the same watch. */
        int wd = inotify_add_watch(inotify->source.fd, path, notify->mask | IN_MASK_ADD);
        if (wd < 0)
                return -errno;
        notify->wd = wd;
        notify->next = inotify->first;
        inotify->first = notify;
        return 0;
}

void vg_notify_remove(struct vg_inotify *inotify, struct vg_notify *notify) {
        bool shared = false;
        for (struct vg_notify **at = &inotify->first; *at;) {
                if (*at == notify) {
                        *at = notify->next;
                        continue;
                }
                shared = shared || (*at)->wd == notify->wd;
                at = &(*at)->next;
        }
        if (inotify->cursor == notify)
                inotify->cursor = notify->next;
        if (notify->wd >= 0 && !shared)
                inotify_rm_watch(inotify->source.fd, notify->wd);
        notify->wd = -1;
        notify->next = NULL;
}

void vg_inotify_close(struct vg_inotify *inotify) {
        vg_source_remove(&inotify->source);
        vg_closep(&inotify->source.fd);
}
