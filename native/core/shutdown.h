/* The end of a core: asked for by Shutdown, by a signal, or because nobody ever came. Against a `start` that joins the group at
 * the same time both sides work under the group's lock (RUN/cores/NS/GROUP.lock). */
#ifndef VG_SHUTDOWN_H
#define VG_SHUTDOWN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"

struct vg_core;

enum vg_shutdown_state {
        VG_SHUTDOWN_NONE,
        VG_SHUTDOWN_ASKED,   /* as soon as the lock is free and no registered container is still to come */
        VG_SHUTDOWN_LEAVING, /* the socket is gone; replies and events are on their way out */
        VG_SHUTDOWN_ENDING,  /* the daemon has been let go */
};

struct vg_shutdown {
        struct vg_core *core;
        enum vg_shutdown_state state;
        struct vg_timer timer; /* ASKED: look again; LEAVING, ENDING: no longer than this */
        struct vg_timer idle;
        uint32_t terminate; /* signal not yet told to a daemon */
};

/* Without a container and without a connection for so long, a core that has never had an HTTP/2 connection ends. */
#define VG_SHUTDOWN_IDLE_MS 60000
/* A registered id whose Create has not come after this time: its creator has died. */
#define VG_SHUTDOWN_REGISTERED_MS 60000
/* How long a leaving core waits for containerd to take its events: containerd asks for the Shutdown of a shim that ended in its absence
 * before it takes events again. */
#define VG_SHUTDOWN_LEAVE_MS 10000
#define VG_SHUTDOWN_END_MS 500

void vg_shutdown_init(struct vg_core *core);
void vg_shutdown_ask(struct vg_core *core);
void vg_shutdown_terminate(struct vg_core *core, int signal);
/* Something has changed on which the end may depend. */
void vg_shutdown_look(struct vg_core *core);
/* A connection or a container has come. */
void vg_shutdown_watch_idle(struct vg_core *core);
void vg_shutdown_daemon_ready(struct vg_core *core);
/* True: no new daemon is wanted. */
bool vg_shutdown_daemon_died(struct vg_core *core);
/* A birth of this container has been asked for: its registration keeps the core no longer. */
int vg_shutdown_seen(struct vg_core *core, const char *id);
/* After the loop: what is left behind in the state directory is what somebody still needs. */
void vg_shutdown_clean(struct vg_core *core);

#endif
