/* Starting the core as a process of its own. */
#ifndef VG_SPAWN_H
#define VG_SPAWN_H

#include "launcher/args.h"
#include "launcher/settings.h"
#include "lib/wire.h"

struct vg_spawn {
        const struct vg_args *args;
        const struct vg_settings *settings;
        const char *group, *socket, *bundle, *ttrpc_address;
        int listener;            /* handed over as descriptor 3 */
        struct vg_bytes options; /* handed over as descriptor 5 */
};

/* Returns when the core's execve succeeded or failed; `ret_message` then says what did. The core has none of our stdio, a session
 * of its own, and an oom_score_adj one above that of our parent (containerd), as the stock shim sets it. */
int vg_spawn_core(const struct vg_spawn *spawn, char ret_message[256]);

#endif
