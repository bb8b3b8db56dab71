/* What host ops on cgroups have in common. */
#ifndef VG_RUNTIME_CGROUP_H
#define VG_RUNTIME_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A growing list of process ids. */
struct vg_pids {
        pid_t *at;
        size_t count, room;
};

void vg_pids_done(struct vg_pids *pids);
#define _cleanup_pids_ __attribute__((cleanup(vg_pids_done)))
bool vg_pids_have(const struct vg_pids *pids, pid_t pid);
int vg_pids_add(struct vg_pids *pids, pid_t pid);

/* All processes in the cgroup and below it. A cgroup that is not there has none. */
int vg_cgroup_pids(const char *path, struct vg_pids *pids);
/* One write(2) to a file of a cgroup. */
int vg_cgroup_write(const char *path, const char *file, const char *value);
/* Reads a file of a cgroup, cut at `size` - 1 bytes, trailing newline gone. */
int vg_cgroup_read(const char *path, const char *file, char *into, size_t size);
/* rmdir(2), waiting out EBUSY. Absent is success. */
int vg_cgroup_rmdir(const char *path, uint32_t timeout_ms);
/* Calls back for each child cgroup; stops at the first that returns less than 0. */
int vg_cgroup_each_child(const char *path, int (*each)(const char *child, void *data), void *data);

#endif
