#include "core/container.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/core.h"

struct vg_container *vg_container_find(struct vg_core *core, const char *id) {
        struct vg_map_entry *e = vg_map_find(&core->containers.by_id, id);
        return e ? VG_OWNER(e, struct vg_container, by_id) : NULL;
}

struct vg_process *vg_process_find(struct vg_core *core, const char *id, const char *exec) {
        struct vg_container *c = vg_container_find(core, id);
        if (!c)
                return NULL;
        if (!*exec)
                return c->init;
        struct vg_process *p;
        TAILQ_FOREACH(p, &c->execs, link)
                if (strcmp(p->exec, exec) == 0)
                        return p;
        return NULL;
}

bool vg_container_was_seen(const struct vg_core *core, const char *id) {
        return vg_map_find(&core->containers.seen, id);
}

static void close_streams(struct vg_stream_fds *fds) {
        int *const all[] = {&fds->in_fifo,  &fds->in_keep,  &fds->in_pipe,  &fds->out_pipe, &fds->out_sink, &fds->out_keep,
                            &fds->err_pipe, &fds->err_sink, &fds->err_keep, &fds->pty,      &fds->logger};
        for (size_t i = 0; i < VG_COUNT(all); i++)
                vg_closep(all[i]);
}

void vg_process_free(struct vg_process *p) {
        vg_timer_cancel(&p->drain);
        vg_helper_close(&p->helper);
        vg_birth_done(&p->birth);
        vg_pump_free(p->pump);
        close_streams(&p->fds);
        vg_closep(&p->pidfd);
        free(p->cgroups);
        if (*p->exec) {
                TAILQ_REMOVE(&p->container->execs, p, link);
                p->container->n_execs--;
        } else {
                p->container->init = NULL;
        }
        free(p->exec);
        free(p);
}

void vg_container_free(struct vg_core *core, struct vg_container *c) {
        for (struct vg_process *p; (p = TAILQ_FIRST(&c->execs));)
                vg_process_free(p);
        if (c->init)
                vg_process_free(c->init);
        vg_oom_watch_free(c->watch);
        vg_teardown_file_done(&c->teardown);
        vg_map_remove(&core->containers.by_id, &c->by_id);
        free(c->id);
        free(c);
}

static void put_init(struct vg_writer *w, const struct vg_process *init, bool present) {
        vg_put_str(w, init->container->id);
        vg_put_u8(w, present);
        vg_put_u32(w, (uint32_t)init->pid);
        vg_put_u64(w, init->start_time);
        vg_put_u8(w, init->state == VG_PROCESS_EXITED);
        vg_put_u32(w, init->exit_status);
        vg_put_u64(w, init->exited_real);
}

static int journal_init(struct vg_journal *journal, const struct vg_process *init, bool present) {
        _cleanup_writer_ struct vg_writer w = {0};
        put_init(&w, init, present);
        return w.error ? w.error : vg_journal_append(journal, VG_JOURNAL_INIT, (struct vg_bytes){w.data, w.size}, true);
}

void vg_process_journal(struct vg_process *init, bool present) {
        struct vg_core *core = init->core;
        int r = journal_init(&core->journal, init, present);
        if (r < 0) /* `delete` then tells the exit as it does for a killed container */
                vg_log(&core->log, VG_LOG_WARNING, "init not on disk", "container", init->container->id, "error", strerror(-r),
                       NULL);
}

int vg_containers_journal(struct vg_core *core, struct vg_journal *journal) {
        for (struct vg_map_entry *e = NULL; (e = vg_map_next(&core->containers.by_id, e));) {
                const struct vg_process *init = VG_OWNER(e, struct vg_container, by_id)->init;
                int r = init && init->pid ? journal_init(journal, init, true) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

void vg_containers_done(struct vg_core *core) {
        for (struct vg_map_entry *e; (e = vg_map_any(&core->containers.by_id));)
                vg_container_free(core, VG_OWNER(e, struct vg_container, by_id));
        vg_map_done(&core->containers.by_id);
}
