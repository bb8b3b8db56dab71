/* What containerd says on stdin of `start` (a serialized Any of the runtime options up to 2.2, BootstrapParams from 2.3) and what
 * `start` answers. */
#ifndef VG_BOOTSTRAP_H
#define VG_BOOTSTRAP_H

#include "launcher/args.h"
#include "lib/wire.h"

#define VG_BOOTSTRAP_MAX (1u << 20) /* bytes of stdin that are read; more is refused */

struct vg_bootstrap {
        struct vg_writer options; /* a serialized google.protobuf.Any, or empty */
        char socket_dir[128];     /* empty: not given */
        char ttrpc_address[256];  /* empty: not given */
};

/* Reads stdin to its end. A terminal is not waited for. -EMSGSIZE, -EBADMSG. */
int vg_bootstrap_read(int fd, const struct vg_args *args, struct vg_bootstrap *ret_bootstrap);
void vg_bootstrap_done(struct vg_bootstrap *b);

#endif
