/* The agent that answers for a container's system calls (OCI config-linux.md, "Seccomp", SCMP_ACT_NOTIFY). */
#ifndef VG_RUNTIME_SECCOMP_H
#define VG_RUNTIME_SECCOMP_H

#include <sys/types.h>

#include "runtime/failure.h"
#include "runtime/ops.h"

/* Sends the listener to the agent that the op (VG_OP_SECCOMP_NOTIFY) names. For the helper: it is in the host's namespaces, and
 * no filter holds for it. */
int vg_seccomp_agent_tell(const struct vg_op *op, pid_t pid, int listener, struct vg_failure *failure);

#endif
