#include "oom/host.h"

#include <errno.h>
#include <stdlib.h>

int vg_oom_host_new(struct vg_loop *loop, unsigned without, struct vg_oom_host **ret_host) {
        struct vg_oom_host *host = calloc(1, sizeof *host);
        if (!host)
                return -ENOMEM;
        *host = (struct vg_oom_host){.loop = loop, .without = without, .inotify.source.fd = -1, .kmsg.fd = -1};
        *ret_host = host;
        return 0;
}

void vg_oom_host_use(struct vg_oom_host *host) {
        if (host->opened)
                return;
        host->opened = true;
        if (!(host->without & VG_OOM_WITHOUT_KMSG))
                vg_kmsg_init(&host->kmsg, vg_kmsg_open());
        /* Without an instance (fs.inotify.max_user_instances) the other source stands alone. */
        if (!(host->without & VG_OOM_WITHOUT_INOTIFY) && vg_inotify_open(&host->inotify, host->loop) < 0)
                host->without |= VG_OOM_WITHOUT_INOTIFY;
}

void vg_oom_host_free(struct vg_oom_host *host) {
        if (!host)
                return;
        vg_inotify_close(&host->inotify);
        vg_kmsg_done(&host->kmsg);
        free(host);
}
