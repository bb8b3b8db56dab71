#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/core.h"
#include "lib/proc.h"

static void arm_watch(struct vg_process *p) {
        struct vg_container *c = p->container;
        if (!*p->exec && p->birth.watch && !c->watch) {
                const struct vg_oom_spec spec = {
                        .version = p->birth.watch,
                        .cgroup = p->birth.watch_cgroup,
                        .held = p->birth.held,
                        .snapshot = p->birth.snapshot,
                        .host = p->core->oom_host,
                };
                int r = vg_oom_watch_new(p->core->loop, &spec, vg_container_killed, c, &c->watch);
                if (r < 0) {
                        vg_birth_fail_errno(p, r, "watch the cgroup for OOM kills");
                        return;
                }
                vg_teardown_file_armed(&c->teardown);
        }
        vg_birth_done(&p->birth);
        int r = vg_helper_send(&p->helper, 'g');
        if (r < 0)
                vg_birth_fail_errno(p, r, "tell the birth helper to go on");
}

static void take_streams(struct vg_process *p, struct vg_helper_message *m) {
        int *const members[] = {
                &p->fds.in_fifo,  &p->fds.in_keep,  &p->fds.in_pipe,  &p->fds.out_pipe, &p->fds.out_sink,
                &p->fds.out_keep, &p->fds.err_pipe, &p->fds.err_sink, &p->fds.err_keep,
        };
        if (m->rest.size != VG_COUNT(members)) {
                vg_birth_fail(p, -EPROTO, 0, "the birth helper sent no index of its streams");
                return;
        }
        for (size_t i = 0; i < VG_COUNT(members); i++) {
                int8_t at = (int8_t)m->rest.data[i];
                if (at < 0 || (unsigned)at >= m->n_fds)
                        continue;
                vg_closep(members[i]);
                *members[i] = TAKE_FD(m->fds[at]);
        }
}

static int open_pidfd(pid_t pid) {
        int fd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by itself (pidfd_open(2)) */
        return fd < 0 ? -errno : fd;
}

static uint32_t message_pid(const struct vg_helper_message *m) {
        struct vg_reader r = vg_reader_of(m->rest.data, m->rest.size);
        uint32_t pid = vg_get_u32(&r);
        return r.error || pid > INT32_MAX ? 0 : pid;
}

/* The child is ours and cannot have been reaped (reap.c waits for this message), so its pid names it. */
static void child_exists(struct vg_process *p, const struct vg_helper_message *m) {
        uint32_t pid = message_pid(m);
        if (pid == 0 || p->pid != 0) {
                vg_birth_fail(p, -EPROTO, 0, "the birth helper told of no child");
                return;
        }
        int r = p->oci ? vg_oci_adopt((pid_t)pid) : 0;
        if (r < 0) {
                vg_birth_fail(p, r, 0, "the process that the runtime made is gone");
                return;
        }
        p->pid = (pid_t)pid;
        if (m->rest.size > sizeof pid)
                p->cgroups = strndup((const char *)m->rest.data + sizeof pid, m->rest.size - sizeof pid);
        vg_reaper_again(p->core);
        if (p->failed)
                kill(p->pid, SIGKILL);
        p->pidfd = open_pidfd(p->pid);
        r = p->pidfd < 0 ? p->pidfd : vg_proc_start_time(p->pid, &p->start_time);
        if (r < 0) {
                vg_birth_fail_errno(p, r, "hold the container's process");
                return;
        }
        if (!*p->exec) {
                r = vg_teardown_file_pid(&p->container->teardown, p->pid, p->start_time);
                if (r < 0) {
                        vg_birth_fail_errno(p, r, "write the teardown record");
                        return;
                }
                vg_process_journal(p, true);
        }
        r = vg_pump_new(p->core->loop, &p->fds, vg_process_drained, p, &p->pump);
        p->fds = VG_NO_STREAMS;
        if (r < 0)
                vg_birth_fail_errno(p, r, "connect the streams");
        else if (p->oci && !p->failed && (r = vg_helper_send(&p->helper, 'g')) < 0)
                vg_birth_fail_errno(p, r, "tell the birth helper to go on");
}

static void take_pty(struct vg_process *p, struct vg_helper_message *m) {
        if (m->n_fds != 1)
                return;
        if (!p->pump) { /* the helper's word of the child is still to come */
                vg_closep(&p->fds.pty);
                p->fds.pty = TAKE_FD(m->fds[0]);
                return;
        }
        int r = vg_pump_set_pty(p->pump, TAKE_FD(m->fds[0]));
        if (r < 0)
                vg_birth_fail_errno(p, r, "connect the terminal");
}

void vg_birth_answer(struct vg_process *p) {
        uint32_t pid = (uint32_t)p->pid;
        vg_kept_done(p->core, TAKE_PTR(p->born),
                     &(struct vg_result){.message = p->cgroups, .data = {(const uint8_t *)&pid, sizeof pid}});
}

void vg_birth_created(struct vg_process *p) {
        struct vg_core *core = p->core;
        p->state = VG_PROCESS_CREATED;
        p->container->created = true;
        struct vg_writer w = {0};
        vg_fact_begin(core, &w, VG_FACT_CREATED);
        vg_put_str(&w, p->container->id);
        vg_put_u32(&w, (uint32_t)p->pid);
        vg_put_u64(&w, vg_now_real());
        vg_fact_record(core, &w);
        if (p->runs)
                vg_process_running(p);
        else
                vg_birth_answer(p);
}

/* The child is ready and known: an init is created, an exec goes on at once. */
static void child_ready(struct vg_process *p) {
        if (!p->ready || p->pid == 0 || p->failed || p->state != VG_PROCESS_BORN)
                return;
        if (!*p->exec) {
                vg_birth_created(p);
                return;
        }
        p->state = VG_PROCESS_STARTING;
        int r = vg_helper_send(&p->helper, 's');
        if (r < 0)
                vg_birth_fail_errno(p, r, "start the process");
}

void vg_birth_message(void *owner, struct vg_helper_message *m) {
        struct vg_process *p = owner;
        struct vg_helper_error error;
        switch (m->tag) {
        case 'c':
                arm_watch(p);
                break;
        case 'i':
                take_streams(p, m);
                break;
        case 'l':
                vg_closep(&p->fds.logger);
                p->fds.logger = open_pidfd((pid_t)message_pid(m));
                break;
        case 'p':
                child_exists(p, m);
                child_ready(p);
                break;
        case 't':
                take_pty(p, m);
                break;
        case 'r':
                p->ready = true;
                child_ready(p);
                break;
        case 'x':
                p->executing = true;
                break;
        case 'e':
                vg_helper_error_read(m, &error);
                if (p->born)
                        vg_birth_fail(p, error.status, error.op, error.text);
                else if (!p->failed) { /* an init after START: its death follows */
                        p->failed = true;
                        p->error = error;
                }
                break;
        default:
                vg_birth_fail(p, -EPROTO, 0, "the birth helper spoke of something unknown");
        }
}

void vg_birth_eof(void *owner) {
        vg_process_executed(owner);
}
