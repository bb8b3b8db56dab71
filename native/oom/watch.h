/* Watching the OOM counters of one container (design: v2 epoll on held memory.events with inotify beside it; v1 eventfd on
 * memory.oom_control, every wake confirmed by the container's own counter). */
#ifndef VG_OOM_WATCH_H
#define VG_OOM_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "lib/wire.h"

/* What all watches of one core share: an inotify instance and a reader of /dev/kmsg, both opened by the first watch, both
 * absent where the host gives none. It outlives its watches. */
struct vg_oom_host;

/* What is not to be used although the host may have it. */
enum {
        VG_OOM_WITHOUT_INOTIFY = 1,
        VG_OOM_WITHOUT_EVENTS = 2, /* neither EPOLLPRI nor cgroup.event_control */
        VG_OOM_WITHOUT_KMSG = 4,
};

int vg_oom_host_new(struct vg_loop *loop, unsigned without, struct vg_oom_host **ret_host);
void vg_oom_host_free(struct vg_oom_host *host); /* accepts NULL */

struct vg_oom_spec {
        int version;              /* 1 or 2 */
        const char *cgroup;       /* absolute directory */
        char *const *held;        /* files kept open; [0] decides (key "oom_kill") */
        char *const *snapshot;    /* files read at the moment of a kill */
        struct vg_oom_host *host; /* NULL: the watch has one of its own */
};

/* One report of new kills: everything since the last one, at most one each 100 ms a container. */
struct vg_oom_reading {
        /* New ones. 0 only with `last`: the cgroup was removed before its counter could be read, and nothing proves that there
         * was no kill (v2: no ancestor's memory.events is held, or one of them rose; v1: always) */
        uint64_t kills;
        uint64_t total;           /* since the watch began */
        uint64_t real, mono;      /* when the first of them was seen */
        bool last;                /* read at the init's exit */
        struct vg_bytes held;     /* encoded list(str path, bytes before, bytes after) of vigil.h */
        struct vg_bytes snapshot; /* encoded list(str path, bytes text) */
        struct vg_bytes lines;    /* encoded list(str): /dev/kmsg records as read ("prio,seq,usec,flags;text"), those of other
                                   * containers included */
};

/* How new kills become known while the container runs. */
enum vg_oom_mode {
        VG_OOM_NOTIFIED, /* the kernel says when to look */
        VG_OOM_POLLED,   /* it refuses to: a look every 250 ms */
};

struct vg_oom_watch;

/* Opens the files and takes the baseline: call it before a process is in the cgroup. A missing file in held[1..] or snapshot is
 * left out; held[0] must open and have the key (else -ENODATA). `killed` runs from the loop or, last thing, from
 * vg_oom_watch_final() and vg_oom_watch_poke(); it may free the watch. */
int vg_oom_watch_new(struct vg_loop *loop, const struct vg_oom_spec *spec,
                     void (*killed)(void *owner, const struct vg_oom_reading *reading), void *owner,
                     struct vg_oom_watch **ret_watch);
/* The last look between the init's death and its reap, also of nested cgroups (v1); flushes what was folded. Afterwards nothing
 * more is reported. */
void vg_oom_watch_final(struct vg_oom_watch *watch);
/* A process of the container died or was started: look without waiting for a notification (v1 children give none). */
void vg_oom_watch_poke(struct vg_oom_watch *watch);
/* The same before the exit of a process is told: what was found is reported at once, for it may explain that exit. */
void vg_oom_watch_settle(struct vg_oom_watch *watch);
uint64_t vg_oom_watch_total(const struct vg_oom_watch *watch);
enum vg_oom_mode vg_oom_watch_mode(const struct vg_oom_watch *watch);
void vg_oom_watch_free(struct vg_oom_watch *watch); /* accepts NULL */

#endif
