/* What the daemon calls through its foreign-function interface: nothing here forks or blocks. */
#ifndef LIBVIGIL_H
#define LIBVIGIL_H

#include <stdint.h>

#define VG_EXPORT __attribute__((visibility("default")))

/* VG_ABI_VERSION of this library: the daemon refuses another than its own. */
VG_EXPORT int vg_abi_version(void);

/* Takes the next descriptor from a SEQPACKET socket: returns it (>= 0, close-on-exec, non-blocking) with its tag, -EAGAIN when none
 * is there, -EPIPE when the other side is gone, -EBADMSG for a message that carries none. Node's own sockets drop SCM_RIGHTS. */
VG_EXPORT int vg_receive_fd(int socket, uint64_t *ret_tag);

#endif
