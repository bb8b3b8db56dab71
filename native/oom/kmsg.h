/* The kernel log's lines about OOM kills: read when there was one, never waited for. */
#ifndef VG_OOM_KMSG_H
#define VG_OOM_KMSG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire.h"

#define VG_KMSG_LINES 64

struct vg_kmsg {
        int fd; /* -1: not readable here */
        char *lines[VG_KMSG_LINES];
        bool tells_kill[VG_KMSG_LINES];
        uint64_t next; /* number of the line that comes next; line n is at n % VG_KMSG_LINES */
};

/* Takes over a descriptor that gives one record a read, positioned at its end. */
void vg_kmsg_init(struct vg_kmsg *kmsg, int fd);
/* /dev/kmsg from now on; -1 if this host does not let us. */
int vg_kmsg_open(void);
/* Reads what is there, until `deadline` (CLOCK_MONOTONIC): behind a busy log a kill must not wait. False: there is more. */
bool vg_kmsg_drain(struct vg_kmsg *kmsg, uint64_t deadline);
/* Whether one of the lines from number `since` on tells a kill ("Killed process"). */
bool vg_kmsg_tells_kill(const struct vg_kmsg *kmsg, uint64_t since);
/* list(str): the lines from number `since` on, oldest first; the newest 64 and 16 KiB of them. */
void vg_kmsg_put(const struct vg_kmsg *kmsg, uint64_t since, struct vg_writer *w);
void vg_kmsg_done(struct vg_kmsg *kmsg);

#endif
