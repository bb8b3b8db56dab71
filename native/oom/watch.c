#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "oom/state.h"

#define FOLD_NS (100 * VG_MS)

static bool watch_count(struct vg_oom_watch *watch, bool thoroughly) {
        uint64_t total = watch->ways->kills(watch, thoroughly);
        if (total <= watch->total)
                return false;
        if (watch->total == watch->reported) {
                watch->seen_real = vg_now_real();
                watch->seen_mono = vg_now_mono();
        }
        watch->total = total;
        return true;
}

void vg_oom_look(struct vg_oom_watch *watch) {
        if (watch->finished)
                return;
        bool more = watch_count(watch, false);
        uint64_t now = vg_now_mono(), next = watch->ways->next_look(watch, now, more);
        if (next == UINT64_MAX)
                vg_timer_cancel(&watch->look);
        else
                vg_timer_set(watch->loop, &watch->look, next);
        if (watch->total == watch->reported)
                return;
        if (now >= watch->next_report) {
                watch->next_report = now + FOLD_NS;
                vg_timer_cancel(&watch->fold);
                vg_oom_report(watch, false);
        } else if (!watch->fold.loop) {
                vg_timer_set(watch->loop, &watch->fold, watch->next_report);
        }
}

static void look_fired(struct vg_timer *timer) {
        vg_oom_look(timer->owner);
}

void vg_oom_look_soon(struct vg_oom_watch *watch) {
        if (!watch->finished)
                vg_timer_set(watch->loop, &watch->look, vg_now_mono());
}

static void watch_stop(struct vg_oom_watch *watch) {
        watch->finished = true;
        vg_timer_cancel(&watch->look);
        vg_timer_cancel(&watch->fold);
        if (watch->host)
                watch->ways->close(watch);
}

static int watch_hold(struct vg_oom_watch *watch, char *const *paths) {
        size_t n = 0;
        while (paths && paths[n])
                n++;
        if (n == 0)
                return -EINVAL;
        watch->held = calloc(n, sizeof *watch->held);
        if (!watch->held)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int r = vg_held_open(&watch->held[watch->n_held], paths[i]);
                if (r == 0)
                        watch->n_held++;
                else if (i == 0 || r == -ENOMEM)
                        return r;
        }
        return vg_held_get(&watch->held[0], "oom_kill", &watch->baseline) ? 0 : -ENODATA;
}

static int watch_copy(struct vg_oom_watch *watch, const struct vg_oom_spec *spec) {
        size_t n = 0;
        while (spec->snapshot && spec->snapshot[n])
                n++;
        watch->cgroup = strdup(spec->cgroup);
        watch->snapshot = calloc(n + 1, sizeof *watch->snapshot);
        if (!watch->cgroup || !watch->snapshot)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                watch->snapshot[i] = strdup(spec->snapshot[i]);
                if (!watch->snapshot[i])
                        return -ENOMEM;
        }
        return 0;
}

static int watch_open(struct vg_oom_watch *watch, const struct vg_oom_spec *spec) {
        int r = watch_copy(watch, spec);
        if (r == 0)
                r = watch_hold(watch, spec->held);
        if (r == 0 && !spec->host) {
                watch->own_host = true;
                r = vg_oom_host_new(watch->loop, 0, &watch->host);
        }
        if (r < 0)
                return r;
        vg_oom_host_use(watch->host);
        watch->kmsg_since = watch->host->kmsg.next;
        r = watch->ways->open(watch);
        if (r < 0)
                return r;
        uint64_t next = watch->ways->next_look(watch, vg_now_mono(), false);
        if (next != UINT64_MAX)
                vg_timer_set(watch->loop, &watch->look, next);
        return 0;
}

int vg_oom_watch_new(struct vg_loop *loop, const struct vg_oom_spec *spec,
                     void (*killed)(void *owner, const struct vg_oom_reading *reading), void *owner,
                     struct vg_oom_watch **ret_watch) {
        if (spec->version != 1 && spec->version != 2)
                return -EINVAL;
        struct vg_oom_watch *watch = calloc(1, sizeof *watch);
        if (!watch)
                return -ENOMEM;
        *watch = (struct vg_oom_watch){
                .loop = loop,
                .host = spec->host,
                .ways = spec->version == 1 ? &vg_oom_v1 : &vg_oom_v2,
                .killed = killed,
                .owner = owner,
                .look = {.fired = look_fired, .owner = watch},
                .fold = {.fired = look_fired, .owner = watch},
                .source.fd = -1,
                .file.wd = -1,
                .parent.wd = -1,
                .directory = -1,
                .events = -1,
        };
        int r = watch_open(watch, spec);
        if (r < 0) {
                vg_oom_watch_free(watch);
                return r;
        }
        *ret_watch = watch;
        return 0;
}

/* The cgroup went before its last counter could be read. On v2 every ancestor counts the kills below it, so one that stood
 * still proves that there was none (Documentation/admin-guide/cgroup-v2.rst, memory.events). */
static bool may_have_missed_a_kill(struct vg_oom_watch *watch) {
        bool proved = false;
        if (!watch->held[0].gone)
                return false;
        for (size_t i = 1; i < watch->n_held && watch->ways == &vg_oom_v2; i++) {
                struct vg_held *held = &watch->held[i];
                const char *name = strrchr(held->path, '/');
                uint64_t before, now;
                if (!name || strcmp(name, "/memory.events") != 0 || !vg_held_get_before(held, "oom_kill", &before))
                        continue;
                vg_held_read(held);
                if (held->gone || !vg_held_get(held, "oom_kill", &now))
                        continue;
                if (now != before)
                        return true;
                proved = true;
        }
        return !proved;
}

void vg_oom_watch_final(struct vg_oom_watch *watch) {
        if (watch->finished)
                return;
        watch_count(watch, true);
        watch_stop(watch);
        if (watch->total != watch->reported || may_have_missed_a_kill(watch))
                vg_oom_report(watch, true);
}

void vg_oom_watch_poke(struct vg_oom_watch *watch) {
        vg_oom_look(watch);
}

void vg_oom_watch_settle(struct vg_oom_watch *watch) {
        watch->next_report = 0;
        vg_oom_look(watch);
}

uint64_t vg_oom_watch_total(const struct vg_oom_watch *watch) {
        return watch->total;
}

enum vg_oom_mode vg_oom_watch_mode(const struct vg_oom_watch *watch) {
        return watch->polled ? VG_OOM_POLLED : VG_OOM_NOTIFIED;
}

void vg_oom_watch_free(struct vg_oom_watch *watch) {
        if (!watch)
                return;
        watch_stop(watch);
        for (size_t i = 0; i < watch->n_held; i++)
                vg_held_close(&watch->held[i]);
        free(watch->held);
        vg_strv_free(watch->snapshot);
        free(watch->cgroup);
        if (watch->own_host)
                vg_oom_host_free(watch->host);
        free(watch);
}
