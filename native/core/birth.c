#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/core.h"
#include "lib/proc.h"

#define NO_STREAMS ((struct vg_stream_fds){-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1})

struct order {
        const struct vg_birth *birth;
        int init_pidfd;
};

static void run_birth(void *argument, int channel) {
        const struct order *order = argument;
        vg_birth_run(order->birth, order->init_pidfd, channel);
}

bool vg_birth_has_unknown_child(const struct vg_process *p) {
        return p->state == VG_PROCESS_BORN && p->pid == 0 && !p->helper.reaped;
}

void vg_birth_fail(struct vg_process *p, int status, uint32_t op, const char *text) {
        if (p->failed || !p->born)
                return;
        p->failed = true;
        p->error.status = status;
        p->error.op = op;
        snprintf(p->error.text, sizeof p->error.text, "%s", text);
        /* A helper that waits for us reads the end of the channel and undoes what it made; a child has nothing to undo. */
        if (p->helper.channel.fd >= 0)
                shutdown(p->helper.channel.fd, SHUT_WR);
        if (p->pid > 0 && p->state != VG_PROCESS_EXITED)
                kill(p->pid, SIGKILL); /* not reaped, so the pid is its own */
}

static void fail_with(struct vg_process *p, int status, const char *what) {
        char text[256];
        snprintf(text, sizeof text, "%s: %s", what, strerror(-status));
        vg_birth_fail(p, status, 0, text);
}

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
                        fail_with(p, r, "watch the cgroup for OOM kills");
                        return;
                }
                vg_teardown_file_armed(&c->teardown);
        }
        vg_birth_done(&p->birth);
        int r = vg_helper_send(&p->helper, 'g');
        if (r < 0)
                fail_with(p, r, "tell the birth helper to go on");
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
        p->pid = (pid_t)pid;
        vg_reaper_again(p->core);
        if (p->failed)
                kill(p->pid, SIGKILL);
        p->pidfd = open_pidfd(p->pid);
        int r = p->pidfd < 0 ? p->pidfd : vg_proc_start_time(p->pid, &p->start_time);
        if (r < 0) {
                fail_with(p, r, "hold the container's process");
                return;
        }
        if (!*p->exec) {
                r = vg_teardown_file_pid(&p->container->teardown, p->pid, p->start_time);
                if (r < 0) {
                        fail_with(p, r, "write the teardown record");
                        return;
                }
                vg_process_journal(p, true);
        }
        r = vg_pump_new(p->core->loop, &p->fds, vg_process_drained, p, &p->pump);
        p->fds = NO_STREAMS;
        if (r < 0)
                fail_with(p, r, "connect the streams");
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
                fail_with(p, r, "connect the terminal");
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
        uint32_t pid = (uint32_t)p->pid;
        vg_kept_done(core, TAKE_PTR(p->born), &(struct vg_result){.data = {(const uint8_t *)&pid, sizeof pid}});
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
                fail_with(p, r, "start the process");
}

static void birth_message(void *owner, struct vg_helper_message *m) {
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

static void birth_eof(void *owner) {
        vg_process_executed(owner);
}

/* What the helper said, and how the child died if that is all that is known. */
static void describe_failure(const struct vg_process *p, char *text, size_t size) {
        int n = snprintf(text, size, "%s", p->error.text);
        if (p->error.status == -ECHILD && p->pid > 0) {
                char how[64];
                vg_describe_wait_status(p->wait_status, how, sizeof how);
                n += snprintf(text + n, size - (size_t)n, ": it %s", how);
        }
        if (!*p->exec && p->container->kills_before_created > 0)
                snprintf(text + n, size - (size_t)n, " (OOM kills in its cgroup: %llu)",
                         (unsigned long long)p->container->kills_before_created);
}

void vg_birth_settle(struct vg_process *p) {
        struct vg_core *core = p->core;
        struct vg_container *c = p->container;
        if (!p->born || !p->helper.reaped || (p->pid > 0 ? p->state != VG_PROCESS_EXITED : !p->failed))
                return;
        vg_birth_fail(p, -ECHILD, 0, "the process died while it was set up");
        char text[sizeof p->error.text + 128];
        describe_failure(p, text, sizeof text);
        struct vg_kept *born = TAKE_PTR(p->born);
        struct vg_result result = {.status = p->error.status, .op = p->error.op, .message = text};
        if (*p->exec) {
                vg_process_free(p);
        } else {
                /* A helper that was killed has undone nothing: then the record stays for `delete`. */
                if (WIFEXITED(p->helper.wait_status))
                        vg_teardown_file_remove(&c->teardown);
                if (p->pid > 0)
                        vg_process_journal(p, false);
                vg_container_free(core, c);
        }
        vg_kept_done(core, born, &result);
        vg_shutdown_look(core);
}

static struct vg_process *process_new(struct vg_core *core, struct vg_container *c, struct vg_birth *birth) {
        struct vg_process *p = calloc(1, sizeof *p);
        char *exec = strdup(birth->exec);
        if (!p || !exec) {
                free(p);
                free(exec);
                return NULL;
        }
        p->core = core;
        p->exec = exec;
        p->container = c;
        p->pidfd = -1;
        p->fds = NO_STREAMS;
        p->helper.channel.fd = -1;
        p->helper.owner = p;
        p->helper.message = birth_message;
        p->helper.eof = birth_eof;
        p->drain = (struct vg_timer){.fired = vg_process_drain_fired, .owner = p};
        if (*exec) {
                TAILQ_INSERT_TAIL(&c->execs, p, link);
                c->n_execs++;
        } else {
                c->init = p;
        }
        return p;
}

static int container_new(struct vg_core *core, const struct vg_birth *birth, struct vg_container **ret_container) {
        if (!vg_name_is_valid(birth->container))
                return -EINVAL;
        int r = vg_shutdown_seen(core, birth->container);
        if (r < 0)
                return r;
        struct vg_container *c = calloc(1, sizeof *c);
        char *id = strdup(birth->container);
        r = c && id ? vg_map_add(&core->containers.by_id, &c->by_id, id) : -ENOMEM;
        if (r < 0) {
                free(c);
                free(id);
                return r;
        }
        c->core = core;
        c->id = id;
        TAILQ_INIT(&c->execs);
        r = vg_teardown_file_write(&core->config, id, birth->teardown, &c->teardown);
        if (r < 0) {
                vg_container_free(core, c);
                return r;
        }
        *ret_container = c;
        return 0;
}

/* Whom the birth is for. */
static int prepare(struct vg_core *core, struct vg_birth *birth, struct vg_process **ret_process) {
        struct vg_container *c = vg_container_find(core, birth->container);
        if (*birth->exec ? !c : !!c)
                return c ? -EEXIST : -ENOENT;
        if (*birth->exec && (!c->created || c->init->state == VG_PROCESS_EXITED))
                return -ESRCH;
        if (*birth->exec && c->n_execs >= VG_EXECS_MAX)
                return -EAGAIN;
        if (*birth->exec && vg_process_find(core, birth->container, birth->exec))
                return -EEXIST;
        int r = *birth->exec ? 0 : container_new(core, birth, &c);
        if (r < 0)
                return r;
        struct vg_process *p = process_new(core, c, birth);
        if (!p) {
                if (!*birth->exec)
                        vg_container_free(core, c);
                return -ENOMEM;
        }
        *ret_process = p;
        return 0;
}

int vg_container_birth(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r) {
        struct vg_birth birth;
        struct vg_process *p;
        int q = vg_birth_decode(r, &birth);
        if (q == -EBADMSG)
                return q;
        if (q < 0) {
                vg_kept_done(core, kept, &(struct vg_result){.status = q});
                return 0;
        }
        q = prepare(core, &birth, &p);
        if (q < 0) {
                vg_birth_done(&birth);
                vg_kept_done(core, kept, &(struct vg_result){.status = q});
                return 0;
        }
        const struct order order = {
                .birth = &birth,
                .init_pidfd = *birth.exec ? p->container->init->pidfd : -1,
        };
        q = vg_helper_fork(&p->helper, core->loop, run_birth, (void *)&order);
        /* The payload, into which these two point, ends with this call; only the child needs them. */
        birth.script = birth.ops = (struct vg_bytes){0};
        p->birth = birth;
        p->born = kept;
        if (q < 0) {
                p->helper.reaped = true;
                fail_with(p, q, "fork the birth helper");
                vg_birth_settle(p);
        }
        return 0;
}
