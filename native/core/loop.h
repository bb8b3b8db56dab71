/* One epoll loop with timers: the only place of the core that waits. */
#ifndef VG_LOOP_H
#define VG_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct vg_loop;

/* Embedded in its owner; `ready` may remove any source, itself and others of the same round included. */
struct vg_source {
        int fd; /* borrowed: the owner closes it after vg_source_remove() */
        uint32_t events;
        void (*ready)(struct vg_source *source, uint32_t events);
        void *owner;
        struct vg_loop *loop; /* NULL: not watched */
};

struct vg_timer {
        uint64_t due; /* CLOCK_MONOTONIC ns */
        void (*fired)(struct vg_timer *timer);
        void *owner;
        struct vg_loop *loop; /* NULL: not set */
        struct vg_timer *next;
};

int vg_loop_new(struct vg_loop **ret_loop);
void vg_loop_free(struct vg_loop *loop);
int vg_source_add(struct vg_loop *loop, struct vg_source *source);
int vg_source_change(struct vg_source *source, uint32_t events);
void vg_source_remove(struct vg_source *source); /* fine when not watched */
/* Sets or moves a timer. */
void vg_timer_set(struct vg_loop *loop, struct vg_timer *timer, uint64_t due);
void vg_timer_cancel(struct vg_timer *timer); /* fine when not set */
/* Runs until vg_loop_stop(). */
int vg_loop_run(struct vg_loop *loop);
void vg_loop_stop(struct vg_loop *loop);
uint64_t vg_now_mono(void);
uint64_t vg_now_real(void);

#endif
