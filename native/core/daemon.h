/* The one daemon at a time: started, given everything, watched, replaced. */
#ifndef VG_DAEMON_H
#define VG_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/channel.h"
#include "core/loop.h"
#include "core/receipts.h"
#include "core/spawn.h"

struct vg_core;

enum vg_daemon_state {
        VG_DAEMON_NONE,    /* not started, or waiting to be */
        VG_DAEMON_BOOTING, /* the hand-over is on its way */
        VG_DAEMON_READY,
        VG_DAEMON_DOOMED, /* killed by us, not yet reaped: heard no more */
};

struct vg_daemon {
        struct vg_core *core;
        enum vg_daemon_state state;
        struct vg_spawned process;
        struct vg_channel channel;
        struct vg_source fds; /* watched only while the socket is full */
        struct vg_receipts receipts;
        struct vg_timer boot, hang, silence, start;
        uint32_t epoch, early_deaths;
        bool was_ready;
        bool spoke;     /* it has said something, so it reads: from then on a request may have killed it */
        char doom[128]; /* why we killed it */
};

#define VG_DAEMON_BOOT_MS 60000
/* Deaths before READY in a row, from which on requests are refused. */
#define VG_DAEMON_CRASH_LOOP 5
/* From the end of the stream to the end of the process. */
#define VG_DAEMON_SILENCE_MS 1000
#define VG_DAEMON_BACKOFF_MIN_MS 100
#define VG_DAEMON_BACKOFF_MAX_MS 10000

void vg_daemon_init(struct vg_core *core);
void vg_daemon_start(struct vg_core *core);
/* The number of the record, 0 if there is no daemon to be told. Empties the writer. */
uint64_t vg_daemon_push(struct vg_core *core, enum vg_record type, struct vg_writer *w);
bool vg_daemon_has_room(const struct vg_core *core);
/* Gives a ready daemon the requests and connections that wait. */
void vg_daemon_feed(struct vg_core *core);
void vg_daemon_ready(struct vg_core *core);
void vg_daemon_receipt(struct vg_core *core, uint64_t number);
/* Kills it; the next one is started when it has been reaped. */
void vg_daemon_doom(struct vg_core *core, const char *reason);
/* End of the stream: a daemon with nothing more to say is let go. */
void vg_daemon_hang_up(struct vg_core *core);
/* Before it is reaped: what it still said is heard. */
void vg_daemon_died(struct vg_core *core, int wait_status);
void vg_daemon_done(struct vg_core *core);

#endif
