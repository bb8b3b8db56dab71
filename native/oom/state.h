/* A watch from the inside: what both cgroup versions share, and what each does in its own way. */
#ifndef VG_OOM_STATE_H
#define VG_OOM_STATE_H

#include "oom/groups.h"
#include "oom/held.h"
#include "oom/host.h"
#include "oom/watch.h"

#define VG_MS 1000000ull
#define VG_POLL_NS (250 * VG_MS)

/* Looking in short steps while a kill is likely. */
struct vg_near {
        bool is_ahead;             /* the kernel log was read up to the run-up */
        uint64_t until;            /* v1: when the steps end */
        uint64_t announced;        /* v2: sum of the counters that announce a kill */
        uint64_t moved;            /* v2: when it rose last; 0: never */
        uint64_t cost;             /* v2: of one look */
        bool stepping, slow;       /* v2: in short steps; in long ones, without notifications: a storm that lasts */
        uint64_t spent, accounted; /* v2: time in short steps that is not yet made good, as of when */
};

struct vg_oom_watch;

struct vg_oom_ways {
        /* Begins to listen; `held[0]` has been read. */
        int (*open)(struct vg_oom_watch *watch);
        /* Reads the counters: kills since the watch began. `thoroughly`: the last look. */
        uint64_t (*kills)(struct vg_oom_watch *watch, bool thoroughly);
        /* When the next look is due without a notification; UINT64_MAX: not at all. */
        uint64_t (*next_look)(struct vg_oom_watch *watch, uint64_t now, bool more_kills);
        /* Stops listening. */
        void (*close)(struct vg_oom_watch *watch);
};

extern const struct vg_oom_ways vg_oom_v1, vg_oom_v2;

struct vg_oom_watch {
        struct vg_loop *loop;
        struct vg_oom_host *host;
        bool own_host;
        const struct vg_oom_ways *ways;
        char *cgroup, **snapshot;
        struct vg_held *held;
        size_t n_held;
        void (*killed)(void *owner, const struct vg_oom_reading *reading);
        void *owner;

        uint64_t baseline, total, reported;
        uint64_t seen_real, seen_mono; /* of the first kill that is not reported */
        uint64_t next_report;          /* not before: storms are folded */
        uint64_t kmsg_since;
        bool polled; /* nobody says when to look */
        bool finished;
        struct vg_timer look, fold;
        struct vg_near near;
        struct vg_source source;       /* v2: held[0]; v1: the eventfd */
        struct vg_notify file, parent; /* v2 */
        int directory, events;         /* v1 */
        struct vg_groups groups;       /* v1 */
};

/* Looks, and reports what is due. Last thing that a handler does: the watch may be gone afterwards. */
void vg_oom_look(struct vg_oom_watch *watch);
/* The same from where the watch must not go away. */
void vg_oom_look_soon(struct vg_oom_watch *watch);
/* While a kill is likely: reads the kernel log up to now, a little at a time, so that there is little to read after it. */
void vg_oom_read_ahead(struct vg_oom_watch *watch);
/* Tells the owner, with texts of this moment. Last thing, too. */
void vg_oom_report(struct vg_oom_watch *watch, bool last);

#endif
