/* The cgroups that a container made below its own, on cgroup v1: each has a counter of its own that its parents' do not
 * contain, and a notification of its own. */
#ifndef VG_OOM_GROUPS_H
#define VG_OOM_GROUPS_H

#include <stdbool.h>
#include <stdint.h>

#include "oom/notify.h"

/* More are not watched: each costs a descriptor. */
#define VG_GROUPS_MAX 256

struct vg_group;

struct vg_groups {
        int directory;                /* the container's cgroup; borrowed */
        int events;                   /* eventfd for their kills; borrowed, -1: not to be had */
        struct vg_inotify *inotify;   /* where new ones are told; may have no instance */
        void (*changed)(void *owner); /* a directory was made or removed: look when there is time */
        void *owner;
        struct vg_notify notify; /* of the container's directory */
        struct vg_group *first;
        unsigned count;
        uint64_t removed; /* kills in those that are gone */
        bool untold;      /* a new or a dying cgroup may come without notice */
        bool crowded;     /* there are more than VG_GROUPS_MAX */
};

/* `directory`, `events`, `inotify`, `changed` and `owner` are set. What the cgroups have counted already is their baseline. */
void vg_groups_open(struct vg_groups *groups);
/* Finds new cgroups, reads all; the sum never falls. `thoroughly`: also if nothing seems to have changed. */
uint64_t vg_groups_kills(struct vg_groups *groups, bool thoroughly);
/* Registers `events` for the OOM notifications of the cgroup with this directory and memory.oom_control (cgroup v1,
 * Documentation/admin-guide/cgroup-v1/memory.rst). */
int vg_groups_register(int events, int directory, int oom_control);
void vg_groups_close(struct vg_groups *groups);

#endif
