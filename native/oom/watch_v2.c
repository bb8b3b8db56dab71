/* cgroup v2: memory.events counts all kills below; its notifications come at most once in 10 to 12 ms, and its run-up ("max")
 * makes the first one, so that from then on the file is read in short steps (kernel/cgroup: cgroup_file_notify()). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "oom/state.h"

#define STEP_NS (VG_MS / 2)
#define STEP_MAX_NS (10 * VG_MS)
#define CALM_NS (20 * VG_MS)    /* short steps end so long after the last movement */
#define STEP_SHARE 20           /* a look may cost one part in so many of the time */
#define WAKE_COST_NS 10000u     /* of a timer, beside the read itself */
#define STORM_NS (2000 * VG_MS) /* so much time in short steps without being made good, and they become long ones */
#define STORM_STEP_NS (100 * VG_MS)
#define STORM_CALM_NS (1000 * VG_MS)

static void file_ready(struct vg_source *source, uint32_t events) {
        (void)events;
        vg_oom_look(source->owner);
}

static void file_seen(struct vg_notify *notify, uint32_t mask, const char *name) {
        (void)mask;
        (void)name;
        vg_oom_look_soon(notify->owner);
}

static void parent_seen(struct vg_notify *notify, uint32_t mask, const char *name) {
        struct vg_oom_watch *watch = notify->owner;
        const char *own = strrchr(watch->cgroup, '/');
        if (mask & IN_Q_OVERFLOW || (own && strcmp(own + 1, name) == 0))
                vg_oom_look_soon(watch);
}

/* Both sources of wakes; either alone will do. */
static void v2_listen(struct vg_oom_watch *watch) {
        bool may_poll = !(watch->host->without & VG_OOM_WITHOUT_EVENTS);
        /* Not EPOLLIN, which is always there. A regular file gives EPERM. */
        bool told = may_poll && vg_source_add(watch->loop, &watch->source) == 0;
        if (vg_notify_add(&watch->host->inotify, &watch->file, watch->held[0].fd) == 0)
                told = true;
        watch->polled = !told;
}

static void v2_do_not_listen(struct vg_oom_watch *watch) {
        vg_source_remove(&watch->source);
        vg_notify_remove(&watch->host->inotify, &watch->file);
}

static uint64_t announcements(const struct vg_oom_watch *watch) {
        uint64_t max = 0, oom = 0;
        vg_held_get(&watch->held[0], "max", &max);
        vg_held_get(&watch->held[0], "oom", &oom);
        return max + oom;
}

static int v2_open(struct vg_oom_watch *watch) {
        watch->source = (struct vg_source){.fd = watch->held[0].fd, .events = EPOLLPRI, .ready = file_ready, .owner = watch};
        watch->file = (struct vg_notify){.wd = -1, .mask = IN_MODIFY, .seen = file_seen, .owner = watch};
        watch->parent = (struct vg_notify){.wd = -1, .mask = IN_DELETE | IN_ONLYDIR, .seen = parent_seen, .owner = watch};
        watch->near.announced = announcements(watch);
        v2_listen(watch);
        /* Who removes the cgroup is told here; the file's own poller is not woken by it. */
        char *slash = strrchr(watch->cgroup, '/');
        if (!slash || slash == watch->cgroup)
                return 0;
        _cleanup_free_ char *path = strndup(watch->cgroup, (size_t)(slash - watch->cgroup));
        if (!path)
                return -ENOMEM;
        _cleanup_close_ int parent = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent >= 0)
                vg_notify_add(&watch->host->inotify, &watch->parent, parent);
        return 0;
}

static uint64_t v2_kills(struct vg_oom_watch *watch, bool thoroughly) {
        uint64_t kills = watch->baseline, began = vg_now_mono();
        (void)thoroughly;
        vg_held_read(&watch->held[0]);
        watch->near.cost = vg_now_mono() - began;
        vg_held_get(&watch->held[0], "oom_kill", &kills);
        return kills > watch->baseline ? kills - watch->baseline : 0;
}

/* Time in short steps counts, other time makes good for it at the rate that would be allowed for ever. */
static void near_account(struct vg_near *near, uint64_t now) {
        uint64_t passed = now - near->accounted, good = passed / STEP_SHARE;
        near->accounted = now;
        if (near->stepping)
                near->spent += passed;
        else
                near->spent = near->spent > good ? near->spent - good : 0;
}

static uint64_t v2_next_look(struct vg_oom_watch *watch, uint64_t now, bool more_kills) {
        struct vg_near *near = &watch->near;
        if (watch->held[0].gone) {
                v2_do_not_listen(watch);
                return UINT64_MAX;
        }
        uint64_t announced = announcements(watch);
        if (announced != near->announced || more_kills)
                near->moved = now;
        near->announced = announced;
        near_account(near, now);
        near->stepping = !near->slow && near->moved && now - near->moved <= CALM_NS;
        if (near->stepping) {
                if (near->spent <= STORM_NS) {
                        uint64_t step = (near->cost + WAKE_COST_NS) * STEP_SHARE;
                        vg_oom_read_ahead(watch);
                        return now + (step < STEP_NS ? STEP_NS : step > STEP_MAX_NS ? STEP_MAX_NS : step);
                }
                near->stepping = false;
                near->slow = true;
                v2_do_not_listen(watch);
        }
        if (near->slow) {
                if (now - near->moved <= STORM_CALM_NS)
                        return now + STORM_STEP_NS;
                near->slow = false;
                near->spent = 0;
                v2_listen(watch);
                return now; /* what came before we listened */
        }
        near->is_ahead = false;
        return watch->polled ? now + VG_POLL_NS : UINT64_MAX;
}

static void v2_close(struct vg_oom_watch *watch) {
        v2_do_not_listen(watch);
        vg_notify_remove(&watch->host->inotify, &watch->parent);
        watch->source.fd = -1;
}

const struct vg_oom_ways vg_oom_v2 = {.open = v2_open, .kills = v2_kills, .next_look = v2_next_look, .close = v2_close};
