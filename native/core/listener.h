/* The shim's socket: only its owner (and root) may speak to it. */
#ifndef VG_LISTENER_H
#define VG_LISTENER_H

#include "core/loop.h"

struct vg_core;

struct vg_listener {
        struct vg_core *core;
        struct vg_source source;
        struct vg_timer retry;  /* after the process ran out of descriptors */
        uint64_t device, inode; /* of the socket's path, to unlink no other */
};

int vg_listener_open(struct vg_core *core, int fd);
/* Unlinks the path (if it is still ours) and stops listening. */
void vg_listener_close(struct vg_core *core);

#endif
