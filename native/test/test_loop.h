/* What the tests of the loop's users share: running a loop until something is true. */
#ifndef VG_TEST_LOOP_H
#define VG_TEST_LOOP_H

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/loop.h"
#include "test/check.h"

#define CHECK_EQ(actual, expected)                                                                                                \
        do {                                                                                                                      \
                long long actual_ = (long long)(actual), expected_ = (long long)(expected);                                       \
                if (actual_ != expected_) {                                                                                       \
                        fprintf(stderr, "%s:%d: %s: %s is %lld, expected %lld\n", __FILE__, __LINE__, __func__, #actual, actual_, \
                                expected_);                                                                                       \
                        exit(1);                                                                                                  \
                }                                                                                                                 \
        } while (0)

struct vg_test_wait {
        struct vg_timer timer;
        struct vg_loop *loop;
        bool (*is_over)(void *what);
        void *what;
        uint64_t deadline;
        bool over;
};

static inline void vg_test_tick(struct vg_timer *timer) {
        struct vg_test_wait *wait = timer->owner;
        wait->over = wait->is_over && wait->is_over(wait->what);
        if (wait->over || vg_now_mono() >= wait->deadline)
                vg_loop_stop(wait->loop);
        else
                vg_timer_set(wait->loop, timer, vg_now_mono() + 1000000);
}

/* Runs the loop until is_over(what), at most so long. NULL: for the whole time. The loop is only stopped from a timer: what
 * epoll has reported is handled before. */
static inline bool vg_test_run(struct vg_loop *loop, unsigned ms, bool (*is_over)(void *what), void *what) {
        struct vg_test_wait wait = {.loop = loop, .is_over = is_over, .what = what};
        wait.deadline = vg_now_mono() + (uint64_t)ms * 1000000;
        wait.timer.fired = vg_test_tick;
        wait.timer.owner = &wait;
        vg_timer_set(loop, &wait.timer, vg_now_mono());
        CHECK_EQ(vg_loop_run(loop), 0);
        vg_timer_cancel(&wait.timer);
        return wait.over;
}

/* Runs the loop until is_over(what). False: it has not come, and will not come; a busy machine is no failure. */
static inline bool vg_test_await(struct vg_loop *loop, bool (*is_over)(void *what), void *what) {
        return vg_test_run(loop, 20000, is_over, what);
}

static inline void vg_test_stop(struct vg_timer *timer) {
        vg_loop_stop(timer->owner);
}

/* Runs the loop for so long without a timer of the test's in between; returns how often it slept. */
static inline long vg_test_count_sleeps(struct vg_loop *loop, unsigned ms) {
        struct rusage before, after;
        struct vg_timer stop = {.fired = vg_test_stop, .owner = loop};
        vg_timer_set(loop, &stop, vg_now_mono() + (uint64_t)ms * 1000000);
        getrusage(RUSAGE_SELF, &before);
        CHECK_EQ(vg_loop_run(loop), 0);
        getrusage(RUSAGE_SELF, &after);
        return after.ru_nvcsw - before.ru_nvcsw;
}

static inline unsigned vg_test_open_files(void) {
        unsigned n = 0;
        DIR *d = opendir("/proc/self/fd");
        CHECK(d);
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

#endif
