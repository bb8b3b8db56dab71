#include <string.h>

#include "core/core.h"

/* A process that has died this long ago may still be the one that a reading is about. */
#define JUST_DEAD_MS 2000

static void put_raw_list(struct vg_writer *w, struct vg_bytes list) {
        if (list.size > 0)
                vg_put_raw(w, list.data, list.size);
        else
                vg_put_u32(w, 0);
}

static void put_processes(struct vg_writer *w, const struct vg_container *c) {
        uint64_t now = vg_now_mono();
        vg_put_u32(w, c->init ? (uint32_t)c->init->pid : 0);
        size_t slot = vg_put_slot(w);
        uint32_t n = 0;
        const struct vg_process *p;
        TAILQ_FOREACH(p, &c->execs, link) {
                if (p->pid == 0 || (p->state == VG_PROCESS_EXITED && now - p->exited_mono > JUST_DEAD_MS * VG_MS))
                        continue;
                vg_put_str(w, p->exec);
                vg_put_u32(w, (uint32_t)p->pid);
                n++;
        }
        vg_patch_u32(w, slot, n);
}

static void oom_fact(struct vg_container *c, const struct vg_oom_reading *reading, uint64_t kills) {
        struct vg_core *core = c->core;
        struct vg_writer w = {0};
        vg_fact_begin(core, &w, VG_FACT_OOM);
        vg_put_str(&w, c->id);
        vg_put_u64(&w, kills);
        vg_put_u64(&w, reading->total);
        vg_put_u64(&w, reading->real);
        vg_put_u64(&w, reading->mono);
        put_raw_list(&w, reading->held);
        put_raw_list(&w, reading->snapshot);
        put_raw_list(&w, reading->lines);
        vg_put_u8(&w, reading->last);
        put_processes(&w, c);
        vg_fact_record(core, &w);
        int r = vg_teardown_file_counted(&c->teardown, reading->total, core->facts.last);
        if (r < 0) /* `delete` after the core's death may then tell of these kills once more */
                vg_log(&core->log, VG_LOG_WARNING, "teardown record not rewritten", "container", c->id, "error", strerror(-r),
                       NULL);
}

void vg_container_killed(void *owner, const struct vg_oom_reading *reading) {
        struct vg_container *c = owner;
        /* No event may come before the container's creation; a birth that fails tells of the kills in its message. */
        if (!c->created) {
                c->kills_before_created += reading->kills;
                return;
        }
        /* The cgroup went too early to be asked, and no kill is known: a TaskOOM for it would as often be false as true. */
        if (reading->kills + c->owed_kills == 0)
                return;
        if (vg_facts_crowded(&c->core->facts) && !reading->last) {
                c->owed_kills += reading->kills;
                c->owed = (struct vg_oom_reading){.total = reading->total, .real = reading->real, .mono = reading->mono};
                return;
        }
        oom_fact(c, reading, reading->kills + c->owed_kills);
        c->owed_kills = 0;
}

void vg_container_settle_owed(struct vg_container *c) {
        if (c->owed_kills == 0)
                return;
        c->owed.last = true;
        oom_fact(c, &c->owed, c->owed_kills);
        c->owed_kills = 0;
}
