/* Hooks of the OCI runtime specification (config.md, "POSIX-platform Hooks"): programs that get the container's state as JSON on
 * their standard input. */
#ifndef VG_RUNTIME_HOOK_H
#define VG_RUNTIME_HOOK_H

#include <stdint.h>
#include <sys/types.h>

#include "runtime/failure.h"
#include "runtime/ops.h"
#include "runtime/runtime.h"

struct vg_hook {
        const char *name; /* "createRuntime hook #0" */
        const char *path; /* as execve(2) takes it */
        char *const *argv, *const *environment;
        uint32_t timeout_ms;   /* 0: none */
        const char *directory; /* to run in; "": where the caller is */
        const char *state;
        int umask; /* -1: the caller's */
        int guard; /* a socket whose other end going away ends the hook; -1: none */
};

/* Runs it to its end. When its time is up its process group is killed. The words are those of runc. */
int vg_hook_run(const struct vg_hook *hook, struct vg_failure *failure);

/* A VG_OP_RUNTIME_HOOK of a birth, which the helper runs when the child comes to it. */
int vg_runtime_hook(const struct vg_op *op, pid_t pid, int guard, struct vg_failure *failure);

#endif
