/* cgroup v1: the eventfd is signalled when a cgroup, or one above it, runs out of memory: before there is a victim, also to
 * those who lose nobody, and when the cgroup is removed. So it only says when to look; memory.oom_control counts. Not told at
 * all: kills by the host's own shortage, and those in cgroups below (Documentation/admin-guide/cgroup-v1/memory.rst). */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "oom/state.h"

#define STEP_NS (1 * VG_MS)
#define WAKE_NS (100 * VG_MS)       /* a kill follows its signal within this time, or something else was meant */
#define KILL_NS (20 * VG_MS)        /* kills side by side make one signal */
#define STUCK_STEP_NS (100 * VG_MS) /* the cgroup stays out of memory: its victim cannot die yet */
#define GROUPS_NS (1000 * VG_MS)

static void events_ready(struct vg_source *source, uint32_t events) {
        struct vg_oom_watch *watch = source->owner;
        uint64_t count;
        (void)events;
        if (read(source->fd, &count, sizeof count) == sizeof count)
                watch->near.until = vg_now_mono() + WAKE_NS;
        vg_oom_look(watch);
}

static void groups_changed(void *owner) {
        vg_oom_look_soon(owner);
}

static int v1_listen(struct vg_oom_watch *watch) {
        _cleanup_close_ int events = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (events < 0)
                return -errno;
        int r = vg_groups_register(events, watch->directory, watch->held[0].fd);
        if (r < 0)
                return r;
        watch->source = (struct vg_source){.fd = events, .events = EPOLLIN, .ready = events_ready, .owner = watch};
        r = vg_source_add(watch->loop, &watch->source);
        if (r < 0)
                return r;
        watch->events = TAKE_FD(events);
        return 0;
}

static int v1_open(struct vg_oom_watch *watch) {
        watch->directory = open(watch->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (watch->directory < 0)
                return -errno;
        /* PREEMPT_RT kernels refuse cgroup.event_control. */
        watch->polled = watch->host->without & VG_OOM_WITHOUT_EVENTS || v1_listen(watch) < 0;
        watch->groups = (struct vg_groups){
                .directory = watch->directory,
                .events = watch->events,
                .inotify = &watch->host->inotify,
                .changed = groups_changed,
                .owner = watch,
        };
        vg_groups_open(&watch->groups);
        return 0;
}

static uint64_t v1_kills(struct vg_oom_watch *watch, bool thoroughly) {
        uint64_t own = watch->baseline;
        vg_held_read(&watch->held[0]);
        vg_held_get(&watch->held[0], "oom_kill", &own);
        return (own > watch->baseline ? own - watch->baseline : 0) + vg_groups_kills(&watch->groups, thoroughly);
}

static bool is_stuck(const struct vg_oom_watch *watch) {
        uint64_t disabled = 0, under_oom = 0;
        vg_held_get(&watch->held[0], "oom_kill_disable", &disabled);
        vg_held_get(&watch->held[0], "under_oom", &under_oom);
        return under_oom && !disabled;
}

static uint64_t v1_next_look(struct vg_oom_watch *watch, uint64_t now, bool more_kills) {
        struct vg_near *near = &watch->near;
        if (watch->held[0].gone) {
                vg_source_remove(&watch->source);
                return UINT64_MAX;
        }
        if (more_kills)
                near->until = now + KILL_NS;
        if (now < near->until) {
                vg_oom_read_ahead(watch);
                return now + STEP_NS;
        }
        near->is_ahead = false;
        if (is_stuck(watch))
                return now + STUCK_STEP_NS;
        if (watch->polled)
                return now + VG_POLL_NS;
        return watch->groups.untold ? now + GROUPS_NS : UINT64_MAX;
}

static void v1_close(struct vg_oom_watch *watch) {
        vg_groups_close(&watch->groups);
        vg_source_remove(&watch->source);
        vg_closep(&watch->events);
        vg_closep(&watch->directory);
}

const struct vg_oom_ways vg_oom_v1 = {.open = v1_open, .kills = v1_kills, .next_look = v1_next_look, .close = v1_close};
