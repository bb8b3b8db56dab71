/* What a dead core still owes containerd: outbox entries never delivered, facts that no daemon saw, kills that nobody counted. */
#ifndef VG_PUBLISH_H
#define VG_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire.h"

struct vg_owed {
        const char *name_space, *container;
        struct vg_writer requests; /* list of bytes: serialized ForwardRequests in the order in which they are owed */
        uint32_t count;
        uint64_t delivered;       /* set by the caller: outbox entries up to it were taken, whatever the journal says */
        uint64_t counted_fact;    /* set by the caller: facts up to it are in the teardown record's count ... */
        uint64_t uncounted_kills; /* ... and these are those of later ones */
        /* The init's end as the journal knows it. */
        bool exited;
        uint32_t pid, exit_status;
        uint64_t exited_real;
};

/* Reads the journal and collects what it owes for one container. containerd itself publishes the init's exit and the task's
 * deletion after `delete`, so these two are left out. A missing journal owes nothing. */
int vg_owed_read(const char *journal, struct vg_owed *owed);
/* Adds a TaskOOM of now. */
void vg_owed_add_oom(struct vg_owed *owed, uint64_t real);
/* Forwards all, in order, until the deadline (CLOCK_MONOTONIC ns). */
int vg_owed_publish(const struct vg_owed *owed, const char *ttrpc_address, uint64_t deadline);
void vg_owed_done(struct vg_owed *owed);

#endif
