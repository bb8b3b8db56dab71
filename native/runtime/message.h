/* Messages of the channel (runtime.h) and of the private socket between helper and child: both SOCK_SEQPACKET. */
#ifndef VG_RUNTIME_MESSAGE_H
#define VG_RUNTIME_MESSAGE_H

#include <stdint.h>
#include <sys/types.h>

#include "runtime/failure.h"

#define VG_MESSAGE_FDS_MAX 9 /* the members of struct vg_stream_fds without pty and logger */

int vg_message_send(int channel, const void *message, size_t size, const int *fds, unsigned n_fds);
int vg_message_send_tag(int channel, char tag);
int vg_message_send_pid(int channel, char tag, uint32_t pid);
int vg_message_send_failure(int channel, const struct vg_failure *failure);
/* Waits for one message and puts it into `into`, which has room for `*size` bytes; then that is its size. A descriptor that came
 * with it is the caller's, when `ret_fd` is there to take it. -ECONNRESET when the other end is gone, -EMSGSIZE when it is longer. */
int vg_message_take(int channel, void *into, size_t *size, int *ret_fd);
/* The tag of the next message, which stays where it is. */
int vg_message_peek(int channel, char *ret_tag);
/* Waits for one message and gives its tag; -ECONNRESET when the other end is gone. For 'e' also fills `ret_failure`. */
int vg_message_receive(int channel, char *ret_tag, struct vg_failure *ret_failure);
/* The same with the descriptor that came along; -1: none. */
int vg_message_receive_fd(int channel, char *ret_tag, int *ret_fd, struct vg_failure *ret_failure);

#endif
