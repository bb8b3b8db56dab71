#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "core/core.h"

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

void vg_birth_fail_errno(struct vg_process *p, int status, const char *what) {
        char text[256];
        snprintf(text, sizeof text, "%s: %s", what, strerror(-status));
        vg_birth_fail(p, status, 0, text);
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
        p->oci = birth->oci || birth->restore;
        p->runs = birth->restore || (birth->oci && birth->oci->runs);
        p->container = c;
        p->pidfd = -1;
        p->fds = VG_NO_STREAMS;
        p->helper.channel.fd = -1;
        p->helper.owner = p;
        p->helper.message = vg_birth_message;
        p->helper.eof = vg_birth_eof;
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
        vg_shutdown_watch_idle(core);
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

static int give_birth(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r,
                      int (*decode)(struct vg_reader *r, struct vg_birth *ret_birth)) {
        struct vg_birth birth;
        struct vg_process *p;
        int q = decode(r, &birth);
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
        if (birth.oci) /* no watch to be armed */
                vg_birth_done(&birth);
        p->birth = birth;
        p->born = kept;
        if (q < 0) {
                p->helper.reaped = true;
                vg_birth_fail_errno(p, q, "fork the birth helper");
                vg_birth_settle(p);
        }
        return 0;
}

static int decode_restore(struct vg_reader *r, struct vg_birth *ret_birth) {
        int status = vg_birth_decode_oci(r, ret_birth);
        if (status == 0)
                ret_birth->oci->runs = true;
        return status;
}

int vg_container_birth(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r) {
        return give_birth(core, kept, r, vg_birth_decode);
}

int vg_container_oci_birth(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r) {
        return give_birth(core, kept, r, vg_birth_decode_oci);
}

int vg_container_restore(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r) {
        return give_birth(core, kept, r, vg_birth_decode_restore);
}

int vg_container_oci_restore(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r) {
        return give_birth(core, kept, r, decode_restore);
}
