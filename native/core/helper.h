/* A forked child of the core that carries a plan out, and the SEQPACKET channel to it (native/runtime/runtime.h). */
#ifndef VG_HELPER_H
#define VG_HELPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/loop.h"
#include "lib/wire.h"
#include "runtime/failure.h"

#define VG_HELPER_FDS_MAX 16

struct vg_helper_message {
        char tag;
        struct vg_bytes rest;
        int fds[VG_HELPER_FDS_MAX]; /* the receiver takes what it wants (TAKE_FD); the others are closed */
        unsigned n_fds;
};

struct vg_helper {
        pid_t pid;
        bool reaped;
        int wait_status;
        struct vg_source channel; /* fd -1: closed */
        void *owner;
        void (*message)(void *owner, struct vg_helper_message *message);
        void (*eof)(void *owner);
};

/* `run` is called in the child with its end of the channel, and must not return. */
int vg_helper_fork(struct vg_helper *helper, struct vg_loop *loop, void (*run)(void *argument, int channel), void *argument);
/* Handles what lies in the channel without waiting; its end too. */
void vg_helper_drain(struct vg_helper *helper);
int vg_helper_send(struct vg_helper *helper, char tag);
void vg_helper_close(struct vg_helper *helper);

/* The words of 'e': i32 status, u32 op, text. */
struct vg_helper_error {
        int status;
        uint32_t op;
        char text[VG_MESSAGE_MAX];
};
void vg_helper_error_read(const struct vg_helper_message *message, struct vg_helper_error *ret_error);
/* "was killed by signal 9", "exited with status 1" */
void vg_describe_wait_status(int wait_status, char *text, size_t size);

#endif
