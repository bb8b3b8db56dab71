/* The one protobuf message that the core can write: a ttrpc Response that holds nothing but a google.rpc.Status. */
#ifndef VG_STATUS_H
#define VG_STATUS_H

#include "lib/wire.h"

/* google/rpc/code.proto */
enum vg_code {
        VG_CODE_INVALID_ARGUMENT = 3,
        VG_CODE_RESOURCE_EXHAUSTED = 8,
        VG_CODE_UNIMPLEMENTED = 12,
        VG_CODE_INTERNAL = 13,
        VG_CODE_UNAVAILABLE = 14,
};

void vg_put_status_response(struct vg_writer *w, enum vg_code code, const char *message);

#endif
