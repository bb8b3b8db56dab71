#ifndef VG_OOM_HOST_H
#define VG_OOM_HOST_H

#include <stdbool.h>

#include "oom/kmsg.h"
#include "oom/notify.h"
#include "oom/watch.h"

struct vg_oom_host {
        struct vg_loop *loop;
        unsigned without;
        bool opened; /* by the first watch */
        struct vg_inotify inotify;
        struct vg_kmsg kmsg;
};

/* For each new watch; what cannot be had is left out. */
void vg_oom_host_use(struct vg_oom_host *host);

#endif
