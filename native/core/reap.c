#include "core/reap.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/core.h"

enum { REAPS_A_ROUND = 128 };

void vg_signals_block(void) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
}

/* One dead child, without reaping it. 0: none. */
static pid_t peek(idtype_t type, pid_t pid) {
        siginfo_t info = {0};
        if (waitid(type, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
                return 0;
        return info.si_pid;
}

enum who { PROCESS, HELPER };

static struct vg_process *find_in(struct vg_container *c, pid_t pid, enum who who) {
        struct vg_process *p;
        if (c->init && (who == PROCESS ? c->init->pid : c->init->helper.pid) == pid)
                return c->init;
        TAILQ_FOREACH(p, &c->execs, link)
                if ((who == PROCESS ? p->pid : p->helper.pid) == pid)
                        return p;
        return NULL;
}

/* A pid that was reaped names nobody: it may be another's by now. */
static struct vg_process *find(struct vg_core *core, pid_t pid, enum who who) {
        for (struct vg_map_entry *e = NULL; (e = vg_map_next(&core->containers.by_id, e));) {
                struct vg_process *p = find_in(VG_OWNER(e, struct vg_container, by_id), pid, who);
                if (p && (who == PROCESS ? p->state != VG_PROCESS_EXITED : !p->helper.reaped))
                        return p;
        }
        return NULL;
}

/* An exec that died together with its init is told of first: the init's exit is the container's last word. */
static void process_died(struct vg_process *p) {
        if (!*p->exec) {
                struct vg_process *exec, *next;
                for (exec = TAILQ_FIRST(&p->container->execs); exec; exec = next) {
                        next = TAILQ_NEXT(exec, link);
                        if (exec->pid > 0 && exec->state != VG_PROCESS_EXITED && !vg_oci_is_held(exec) && peek(P_PID, exec->pid))
                                vg_process_died(exec);
                }
        }
        vg_process_died(p);
}

static void helper_died(struct vg_process *p) {
        int status;
        vg_helper_drain(&p->helper);
        if (waitpid(p->helper.pid, &status, WNOHANG) != p->helper.pid)
                return;
        p->helper.reaped = true;
        p->helper.wait_status = status;
        if (p->pid == 0) {
                char how[64], text[128];
                vg_describe_wait_status(status, how, sizeof how);
                snprintf(text, sizeof text, "the birth helper %s", how);
                vg_birth_fail(p, -ECHILD, 0, text);
        }
        vg_reaper_again(p->core);
        if (p->oci)
                vg_oci_helper_ended(p);
        vg_birth_settle(p);
}

enum outcome {
        UNKNOWN, /* nobody's, or the child of a birth which has not told its pid */
        HELD,    /* it stays a zombie for now */
        REAPED,
};

static enum outcome reap_known(struct vg_core *core, pid_t pid) {
        struct vg_process *p = find(core, pid, PROCESS);
        if (p && vg_oci_is_held(p))
                return HELD;
        if (p) {
                process_died(p);
                return REAPED;
        }
        p = find(core, pid, HELPER);
        if (p) {
                helper_died(p);
                return REAPED;
        }
        int status;
        if (core->daemon.process.pid == pid && core->daemon.state != VG_DAEMON_NONE) {
                if (waitpid(pid, &status, WNOHANG) == pid)
                        vg_daemon_died(core, status);
                return REAPED;
        }
        if (vg_script_owns(core, pid)) {
                if (waitpid(pid, &status, WNOHANG) == pid)
                        vg_script_reaped(core, pid, status);
                return REAPED;
        }
        return UNKNOWN;
}

/* Hears what the births have to say; true when one of them may still have a child that we do not know. */
static bool ask_births(struct vg_core *core) {
        bool unknown = false;
        for (struct vg_map_entry *e = NULL; (e = vg_map_next(&core->containers.by_id, e));) {
                struct vg_container *c = VG_OWNER(e, struct vg_container, by_id);
                struct vg_process *p;
                if (c->init && vg_birth_has_unknown_child(c->init)) {
                        vg_helper_drain(&c->init->helper);
                        unknown |= vg_birth_has_unknown_child(c->init);
                }
                TAILQ_FOREACH(p, &c->execs, link)
                        if (vg_birth_has_unknown_child(p)) {
                                vg_helper_drain(&p->helper);
                                unknown |= vg_birth_has_unknown_child(p);
                        }
        }
        return unknown;
}

static size_t count_processes(struct vg_core *core) {
        size_t n = 0;
        for (struct vg_map_entry *e = NULL; (e = vg_map_next(&core->containers.by_id, e));)
                n += 1 + VG_OWNER(e, struct vg_container, by_id)->n_execs;
        return n;
}

/* waitid(P_ALL) shows the same zombie again as long as it is not reaped, so behind a deferred one each is looked for by pid. */
static void reap_behind(struct vg_core *core) {
        size_t n = 0, room = 1 + core->scripts.count + 2 * count_processes(core);
        _cleanup_free_ pid_t *pids = calloc(room, sizeof *pids);
        if (!pids)
                return; /* with the next SIGCHLD, or once the first one is not deferred any more */
        if (core->daemon.state != VG_DAEMON_NONE)
                pids[n++] = core->daemon.process.pid;
        n += vg_script_pids(core, pids + n, core->scripts.count);
        for (struct vg_map_entry *e = NULL; (e = vg_map_next(&core->containers.by_id, e));) {
                struct vg_container *c = VG_OWNER(e, struct vg_container, by_id);
                for (struct vg_process *p = c->init; p; p = p == c->init ? TAILQ_FIRST(&c->execs) : TAILQ_NEXT(p, link)) {
                        if (!p->helper.reaped && p->helper.pid > 0 && n < room)
                                pids[n++] = p->helper.pid;
                        if (p->pid > 0 && p->state != VG_PROCESS_EXITED && n < room)
                                pids[n++] = p->pid;
                }
        }
        for (size_t i = 0; i < n; i++)
                if (peek(P_PID, pids[i]))
                        reap_known(core, pids[i]);
}

static void reap(struct vg_core *core) {
        for (int i = 0; i < REAPS_A_ROUND; i++) {
                pid_t pid = peek(P_ALL, 0);
                if (pid == 0)
                        return;
                enum outcome outcome = reap_known(core, pid);
                if (outcome == UNKNOWN) {
                        bool unknown_child = ask_births(core);
                        outcome = reap_known(core, pid);
                        if (outcome == UNKNOWN && unknown_child)
                                outcome = HELD;
                }
                if (outcome == HELD) {
                        core->reaper.deferred = true;
                        reap_behind(core);
                        return;
                }
                if (outcome == UNKNOWN)
                        waitpid(pid, NULL, WNOHANG); /* an orphan that came to us as the subreaper */
        }
        kill(getpid(), SIGCHLD); /* the rest after the others' turn */
}

void vg_reaper_again(struct vg_core *core) {
        if (!core->reaper.deferred)
                return;
        core->reaper.deferred = false;
        kill(getpid(), SIGCHLD);
}

static void signal_ready(struct vg_source *source, uint32_t events) {
        struct vg_core *core = source->owner;
        (void)events;
        struct signalfd_siginfo info;
        bool child = false;
        while (read(source->fd, &info, sizeof info) == sizeof info) {
                if (info.ssi_signo == SIGCHLD)
                        child = true;
                else
                        vg_shutdown_terminate(core, (int)info.ssi_signo);
        }
        if (child)
                reap(core);
}

int vg_reaper_open(struct vg_core *core) {
        sigset_t wanted;
        sigemptyset(&wanted);
        sigaddset(&wanted, SIGCHLD);
        sigaddset(&wanted, SIGTERM);
        sigaddset(&wanted, SIGINT);
        int fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
        if (fd < 0)
                return -errno;
        core->reaper.source = (struct vg_source){.fd = fd, .events = EPOLLIN, .ready = signal_ready, .owner = core};
        return vg_source_add(core->loop, &core->reaper.source);
}

void vg_reaper_close(struct vg_core *core) {
        vg_source_remove(&core->reaper.source);
        if (core->reaper.source.fd > 0)
                close(core->reaper.source.fd);
        core->reaper.source.fd = -1;
}
