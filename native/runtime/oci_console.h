/* The socket on which an OCI runtime hands over the master of a container's terminal (runc's docs/terminals.md). */
#ifndef VG_RUNTIME_OCI_CONSOLE_H
#define VG_RUNTIME_OCI_CONSOLE_H

#include <stdbool.h>

#include "runtime/failure.h"

struct vg_oci_console {
        int listener; /* -1: no terminal is expected, or it has come */
        int channel;  /* to the core */
        bool passed;
};

/* An empty path: no terminal. */
int vg_oci_console_listen(const char *path, int channel, struct vg_oci_console *ret_console, struct vg_failure *failure);
/* Somebody has connected: takes the master and sends it on as 't'. 1: done; 0: it has gone again. */
int vg_oci_console_take(void *console, struct vg_failure *failure);

#endif
