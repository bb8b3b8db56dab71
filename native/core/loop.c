#include "core/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum { VG_BATCH = 64 };

struct vg_loop {
        int epoll;
        bool stopped;
        struct vg_timer *timers; /* the earliest first */
        struct epoll_event batch[VG_BATCH];
        int batch_size;
};

static uint64_t clock_now(clockid_t clock) {
        struct timespec ts;
        clock_gettime(clock, &ts);
        return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t vg_now_mono(void) {
        return clock_now(CLOCK_MONOTONIC);
}

uint64_t vg_now_real(void) {
        return clock_now(CLOCK_REALTIME);
}

int vg_loop_new(struct vg_loop **ret_loop) {
        _cleanup_free_ struct vg_loop *loop = calloc(1, sizeof *loop);
        if (!loop)
                return -ENOMEM;
        loop->epoll = epoll_create1(EPOLL_CLOEXEC);
        if (loop->epoll < 0)
                return -errno;
        *ret_loop = TAKE_PTR(loop);
        return 0;
}

void vg_loop_free(struct vg_loop *loop) {
        if (!loop)
                return;
        close(loop->epoll);
        free(loop);
}

int vg_source_add(struct vg_loop *loop, struct vg_source *source) {
        struct epoll_event event = {.events = source->events, .data.ptr = source};
        if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, source->fd, &event) < 0)
                return -errno;
        source->loop = loop;
        return 0;
}

int vg_source_change(struct vg_source *source, uint32_t events) {
        if (!source->loop)
                return -EINVAL;
        if (source->events == events)
                return 0;
        struct epoll_event event = {.events = events, .data.ptr = source};
        if (epoll_ctl(source->loop->epoll, EPOLL_CTL_MOD, source->fd, &event) < 0)
                return -errno;
        source->events = events;
        return 0;
}

void vg_source_remove(struct vg_source *source) {
        struct vg_loop *loop = source->loop;
        if (!loop)
                return;
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
        source->loop = NULL;
        /* What this round has already fetched must not reach a source that is gone. */
        for (int i = 0; i < loop->batch_size; i++)
                if (loop->batch[i].data.ptr == source)
                        loop->batch[i].data.ptr = NULL;
}

void vg_timer_cancel(struct vg_timer *timer) {
        if (!timer->loop)
                return;
        struct vg_timer **at = &timer->loop->timers;
        while (*at != timer)
                at = &(*at)->next;
        *at = timer->next;
        timer->next = NULL;
        timer->loop = NULL;
}

void vg_timer_set(struct vg_loop *loop, struct vg_timer *timer, uint64_t due) {
        vg_timer_cancel(timer);
        struct vg_timer **at = &loop->timers;
        while (*at && (*at)->due <= due)
                at = &(*at)->next;
        timer->due = due;
        timer->loop = loop;
        timer->next = *at;
        *at = timer;
}

static int loop_wait(struct vg_loop *loop) {
        struct timespec left = {0}, *timeout = NULL;
        if (loop->timers) {
                uint64_t now = vg_now_mono(), due = loop->timers->due;
                if (due > now)
                        left = (struct timespec){.tv_sec = (time_t)((due - now) / 1000000000u),
                                                 .tv_nsec = (long)((due - now) % 1000000000u)};
                timeout = &left;
        }
        int n = epoll_pwait2(loop->epoll, loop->batch, VG_BATCH, timeout, NULL);
        /* epoll_pwait2 came with Linux 5.11; before it only whole milliseconds, rounded up. */
        if (n < 0 && errno == ENOSYS) {
                int ms = -1;
                if (timeout)
                        ms = left.tv_sec > 1000000 ? 1000000000 : (int)(left.tv_sec * 1000 + (left.tv_nsec + 999999) / 1000000);
                n = epoll_wait(loop->epoll, loop->batch, VG_BATCH, ms);
        }
        if (n < 0)
                return errno == EINTR ? 0 : -errno;
        return n;
}

static void fire_timers(struct vg_loop *loop) {
        uint64_t now = vg_now_mono();
        while (!loop->stopped && loop->timers && loop->timers->due <= now) {
                struct vg_timer *timer = loop->timers;
                vg_timer_cancel(timer);
                timer->fired(timer);
        }
}

/* Sources before timers: after a stall of the whole machine an answer that lies in a socket counts, not the time that passed. */
int vg_loop_run(struct vg_loop *loop) {
        loop->stopped = false;
        while (!loop->stopped) {
                int n = loop_wait(loop);
                if (n < 0)
                        return n;
                loop->batch_size = n;
                for (int i = 0; i < n && !loop->stopped; i++) {
                        struct vg_source *source = loop->batch[i].data.ptr;
                        if (source)
                                source->ready(source, loop->batch[i].events);
                }
                loop->batch_size = 0;
                fire_timers(loop);
        }
        return 0;
}

void vg_loop_stop(struct vg_loop *loop) {
        loop->stopped = true;
}
