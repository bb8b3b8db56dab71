/* VG_CMD_COMMIT: the only way in which states, events and the replies of mutations change; whole or not at all. */
#ifndef VG_COMMIT_H
#define VG_COMMIT_H

#include "lib/wire.h"

struct vg_core;

/* `r` stands behind the key. -EBADMSG: malformed; else 0, and the daemon got COMMITTED or a RESULT that says why not. */
int vg_commit_run(struct vg_core *core, const char *key, struct vg_reader *r);
/* The request `key` has its answer; nothing else changes. */
void vg_commit_reply(struct vg_core *core, const char *key, struct vg_bytes reply);

#endif
