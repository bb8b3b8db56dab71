/* Processes that an OCI runtime makes: what its command line says by its end is what happened. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "core/core.h"

/* While the runtime's program runs, the death of its process waits: first comes what the program says of it. */
bool vg_oci_is_held(const struct vg_process *p) {
        return p->oci && !p->helper.reaped;
}

static void start_ended(struct vg_process *p, bool success) {
        struct vg_helper_error *e = &p->error;
        if (success) {
                vg_process_running(p);
                return;
        }
        if (!p->failed) {
                char how[64];
                vg_describe_wait_status(p->helper.wait_status, how, sizeof how);
                *e = (struct vg_helper_error){.status = -ECHILD};
                snprintf(e->text, sizeof e->text, "the helper %s", how);
        }
        p->failed = false; /* another START may come */
        p->state = VG_PROCESS_CREATED;
        vg_kept_done(p->core, TAKE_PTR(p->started), &(struct vg_result){.status = e->status, .op = e->op, .message = e->text});
}

void vg_oci_helper_ended(struct vg_process *p) {
        bool success = WIFEXITED(p->helper.wait_status) && WEXITSTATUS(p->helper.wait_status) == 0;
        if (p->started)
                start_ended(p, success);
        else if (p->born && success && !p->failed && p->pid > 0 && *p->exec)
                vg_process_running(p);
        else if (p->born && success && !p->failed && p->pid > 0)
                vg_birth_created(p);
        else if (p->born) /* killed: what it would have undone is `delete`'s */
                vg_birth_fail(p, -ECHILD, 0, "the birth helper was killed");
}

int vg_oci_adopt(pid_t pid) {
        siginfo_t info = {0};
        return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ? -errno : 0;
}

static void run_start(void *argument, int channel) {
        const struct vg_bytes *ops = argument;
        vg_script_run(*ops, false, channel);
}

static int start(struct vg_process *p, struct vg_kept *kept, struct vg_bytes ops) {
        if (!p || !p->oci)
                return -ENOENT;
        if (p->state == VG_PROCESS_EXITED)
                return -ESRCH;
        if (p->state != VG_PROCESS_CREATED)
                return -EALREADY;
        vg_helper_close(&p->helper); /* of the birth, or of a start that failed */
        int r = vg_helper_fork(&p->helper, p->core->loop, run_start, &ops);
        if (r < 0)
                return r;
        p->helper.reaped = false;
        p->state = VG_PROCESS_STARTING;
        p->started = kept;
        return 0;
}

int vg_container_oci_start(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r) {
        _cleanup_free_ char *id = vg_get_str(r);
        struct vg_bytes ops = vg_get_bytes(r);
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        int q = start(vg_process_find(core, id, ""), kept, ops);
        if (q < 0)
                vg_kept_done(core, kept, &(struct vg_result){.status = q});
        return 0;
}

struct watch {
        char *container, *cgroup, **held, **snapshot, *teardown;
        uint8_t version;
};

static void watch_done(struct watch *w) {
        free(w->container);
        free(w->cgroup);
        vg_strv_free(w->held);
        vg_strv_free(w->snapshot);
        free(w->teardown);
}

static int watch(struct vg_core *core, const struct watch *w) {
        struct vg_container *c = vg_container_find(core, w->container);
        if (!c || !c->init || !c->init->oci)
                return -ENOENT;
        if (c->watch || c->init->state == VG_PROCESS_EXITED)
                return 0;
        const struct vg_oom_spec spec = {
                .version = w->version,
                .cgroup = w->cgroup,
                .held = w->held,
                .snapshot = w->snapshot,
                .host = core->oom_host,
        };
        int r = w->version ? vg_oom_watch_new(core->loop, &spec, vg_container_killed, c, &c->watch) : 0;
        return r < 0 ? r : vg_teardown_file_replace(&c->teardown, w->teardown);
}

int vg_container_watch(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r) {
        __attribute__((cleanup(watch_done))) struct watch w = {.container = vg_get_str(r)};
        w.version = vg_get_u8(r);
        w.cgroup = vg_get_str(r);
        w.held = vg_get_strv(r);
        w.snapshot = vg_get_strv(r);
        w.teardown = vg_get_str(r);
        if (vg_reader_end(r) < 0 || w.version > 2)
                return -EBADMSG;
        vg_kept_done(core, kept, &(struct vg_result){.status = watch(core, &w)});
        return 0;
}
