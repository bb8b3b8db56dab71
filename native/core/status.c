#include "core/status.h"

#include "lib/protobuf.h"

void vg_put_status_response(struct vg_writer *w, enum vg_code code, const char *message) {
        struct vg_writer status __attribute__((cleanup(vg_writer_done))) = {0};
        vg_pb_varint(&status, 1, code);
        vg_pb_string(&status, 2, message);
        if (status.error && !w->error)
                w->error = status.error;
        vg_pb_message(w, 1, &status); /* Response.status */
}
