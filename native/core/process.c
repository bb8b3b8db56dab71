#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/core.h"
#include "lib/proc.h"

static bool is_dead(pid_t pid) {
        siginfo_t info = {0};
        return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* The channel's end is execve's doing (close-on-exec) or the death's; a zombie's comm tells which, for execve changes it. */
static bool has_executed(const struct vg_process *p) {
        char comm[VG_COMM_SIZE];
        if (!p->executing || p->failed || p->pid == 0)
                return false;
        return !is_dead(p->pid) || vg_proc_comm(p->pid, comm) < 0 || strcmp(comm, VG_COMM_BEFORE_EXEC) != 0;
}

void vg_process_executed(struct vg_process *p) {
        if ((p->state != VG_PROCESS_STARTING && p->state != VG_PROCESS_BORN) || !has_executed(p))
                return;
        if (p->state == VG_PROCESS_BORN && !*p->exec) /* a plan that does not wait for START */
                vg_birth_created(p);
        vg_process_running(p);
}

void vg_process_running(struct vg_process *p) {
        struct vg_core *core = p->core;
        p->state = VG_PROCESS_RUNNING;
        struct vg_writer w = {0};
        vg_fact_begin(core, &w, VG_FACT_STARTED);
        vg_put_str(&w, p->container->id);
        vg_put_str(&w, p->exec);
        vg_put_u32(&w, (uint32_t)p->pid);
        vg_put_u64(&w, vg_now_real());
        vg_fact_record(core, &w);
        if (p->born)
                vg_birth_answer(p);
        if (p->started)
                vg_kept_done(core, TAKE_PTR(p->started), &(struct vg_result){0});
}

static int start(struct vg_process *p, struct vg_kept *kept) {
        if (!p || p->oci)
                return -ENOENT;
        if (p->state == VG_PROCESS_EXITED)
                return -ESRCH;
        if (p->state != VG_PROCESS_CREATED)
                return -EALREADY;
        int r = vg_helper_send(&p->helper, 's');
        if (r < 0)
                return r;
        p->state = VG_PROCESS_STARTING;
        p->started = kept;
        return 0;
}

int vg_container_start(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r) {
        _cleanup_free_ char *id = vg_get_str(r);
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        int q = start(vg_process_find(core, id, ""), kept);
        if (q < 0)
                vg_kept_done(core, kept, &(struct vg_result){.status = q});
        return 0;
}

static void exited_fact(struct vg_process *p, int status, const struct rusage *usage, bool started) {
        struct vg_writer w = {0};
        int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        p->exit_status = (uint32_t)(signal ? 128 + signal : WEXITSTATUS(status));
        vg_fact_begin(p->core, &w, VG_FACT_EXITED);
        vg_put_str(&w, p->container->id);
        vg_put_str(&w, p->exec);
        vg_put_u32(&w, (uint32_t)p->pid);
        vg_put_u32(&w, p->exit_status);
        vg_put_u32(&w, (uint32_t)signal);
        vg_put_u64(&w, p->exited_real);
        vg_put_u64(&w, (uint64_t)usage->ru_maxrss * 1024); /* getrusage(2): kilobytes */
        vg_put_u8(&w, started);
        vg_fact_record(p->core, &w);
        if (!*p->exec)
                vg_process_journal(p, true);
}

static void start_failed(struct vg_process *p, const char *how) {
        struct vg_result result = {.status = p->error.status, .op = p->error.op, .message = p->error.text};
        if (!p->failed) {
                snprintf(p->error.text, sizeof p->error.text, "the container's process %s before execve", how);
                result.status = -ECHILD;
        }
        vg_kept_done(p->core, TAKE_PTR(p->started), &result);
}

void vg_process_died(struct vg_process *p) {
        struct vg_container *c = p->container;
        struct rusage usage;
        int status;
        vg_helper_drain(&p->helper);
        vg_process_executed(p); /* a helper that is slow to end may still hold the channel */
        /* The cgroup may go with the last zombie (systemd.scope(5)), so the counters are read before the reap. */
        if (c->watch && !*p->exec)
                vg_oom_watch_final(c->watch);
        else if (c->watch)
                vg_oom_watch_settle(c->watch);
        if (!*p->exec)
                vg_container_settle_owed(c);
        if (wait4(p->pid, &status, WNOHANG, &usage) != p->pid)
                return;
        bool started = p->state == VG_PROCESS_RUNNING;
        p->state = VG_PROCESS_EXITED;
        p->wait_status = status;
        p->exited_real = vg_now_real();
        p->exited_mono = vg_now_mono();
        if (p->pump)
                vg_pump_process_exited(p->pump);
        char how[64];
        vg_describe_wait_status(status, how, sizeof how);
        if (p->started)
                start_failed(p, how);
        if (p->born) { /* the helper may still be undoing, and says afterwards what went wrong */
                vg_birth_settle(p);
                return;
        }
        exited_fact(p, status, &usage, started);
}
