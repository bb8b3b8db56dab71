/* CRIU as a program that is asked over a socket (`criu swrk`, images/rpc.proto of CRIU): its command line cannot hand a terminal over. */
#ifndef VG_RUNTIME_CRIU_H
#define VG_RUNTIME_CRIU_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/wire.h"
#include "runtime/failure.h"

/* struct criu of vigil.h, decoded. */
struct vg_criu {
        char *program;
        uint32_t request;
        struct vg_bytes options;
        char *images, *work;
        uint32_t timeout_ms;
};

/* What a restore is given beside. */
struct vg_criu_restore {
        char *const *names; /* of descriptors in the images; "": of none */
        const int *fds;     /* in place of these */
        unsigned count;
        int channel; /* where 't' goes with the master of a terminal */
        pid_t pid;   /* the answer: its root process */
};

/* `restore` is NULL for anything else. */
int vg_criu_run(const struct vg_criu *criu, struct vg_criu_restore *restore, struct vg_failure *failure);

#endif
