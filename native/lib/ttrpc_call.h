/* One unary ttrpc call on a connection of its own (containerd ttrpc PROTOCOL.md): what `delete` says to containerd and to a
 * core that is still there. */
#ifndef VG_TTRPC_CALL_H
#define VG_TTRPC_CALL_H

#include <stdint.h>

#include "lib/wire.h"

/* A connected stream socket, non-blocking; `path` may carry "unix://". */
int vg_ttrpc_connect(const char *path, int *ret_fd);

/* Sends request number `stream` (odd, rising) and waits for its response until `deadline` (CLOCK_MONOTONIC ns). 0: answered, with
 * the status code in `ret_code` (0 is OK). -ETIMEDOUT, -EPIPE ... otherwise. */
int vg_ttrpc_call(int fd, uint32_t stream, const char *service, const char *method, struct vg_bytes payload, uint64_t deadline,
                  uint32_t *ret_code);

#endif
