/* The streams of one process, moved between the container's ends and the reader's: by splice where the kernel can. */
#ifndef VG_PUMP_H
#define VG_PUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"

/* What io/open.c made in the birth helper and the core received. -1: absent. Taken over by vg_pump_new(). */
struct vg_stream_fds {
        int in_fifo;  /* read end of the client's stdin FIFO (O_NONBLOCK) */
        int in_keep;  /* our own write end of it, held until CLOSE_STDIN: EOF needs both ends closed */
        int in_pipe;  /* write end of the container's stdin pipe */
        int out_pipe; /* read end of the container's stdout pipe */
        int out_sink; /* FIFO or file for stdout */
        int out_keep; /* read end held so that the FIFO outlives its reader */
        int err_pipe, err_sink, err_keep;
        int pty;    /* master: replaces the three pipes */
        int logger; /* pidfd of the logging program: SIGTERM when the streams close */
};

struct vg_pump;

/* `drained(owner)` is called once, from the loop, when every output has seen EOF and its bytes were handed on; without any
 * output after vg_pump_process_exited(). It may free the pump. The descriptors are taken over also on failure.
 * SIGPIPE and SIGXFSZ must be ignored: a sink without a reader and a file at its limit are told by errno. */
int vg_pump_new(struct vg_loop *loop, const struct vg_stream_fds *fds, void (*drained)(void *owner), void *owner,
                struct vg_pump **ret_pump);
/* The pty arrives after the other descriptors. Takes it over. */
int vg_pump_set_pty(struct vg_pump *pump, int pty);
/* A pty master gives EIO, not EOF, and does so before the slave is first opened: only after the exit is EIO the end. */
void vg_pump_process_exited(struct vg_pump *pump);
bool vg_pump_is_drained(const struct vg_pump *pump);
void vg_pump_close_stdin(struct vg_pump *pump);
/* TIOCSWINSZ; 0 without a terminal. Kept and applied by vg_pump_set_pty() when it comes before the pty. */
int vg_pump_resize(struct vg_pump *pump, uint16_t columns, uint16_t rows);
/* Closes everything; what is unread is lost. Accepts NULL. */
void vg_pump_free(struct vg_pump *pump);

#endif
