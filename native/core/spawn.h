/* Starting the daemon: a fresh environment and exactly the descriptors that are its own. */
#ifndef VG_SPAWN_H
#define VG_SPAWN_H

#include <limits.h>
#include <sys/types.h>

struct vg_config;

struct vg_spawned {
        pid_t pid;
        int pidfd;
        int channel; /* our ends */
        int fds;
        int failure;         /* read end: an errno, if execve failed */
        char path[PATH_MAX]; /* what was to be run */
};

/* On failure ret_spawned->path says what could not be run, or is empty. */
int vg_daemon_spawn(const struct vg_config *config, int log, struct vg_spawned *ret_spawned);

#endif
