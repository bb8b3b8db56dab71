/* A process made by an OCI runtime: the program's grandchild, which comes to the core when the program ends. */
#ifndef VG_RUNTIME_OCI_BIRTH_H
#define VG_RUNTIME_OCI_BIRTH_H

#include "io/open.h"
#include "runtime/runtime.h"

/* Returns 0 once the core has taken the process over. On failure nothing of it is left. */
int vg_oci_birth(const struct vg_birth *birth, struct vg_streams *streams, int channel, struct vg_failure *failure);

#endif
