#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/core.h"

struct address {
        char *container, *exec;
};

static void address_done(struct address *a) {
        free(a->container);
        free(a->exec);
}
#define _cleanup_address_ __attribute__((cleanup(address_done)))

static struct address get_address(struct vg_reader *r) {
        struct address a = {.container = vg_get_str(r)};
        a.exec = vg_get_str(r);
        return a;
}

static int done(struct vg_core *core, struct vg_kept *kept, int status) {
        vg_kept_done(core, kept, &(struct vg_result){.status = status});
        return 0;
}

int vg_container_signal(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r) {
        _cleanup_address_ struct address a = get_address(r);
        uint32_t number = vg_get_u32(r);
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        const struct vg_process *p = vg_process_find(core, a.container, a.exec);
        if (!p || p->pid == 0 || p->state == VG_PROCESS_EXITED)
                return done(core, kept, -ESRCH);
        return done(core, kept, syscall(SYS_pidfd_send_signal, p->pidfd, number, NULL, 0) < 0 ? -errno : 0);
}

int vg_container_resize(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r) {
        _cleanup_address_ struct address a = get_address(r);
        uint16_t columns = vg_get_u16(r), rows = vg_get_u16(r);
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        const struct vg_process *p = vg_process_find(core, a.container, a.exec);
        if (!p)
                return done(core, kept, -ENOENT);
        return done(core, kept, p->pump ? vg_pump_resize(p->pump, columns, rows) : 0);
}

int vg_container_close_stdin(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r) {
        _cleanup_address_ struct address a = get_address(r);
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        const struct vg_process *p = vg_process_find(core, a.container, a.exec);
        if (!p)
                return done(core, kept, -ENOENT);
        if (p->pump)
                vg_pump_close_stdin(p->pump);
        return done(core, kept, 0);
}

/* The end of a DRAIN: the streams close either way. Never from inside the pump, which must not be freed under its own feet. */
void vg_process_drain_fired(struct vg_timer *timer) {
        struct vg_process *p = timer->owner;
        int status = vg_pump_is_drained(p->pump) ? 0 : -ETIMEDOUT;
        vg_pump_free(TAKE_PTR(p->pump));
        done(p->core, TAKE_PTR(p->draining), status);
}

void vg_process_drained(void *owner) {
        struct vg_process *p = owner;
        if (p->draining)
                vg_timer_set(p->core->loop, &p->drain, 0);
}

static void end_drain(struct vg_process *p) {
        if (p->draining)
                done(p->core, TAKE_PTR(p->draining), -ECANCELED);
}

int vg_container_drain(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r) {
        _cleanup_address_ struct address a = get_address(r);
        uint32_t timeout_ms = vg_get_u32(r);
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        struct vg_process *p = vg_process_find(core, a.container, a.exec);
        if (!p)
                return done(core, kept, -ENOENT);
        end_drain(p); /* an earlier one has lost whoever waited for it */
        if (!p->pump)
                return done(core, kept, 0);
        p->draining = kept;
        vg_timer_set(core->loop, &p->drain, vg_pump_is_drained(p->pump) ? 0 : vg_now_mono() + timeout_ms * VG_MS);
        return 0;
}

/* A helper that has let its child go may outlive it by a moment; it is then reaped like any orphan. */
static bool is_alive(const struct vg_process *p) {
        return p->state != VG_PROCESS_EXITED || p->born;
}

static int forget(struct vg_core *core, const struct address *a) {
        struct vg_container *c = vg_container_find(core, a->container);
        struct vg_process *p = vg_process_find(core, a->container, a->exec), *exec;
        if (!p)
                return c && !*a->exec ? -EBUSY : 0; /* forgotten is what was wanted */
        if (is_alive(p))
                return -EBUSY;
        if (*a->exec) {
                end_drain(p);
                vg_process_free(p);
                return 0;
        }
        TAILQ_FOREACH(exec, &c->execs, link)
                if (is_alive(exec))
                        return -EBUSY;
        TAILQ_FOREACH(exec, &c->execs, link)
                end_drain(exec);
        end_drain(p);
        vg_teardown_file_remove(&c->teardown);
        vg_process_journal(p, false);
        vg_container_free(core, c);
        vg_shutdown_look(core);
        return 0;
}

int vg_container_forget(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r) {
        _cleanup_address_ struct address a = get_address(r);
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        return done(core, kept, forget(core, &a));
}
