/* What the launcher and the core know of each other through files: RUN/cores/NS/ID/shim registers an id with its group, and
 * RUN/cores/NS/GROUP/core is written by a living core. All changes are made under the group's lock, RUN/cores/NS/GROUP.lock. */
#ifndef VG_REGISTRY_H
#define VG_REGISTRY_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct vg_registration {
        char group[256];
        char socket[PATH_MAX];
        char bundle[PATH_MAX];
};

struct vg_core_entry {
        pid_t pid;
        uint64_t start; /* clock ticks since boot: with the pid, one process for good */
        char socket[PATH_MAX];
        char state[PATH_MAX];
};

/* Takes the lock (made if missing), waiting for whoever has it. */
int vg_group_lock(const char *run_dir, const char *name_space, const char *group, int *ret_fd);

int vg_registration_write(const char *run_dir, const char *name_space, const char *id, const struct vg_registration *r);
int vg_registration_read(const char *run_dir, const char *name_space, const char *id, struct vg_registration *ret);
/* Removes the id's entries; its directory stays while something else is in it. */
int vg_registration_remove(const char *run_dir, const char *name_space, const char *id);
/* Ids that are registered with the group, other than `except`. */
int vg_group_members(const char *run_dir, const char *name_space, const char *group, const char *except, unsigned *ret_count);

/* With the lock held and neither members nor a core left: removes the lock and the emptied directories. */
void vg_group_remove(const char *run_dir, const char *name_space, const char *group);

int vg_core_entry_read(const char *run_dir, const char *name_space, const char *group, struct vg_core_entry *ret);
/* The process of the entry is still that process. */
bool vg_core_alive(const struct vg_core_entry *core);

#endif
