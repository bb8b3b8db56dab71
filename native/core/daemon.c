#include "core/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/core.h"

static void daemon_kill(const struct vg_daemon *d) {
        if (d->process.pidfd < 0 || syscall(SYS_pidfd_send_signal, d->process.pidfd, SIGKILL, NULL, 0) < 0)
                kill(d->process.pid, SIGKILL);
}

static void stop_watching(struct vg_daemon *d) {
        vg_timer_cancel(&d->boot);
        vg_timer_cancel(&d->hang);
        vg_timer_cancel(&d->silence);
        vg_source_remove(&d->fds);
}

void vg_daemon_doom(struct vg_core *core, const char *reason) {
        struct vg_daemon *d = &core->daemon;
        if (d->state != VG_DAEMON_BOOTING && d->state != VG_DAEMON_READY)
                return;
        vg_log(&core->log, VG_LOG_WARNING, "daemon killed", "reason", reason, NULL);
        snprintf(d->doom, sizeof d->doom, "%s", reason);
        d->state = VG_DAEMON_DOOMED;
        stop_watching(d);
        vg_channel_stop(&d->channel);
        daemon_kill(d);
}

static int channel_record(void *owner, const struct vg_record_header *header, struct vg_bytes payload) {
        struct vg_core *core = owner;
        core->daemon.spoke = true;
        return vg_command_run(core, header, payload);
}

static void channel_drained(void *owner) {
        vg_daemon_feed(owner);
}

static void channel_ended(void *owner, int error) {
        struct vg_core *core = owner;
        char reason[96];
        /* The end of the stream is most often that of the process, which says more: it has a moment to come. */
        if (error == 0) {
                vg_timer_set(core->loop, &core->daemon.silence, vg_now_mono() + VG_DAEMON_SILENCE_MS * VG_MS);
                return;
        }
        snprintf(reason, sizeof reason, "it broke the protocol: %s", strerror(-error));
        vg_daemon_doom(core, reason);
}

static void silence_fired(struct vg_timer *timer) {
        vg_daemon_doom(timer->owner, "it closed its stream");
}

static void fds_ready(struct vg_source *source, uint32_t events) {
        (void)events;
        vg_source_remove(source);
        vg_daemon_feed(source->owner);
}

static void boot_fired(struct vg_timer *timer) {
        vg_daemon_doom(timer->owner, "it was not ready after 60 s");
}

static void watch_receipts(struct vg_core *core) {
        struct vg_daemon *d = &core->daemon;
        uint64_t oldest = vg_receipts_oldest(&d->receipts);
        if (d->state != VG_DAEMON_READY || oldest == 0)
                vg_timer_cancel(&d->hang);
        else if (!d->hang.loop || d->hang.due != oldest + VG_RECEIPT_TIMEOUT_MS * VG_MS)
                vg_timer_set(core->loop, &d->hang, oldest + VG_RECEIPT_TIMEOUT_MS * VG_MS);
}

static void hang_fired(struct vg_timer *timer) {
        struct vg_core *core = timer->owner;
        uint64_t now = vg_now_mono();
        /* So late that the machine (or we) stood still: then the daemon did too. */
        if (now - timer->due > 1000 * VG_MS) {
                vg_receipts_restart(&core->daemon.receipts, now);
                watch_receipts(core);
                return;
        }
        vg_daemon_doom(core, "it has taken nothing for 5 s");
}

/* Adds "exited with 1", "cannot be run: No such file ..." to what the operator reads in every refused request. */
static void describe_end(struct vg_daemon *d, int wait_status, char text[256]) {
        int error;
        if (d->process.failure >= 0 && read(d->process.failure, &error, sizeof error) == sizeof error)
                snprintf(text, 256, "%.160s cannot be run: %s", d->process.path, strerror(error));
        else if (d->doom[0])
                snprintf(text, 256, "killed because %s", d->doom);
        else if (WIFSIGNALED(wait_status))
                snprintf(text, 256, "killed by signal %d", WTERMSIG(wait_status));
        else
                snprintf(text, 256, "exited with status %d", WEXITSTATUS(wait_status));
}

/* `how`: the daemon's end in words. Decides when the next one comes. */
static void start_later(struct vg_core *core, bool early, const char *how) {
        struct vg_daemon *d = &core->daemon;
        uint64_t wait_ms = 0;
        if (early) {
                d->early_deaths++;
                wait_ms = VG_DAEMON_BACKOFF_MAX_MS;
                if (d->early_deaths < 8)
                        wait_ms = VG_DAEMON_BACKOFF_MIN_MS << (d->early_deaths - 1);
                if (wait_ms > VG_DAEMON_BACKOFF_MAX_MS)
                        wait_ms = VG_DAEMON_BACKOFF_MAX_MS;
        }
        if (d->early_deaths >= VG_DAEMON_CRASH_LOOP)
                vg_core_unavailable(core, "the vigil daemon does not start: ", how);
        vg_timer_set(core->loop, &d->start, vg_now_mono() + wait_ms * VG_MS);
}

static void start_fired(struct vg_timer *timer) {
        vg_daemon_start(timer->owner);
}

void vg_daemon_init(struct vg_core *core) {
        core->daemon = (struct vg_daemon){
                .core = core,
                .process = {.pidfd = -1, .channel = -1, .fds = -1, .failure = -1},
                .channel = {.fd = -1},
                .boot = {.fired = boot_fired, .owner = core},
                .hang = {.fired = hang_fired, .owner = core},
                .start = {.fired = start_fired, .owner = core},
                .silence = {.fired = silence_fired, .owner = core},
        };
        STAILQ_INIT(&core->daemon.channel.out);
}

void vg_daemon_start(struct vg_core *core) {
        struct vg_daemon *d = &core->daemon;
        if (d->state != VG_DAEMON_NONE)
                return;
        d->doom[0] = 0;
        d->spoke = d->was_ready = false;
        d->receipts = (struct vg_receipts){0};
        int r = vg_daemon_spawn(&core->config, core->log.fd, &d->process);
        if (r < 0) {
                char how[256];
                snprintf(how, sizeof how, r == -ENOENT ? "%.180s not found: %s" : "%.180s cannot be started: %s", d->process.path,
                         strerror(-r));
                vg_log(&core->log, VG_LOG_ERROR, "daemon not started", "error", how, NULL);
                start_later(core, true, how);
                return;
        }
        d->epoch++;
        d->state = VG_DAEMON_BOOTING;
        d->channel.owner = core;
        d->channel.record = channel_record;
        d->channel.drained = channel_drained;
        d->channel.ended = channel_ended;
        d->fds = (struct vg_source){.fd = d->process.fds, .events = EPOLLOUT, .ready = fds_ready, .owner = core};
        vg_timer_set(core->loop, &d->boot, vg_now_mono() + VG_DAEMON_BOOT_MS * VG_MS);
        r = vg_channel_open(&d->channel, core->loop, TAKE_FD(d->process.channel), d->epoch);
        if (r < 0) {
                vg_daemon_doom(core, strerror(-r));
                return;
        }
        vg_handover(core);
}

uint64_t vg_daemon_push(struct vg_core *core, enum vg_record type, struct vg_writer *w) {
        struct vg_daemon *d = &core->daemon;
        if (d->state != VG_DAEMON_BOOTING && d->state != VG_DAEMON_READY) {
                vg_writer_done(w);
                return 0;
        }
        if (vg_channel_push(&d->channel, type, w) < 0) {
                vg_daemon_doom(core, "a record for it found no memory");
                return 0;
        }
        vg_receipts_sent(&d->receipts, d->channel.number, vg_now_mono());
        watch_receipts(core);
        return d->channel.number;
}

bool vg_daemon_has_room(const struct vg_core *core) {
        return core->daemon.channel.queued <= VG_CHANNEL_HIGH;
}

void vg_daemon_feed(struct vg_core *core) {
        struct vg_daemon *d = &core->daemon;
        if (d->state != VG_DAEMON_READY)
                return;
        vg_requests_feed(core, false);
        if (!d->fds.loop && vg_handoffs_feed(core, d->process.fds) && vg_source_add(core->loop, &d->fds) < 0)
                vg_daemon_doom(core, "its descriptor socket cannot be watched");
}

void vg_daemon_ready(struct vg_core *core) {
        struct vg_daemon *d = &core->daemon;
        if (d->state != VG_DAEMON_BOOTING)
                return;
        d->state = VG_DAEMON_READY;
        d->was_ready = true;
        d->early_deaths = 0;
        vg_timer_cancel(&d->boot);
        vg_core_available(core);
        /* Booting has a limit of its own; the receipts' clock begins now. */
        vg_receipts_restart(&d->receipts, vg_now_mono());
        watch_receipts(core);
        vg_daemon_feed(core);
        vg_shutdown_daemon_ready(core);
}

void vg_daemon_receipt(struct vg_core *core, uint64_t number) {
        struct vg_daemon *d = &core->daemon;
        vg_receipts_acknowledge(&d->receipts, number);
        watch_receipts(core);
        vg_requests_receipt(core, number);
}

void vg_daemon_hang_up(struct vg_core *core) {
        struct vg_daemon *d = &core->daemon;
        if (d->state != VG_DAEMON_BOOTING && d->state != VG_DAEMON_READY)
                return;
        stop_watching(d);
        vg_channel_stop(&d->channel);
        snprintf(d->doom, sizeof d->doom, "the core ends");
        d->state = VG_DAEMON_DOOMED;
        shutdown(d->channel.fd, SHUT_RDWR);
}

static void daemon_release(struct vg_daemon *d) {
        stop_watching(d);
        vg_channel_done(&d->channel);
        vg_closep(&d->process.pidfd);
        vg_closep(&d->process.fds);
        vg_closep(&d->process.failure);
        d->process.pid = 0;
        d->state = VG_DAEMON_NONE;
}

void vg_daemon_died(struct vg_core *core, int wait_status) {
        struct vg_daemon *d = &core->daemon;
        if (d->state != VG_DAEMON_DOOMED)
                vg_channel_read_rest(&d->channel);
        bool early = !d->was_ready, blame = d->spoke;
        char how[256], pid[16];
        describe_end(d, wait_status, how);
        snprintf(pid, sizeof pid, "%d", (int)d->process.pid);
        daemon_release(d);
        vg_requests_daemon_died(core, blame);
        if (vg_shutdown_daemon_died(core))
                return;
        vg_log(&core->log, VG_LOG_WARNING, "daemon died", "pid", pid, "how", how, NULL);
        start_later(core, early, how);
}

void vg_daemon_done(struct vg_core *core) {
        struct vg_daemon *d = &core->daemon;
        vg_timer_cancel(&d->start);
        if (d->state == VG_DAEMON_NONE)
                return;
        daemon_kill(d);
        /* Killed and our child: it is gone at once, or as soon as a system call lets it go; the subreaper above us reaps it then. */
        waitpid(d->process.pid, NULL, WNOHANG);
        daemon_release(d);
}
