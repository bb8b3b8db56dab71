/* The parts of a core, together. Made and joined in main.c. */
#ifndef VG_CORE_H
#define VG_CORE_H

#include "core/command.h"
#include "core/commit.h"
#include "core/compact.h"
#include "core/config.h"
#include "core/connection.h"
#include "core/container.h"
#include "core/daemon.h"
#include "core/fact.h"
#include "core/handoff.h"
#include "core/handover.h"
#include "core/journal.h"
#include "core/kept.h"
#include "core/listener.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/reap.h"
#include "core/request.h"
#include "core/sandbox.h"
#include "core/script.h"
#include "core/shutdown.h"
#include "core/store.h"
#include "core/teardown_file.h"
#include "lib/cleanup.h"
#include "lib/wire.h"
#include "vigil.h"

#define VG_MS UINT64_C(1000000) /* in nanoseconds */

struct vg_core {
        struct vg_config config;
        struct vg_log log;
        struct vg_loop *loop;
        int state_directory;
        struct vg_journal journal;
        struct vg_facts facts;
        struct vg_store store;
        struct vg_keep keep;
        struct vg_requests requests;
        struct vg_connections connections;
        struct vg_handoffs handoffs;
        struct vg_listener listener;
        struct vg_daemon daemon;
        struct vg_containers containers;
        struct vg_oom_host *oom_host;
        struct vg_scripts scripts;
        struct vg_reaper reaper;
        struct vg_shutdown shutdown;
        char *unavailable; /* why every request is refused; NULL: none is */
};

/* After loop and oom_host: every part empty and at rest. */
void vg_core_init(struct vg_core *core);
/* Ends what still runs and frees everything, loop and oom_host included. */
void vg_core_done(struct vg_core *core);

/* From now on every request is refused with "WHAT HOW", those that wait included. */
void vg_core_unavailable(struct vg_core *core, const char *what, const char *how);
void vg_core_available(struct vg_core *core);

#endif
