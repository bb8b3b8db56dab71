/* One inotify instance for many subscribers: instances are few (fs.inotify.max_user_instances), watches are not. */
#ifndef VG_OOM_NOTIFY_H
#define VG_OOM_NOTIFY_H

#include <stdint.h>

#include "core/loop.h"

/* Embedded in its owner. `seen` must not free the instance. */
struct vg_notify {
        int wd; /* -1: not subscribed */
        uint32_t mask;
        /* IN_Q_OVERFLOW (something was missed) comes to everybody. `name` is "" for the watched object itself. */
        void (*seen)(struct vg_notify *notify, uint32_t mask, const char *name);
        void *owner;
        struct vg_notify *next;
};

struct vg_inotify {
        struct vg_source source; /* fd -1: there is no instance to be had */
        struct vg_notify *first, *cursor;
};

int vg_inotify_open(struct vg_inotify *inotify, struct vg_loop *loop);
/* Watches what the descriptor stands for, whatever its name has become. */
int vg_notify_add(struct vg_inotify *inotify, struct vg_notify *notify, int fd);
void vg_notify_remove(struct vg_inotify *inotify, struct vg_notify *notify); /* fine when not subscribed */
void vg_inotify_close(struct vg_inotify *inotify);

#endif
