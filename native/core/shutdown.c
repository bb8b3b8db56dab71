#include "core/shutdown.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/core.h"
#include "core/registered.h"

static void set_timer(struct vg_core *core, uint64_t ms) {
        vg_timer_set(core->loop, &core->shutdown.timer, vg_now_mono() + ms * VG_MS);
}

/* 0: *ret_fd holds the lock. -EWOULDBLOCK: a `start` or `delete` of the group is at work. */
static int lock_group(struct vg_core *core, int *ret_fd) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s.lock", core->config.cores, core->config.group);
        _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return -errno;
        /* Whoever leaves a group last unlinks the file under the lock: only the one that has the name counts. */
        struct stat mine, named;
        if (fstat(fd, &mine) < 0 || stat(path, &named) < 0 || mine.st_ino != named.st_ino || mine.st_dev != named.st_dev)
                return -EWOULDBLOCK;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static bool has_unanswered(const struct vg_core *core) {
        const struct vg_request *q;
        TAILQ_FOREACH(q, &core->requests.waiting, link)
                if (!q->parked && q->connection)
                        return true;
        TAILQ_FOREACH(q, &core->requests.sent, link)
                if (!q->parked && q->connection)
                        return true;
        return false;
}

static void end(struct vg_core *core) {
        core->shutdown.state = VG_SHUTDOWN_ENDING;
        if (core->daemon.state == VG_DAEMON_NONE) {
                vg_loop_stop(core->loop);
                return;
        }
        vg_daemon_hang_up(core);
        set_timer(core, VG_SHUTDOWN_END_MS);
}

static void leaving(struct vg_core *core) {
        bool delivered = TAILQ_EMPTY(&core->store.outbox) && !vg_connections_flushing(core);
        if (delivered || core->unavailable) /* then nobody can deliver the rest */
                end(core);
}

/* What is still in use by somebody else is not empty and stays. */
static void remove_entry(struct vg_core *core, bool locked) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/core", core->config.own);
        unlink(path);
        rmdir(core->config.own);
        if (!locked || vg_registered_any(core))
                return;
        /* Nobody will come to delete the last container of the group: it never had one, or all are gone. */
        snprintf(path, sizeof path, "%s/%s.lock", core->config.cores, core->config.group);
        unlink(path);
        for (int up = 0; up < 2; up++) {
                *strrchr(path, '/') = 0;
                rmdir(path);
        }
}

static void try_leave(struct vg_core *core) {
        struct vg_shutdown *s = &core->shutdown;
        if (core->containers.by_id.count > 0) {
                s->state = VG_SHUTDOWN_NONE;
                vg_timer_cancel(&s->timer);
                return;
        }
        if (has_unanswered(core)) {
                set_timer(core, 1000);
                return;
        }
        _cleanup_close_ int lock = -1;
        int r = lock_group(core, &lock);
        /* flock(2) cannot be waited for in an epoll loop, and the holder needs it for milliseconds. */
        if (r == -EWOULDBLOCK) {
                set_timer(core, 20);
                return;
        }
        /* No lock can be made (the directory is gone, say): nobody can be under it either. */
        if (r == 0 && vg_registered_but_unseen(core)) {
                set_timer(core, 1000);
                return;
        }
        vg_listener_close(core);
        remove_entry(core, r == 0);
        s->state = VG_SHUTDOWN_LEAVING;
        vg_timer_cancel(&s->idle);
        set_timer(core, VG_SHUTDOWN_LEAVE_MS);
        leaving(core);
}

static void timer_fired(struct vg_timer *timer) {
        struct vg_core *core = timer->owner;
        switch (core->shutdown.state) {
        case VG_SHUTDOWN_ASKED:
                try_leave(core);
                break;
        case VG_SHUTDOWN_LEAVING: /* what nobody took stays in the journal */
                end(core);
                break;
        case VG_SHUTDOWN_ENDING:
                vg_loop_stop(core->loop);
                break;
        case VG_SHUTDOWN_NONE:
                break;
        }
}

void vg_shutdown_ask(struct vg_core *core) {
        if (core->shutdown.state == VG_SHUTDOWN_NONE)
                core->shutdown.state = VG_SHUTDOWN_ASKED;
        if (core->shutdown.state == VG_SHUTDOWN_ASKED)
                try_leave(core);
}

/* A state of the whole is a pod, with or without containers; one whose registration `delete` has removed is nobody's. */
static bool is_lasting(const struct vg_core *core) {
        char path[PATH_MAX + NAME_MAX];
        snprintf(path, sizeof path, "%s/%s/shim", core->config.cores, core->config.group);
        return vg_map_find(&core->store.states, "") && access(path, F_OK) == 0;
}

static void set_idle(struct vg_core *core) {
        vg_timer_set(core->loop, &core->shutdown.idle, vg_now_mono() + VG_SHUTDOWN_IDLE_MS * VG_MS);
}

static void idle_fired(struct vg_timer *timer) {
        struct vg_core *core = timer->owner;
        if (is_lasting(core))
                set_idle(core);
        else
                vg_shutdown_ask(core);
}

/* An HTTP/2 connection lives in the daemon, and the core does not know when it ends. */
static bool is_idle(const struct vg_core *core) {
        return core->containers.by_id.count == 0 && core->connections.count == 0 && core->handoffs.count == 0 &&
               core->handoffs.last_tag == 0;
}

void vg_shutdown_watch_idle(struct vg_core *core) {
        struct vg_shutdown *s = &core->shutdown;
        if (s->state != VG_SHUTDOWN_NONE)
                return;
        if (!is_idle(core))
                vg_timer_cancel(&s->idle);
        else if (!s->idle.loop)
                set_idle(core);
}

void vg_shutdown_look(struct vg_core *core) {
        struct vg_shutdown *s = &core->shutdown;
        if (s->state == VG_SHUTDOWN_ASKED)
                try_leave(core);
        else if (s->state == VG_SHUTDOWN_LEAVING)
                leaving(core);
        else if (s->state == VG_SHUTDOWN_NONE && s->terminate && core->unavailable && core->containers.by_id.count == 0)
                vg_shutdown_ask(core); /* no daemon can be asked */
        else
                vg_shutdown_watch_idle(core);
}

void vg_shutdown_daemon_ready(struct vg_core *core) {
        struct vg_shutdown *s = &core->shutdown;
        if (s->terminate == 0)
                return;
        struct vg_writer w = {0};
        vg_record_begin(&w);
        vg_put_u32(&w, s->terminate);
        s->terminate = 0;
        vg_daemon_push(core, VG_REC_TERMINATE, &w);
}

void vg_shutdown_terminate(struct vg_core *core, int signal) {
        core->shutdown.terminate = (uint32_t)signal;
        if (core->daemon.state == VG_DAEMON_READY)
                vg_shutdown_daemon_ready(core);
        vg_shutdown_look(core);
}

bool vg_shutdown_daemon_died(struct vg_core *core) {
        struct vg_shutdown *s = &core->shutdown;
        bool wanted = s->state == VG_SHUTDOWN_LEAVING && !TAILQ_EMPTY(&core->store.outbox); /* by what is not delivered */
        if (wanted || s->state < VG_SHUTDOWN_LEAVING)
                return false;
        vg_loop_stop(core->loop);
        return true;
}

void vg_shutdown_init(struct vg_core *core) {
        core->shutdown = (struct vg_shutdown){
                .core = core,
                .timer = {.fired = timer_fired, .owner = core},
                .idle = {.fired = idle_fired, .owner = core},
        };
        vg_shutdown_watch_idle(core);
}

void vg_shutdown_clean(struct vg_core *core) {
        if (core->state_directory < 0)
                return;
        if (!TAILQ_EMPTY(&core->store.outbox) || !TAILQ_EMPTY(&core->facts.list)) {
                /* `delete` publishes the rest; the blocks ahead of it are needed no more. */
                if (core->journal.fd >= 0 && ftruncate(core->journal.fd, (off_t)core->journal.used) < 0)
                        vg_log(&core->log, VG_LOG_WARNING, "journal not cut", "error", strerror(errno), NULL);
                return;
        }
        unlinkat(core->state_directory, "journal", 0);
        rmdir(core->config.state_dir); /* stays when reports are in it */
}
