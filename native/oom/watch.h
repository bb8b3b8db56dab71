/* Watching the OOM counters of one container (design: v2 epoll on held memory.events with inotify beside it; v1 eventfd on
 * memory.oom_control, every wake confirmed by the container's own counter). */
#ifndef VG_OOM_WATCH_H
#define VG_OOM_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "lib/wire.h"

struct vg_oom_spec {
        int version;         /* 1 or 2 */
        const char *cgroup;  /* absolute directory */
        char *const *held;     /* files kept open; [0] decides (key "oom_kill") */
        char *const *snapshot; /* files read at the moment of a kill */
};

/* One report of new kills: everything since the last one, at most one each 100 ms a container. */
struct vg_oom_reading {
        uint64_t kills; /* new ones */
        uint64_t total; /* since the watch began */
        uint64_t real, mono;
        bool last; /* read at the init's exit */
        struct vg_bytes held;     /* encoded list(str path, bytes before, bytes after) of vigil.h */
        struct vg_bytes snapshot; /* encoded list(str path, bytes text) */
        struct vg_bytes lines;    /* encoded list(str): /dev/kmsg */
};

struct vg_oom_watch;

/* Opens the files and takes the baseline: call it before a process is in the cgroup. A missing file in held[1..] or snapshot is
 * left out; held[0] must open. `killed` runs from the loop or from vg_oom_watch_final(). */
int vg_oom_watch_new(struct vg_loop *loop, const struct vg_oom_spec *spec,
                     void (*killed)(void *owner, const struct vg_oom_reading *reading), void *owner,
                     struct vg_oom_watch **ret_watch);
/* The last look between the init's death and its reap, also of nested cgroups (v1); flushes what was folded. */
void vg_oom_watch_final(struct vg_oom_watch *watch);
/* A process of the container died or was started: look without waiting for a notification (v1 children give none). */
void vg_oom_watch_poke(struct vg_oom_watch *watch);
uint64_t vg_oom_watch_total(const struct vg_oom_watch *watch);
void vg_oom_watch_free(struct vg_oom_watch *watch); /* accepts NULL */

#endif
