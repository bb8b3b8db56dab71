/* Another program run to its end, in a helper of the core: the command line of an OCI runtime. */
#ifndef VG_RUNTIME_PROGRAM_H
#define VG_RUNTIME_PROGRAM_H

#include <stdint.h>

#include "lib/wire.h"
#include "runtime/failure.h"

struct vg_program {
        char **argv;           /* the first is looked for in PATH */
        struct vg_bytes input; /* its stdin */
        char *log;             /* the file that it was told to log to; "": none */
        uint32_t timeout_ms;
};

/* What it shares with others. */
struct vg_program_io {
        const int *stdio; /* its 0, 1, 2; NULL: the input, and its output goes into the failure's message */
        int watched;      /* a descriptor; -1: none */
        int (*ready)(void *owner,
                     struct vg_failure *
                             failure); /* `watched` can be read. 1: and needs to be watched no more; less than 0 ends the program */
        void *owner;
};

/* 0: it exited with status 0. -EREMOTEIO: it failed, and the message is the last line of its log, else what it printed. */
int vg_program_run(const struct vg_program *program, const struct vg_program_io *io, struct vg_failure *failure);

#endif
