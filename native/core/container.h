/* Containers and their processes: from the fork of a birth helper to the moment when the daemon wants to hear no more. */
#ifndef VG_CONTAINER_H
#define VG_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "core/helper.h"
#include "core/journal.h"
#include "core/kept.h"
#include "core/loop.h"
#include "core/map.h"
#include "core/teardown_file.h"
#include "io/pump.h"
#include "oom/watch.h"
#include "runtime/runtime.h"

struct vg_core;
struct vg_container;

enum vg_process_state {
        VG_PROCESS_BORN,     /* a helper or the child is setting it up */
        VG_PROCESS_CREATED,  /* an init: waits for START */
        VG_PROCESS_STARTING, /* 's' is on its way, execve has not been seen */
        VG_PROCESS_RUNNING,  /* execve succeeded */
        VG_PROCESS_EXITED,   /* reaped */
};

struct vg_process {
        TAILQ_ENTRY(vg_process) link;
        struct vg_core *core;
        struct vg_container *container;
        char *exec; /* empty: the init */
        enum vg_process_state state;
        pid_t pid; /* 0: there is no child yet */
        int pidfd;
        uint64_t start_time;
        struct vg_helper helper;
        struct vg_birth birth;          /* its strings, until the watch is armed */
        struct vg_kept *born, *started; /* who waits for BIRTH, for START */
        bool ready, executing;          /* 'r', 'x' */
        char *cgroups;                  /* an init's /proc/PID/cgroup, as the helper of an OCI runtime found it */
        bool oci;                       /* made by an OCI runtime or CRIU; the helper runs the program, for birth and start */
        bool runs;                      /* restored: its birth is its start */
        bool failed;                    /* the birth: answered when helper and child are gone */
        struct vg_helper_error error;
        struct vg_stream_fds fds; /* until the pump takes them */
        struct vg_pump *pump;
        struct vg_kept *draining;
        struct vg_timer drain;
        uint64_t exited_real, exited_mono;
        uint32_t exit_status;
        int wait_status;
};

struct vg_container {
        struct vg_map_entry by_id;
        struct vg_core *core;
        char *id;
        struct vg_process *init; /* NULL only while it is made */
        TAILQ_HEAD(, vg_process) execs;
        size_t n_execs;
        struct vg_oom_watch *watch;
        struct vg_teardown_file teardown;
        bool created; /* CREATED is a fact */
        uint64_t kills_before_created;
        uint64_t owed_kills;        /* in no fact yet: there were too many (VG_FACTS_MAX) */
        struct vg_oom_reading owed; /* their last total and times; its lists are empty */
};

#define VG_NO_STREAMS ((struct vg_stream_fds){-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1})

struct vg_containers {
        struct vg_map by_id;
        struct vg_map seen; /* ids of every birth, as long as they are registered (shutdown.c) */
};

/* Of one container, the finished that nobody has forgotten included; beyond it a birth gets -EAGAIN. */
#define VG_EXECS_MAX 4096

struct vg_container *vg_container_find(struct vg_core *core, const char *id);
struct vg_process *vg_process_find(struct vg_core *core, const char *id, const char *exec);
void vg_container_free(struct vg_core *core, struct vg_container *container);
void vg_process_free(struct vg_process *process);
void vg_containers_done(struct vg_core *core);
/* A birth of this id has been asked for. */
bool vg_container_was_seen(const struct vg_core *core, const char *id);
/* What `delete` needs of each init, for compaction. */
int vg_containers_journal(struct vg_core *core, struct vg_journal *journal);
void vg_process_journal(struct vg_process *init, bool present);

/* birth.c */
int vg_container_birth(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r);
int vg_container_oci_birth(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r);
int vg_container_oci_restore(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r);
int vg_container_restore(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r);
void vg_birth_fail(struct vg_process *process, int status, uint32_t op, const char *text);
void vg_birth_created(struct vg_process *process);
void vg_birth_answer(struct vg_process *process);
void vg_birth_fail_errno(struct vg_process *process, int status, const char *what);
/* Answers and releases a failed birth once helper and child are gone. The process may be gone afterwards. */
void vg_birth_settle(struct vg_process *process);
/* True while a child may exist whose pid we have not been told. */
bool vg_birth_has_unknown_child(const struct vg_process *process);

/* birth_message.c: what helper and child say (native/runtime/runtime.h). */
void vg_birth_message(void *owner, struct vg_helper_message *message);
void vg_birth_eof(void *owner);

/* process.c */
int vg_container_start(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r);
void vg_process_executed(struct vg_process *process);
/* The program runs: that is a fact, and who waits for it is answered. */
void vg_process_running(struct vg_process *process);
/* The process is a zombie: everything that must come before its exit, then the reap and the exit itself. */
void vg_process_died(struct vg_process *process);

/* oci.c */
int vg_container_oci_start(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r);
int vg_container_watch(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r);
bool vg_oci_is_held(const struct vg_process *process);
/* The helper has been reaped. */
void vg_oci_helper_ended(struct vg_process *process);
/* -ECHILD: it is no child of ours (any more), so its end would never be known. */
int vg_oci_adopt(pid_t pid);

/* control.c */
int vg_container_signal(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r);
int vg_container_resize(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r);
int vg_container_close_stdin(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r);
int vg_container_drain(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r);
int vg_container_forget(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r);
void vg_process_drained(void *owner);
void vg_process_drain_fired(struct vg_timer *timer);

/* oom_fact.c */
void vg_container_killed(void *owner, const struct vg_oom_reading *reading);
/* What was summed up becomes a fact, whatever the crowd. */
void vg_container_settle_owed(struct vg_container *container);

#endif
