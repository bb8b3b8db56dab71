/* VG_CMD_SCRIPT: host ops in a helper of their own. */
#ifndef VG_SCRIPT_H
#define VG_SCRIPT_H

#include <stdbool.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "lib/wire.h"

struct vg_core;
struct vg_kept;
struct vg_script;

struct vg_scripts {
        LIST_HEAD(, vg_script) list;
        size_t count;
};

/* Running at once; beyond it a script gets -EAGAIN. */
#define VG_SCRIPTS_MAX 256

int vg_script_start(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r);
bool vg_script_owns(const struct vg_core *core, pid_t pid);
/* The helper, one that vg_script_owns(), has been reaped. */
void vg_script_reaped(struct vg_core *core, pid_t pid, int wait_status);
/* Fills in at most `room` pids of helpers. */
size_t vg_script_pids(const struct vg_core *core, pid_t *pids, size_t room);
void vg_scripts_done(struct vg_core *core);

#endif
