/* Signals: SIGCHLD, and those that ask the core to end. */
#ifndef VG_REAP_H
#define VG_REAP_H

#include <stdbool.h>

#include "core/loop.h"

struct vg_core;

struct vg_reaper {
        struct vg_source source;
        bool deferred; /* a zombie lies there that is held, or may be the child of a birth which has not told its pid */
};

/* Blocks every signal; to be called before anything else, and so before the descriptor exists. */
void vg_signals_block(void);
int vg_reaper_open(struct vg_core *core);
/* Look at the deferred ones again. */
void vg_reaper_again(struct vg_core *core);
void vg_reaper_close(struct vg_core *core);

#endif
