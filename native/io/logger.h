/* A logging program: reads stdout on 3 and stderr on 4, and says on 5 when it is ready (containerd's binary:// streams). */
#ifndef VG_IO_LOGGER_H
#define VG_IO_LOGGER_H

#include <stdbool.h>
#include <sys/types.h>

struct vg_logger_spec {
        char *const *argv, *const *environment; /* the environment has nothing else */
        int out, err;                           /* read ends of the pipes */
        bool must_ready;                        /* end of file without a byte is an error */
};

/* Returns once the program is ready. -EINTR when the caller's timer fires first. */
int vg_logger_start(const struct vg_logger_spec *spec, pid_t *ret_pid, int *ret_pidfd);
/* SIGTERM, after a while SIGKILL; reaps it. */
void vg_logger_stop(pid_t pid, int pidfd);

#endif
