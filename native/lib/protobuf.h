/* As much of the protobuf encoding as C needs: the parameters of `start`, the answer of `delete`, events of a dead core. */
#ifndef VG_PROTOBUF_H
#define VG_PROTOBUF_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire.h"

struct vg_pb_field {
        uint32_t number;
        uint32_t type;         /* wire type: 0 varint, 1 and 5 fixed, 2 length-delimited */
        uint64_t value;        /* types 0, 1, 5 */
        struct vg_bytes bytes; /* type 2 */
};

/* Next field of a message; false at its end or on an error (then r->error is -EBADMSG). */
bool vg_pb_next(struct vg_reader *r, struct vg_pb_field *ret_field);

/* Proto3 habit: a zero or an empty value is left out, except by vg_pb_message(), which always writes. */
void vg_pb_varint(struct vg_writer *w, uint32_t number, uint64_t value);
void vg_pb_string(struct vg_writer *w, uint32_t number, const char *s);
void vg_pb_bytes(struct vg_writer *w, uint32_t number, struct vg_bytes b);
void vg_pb_message(struct vg_writer *w, uint32_t number, const struct vg_writer *message);
/* google.protobuf.Timestamp from nanoseconds since 1970. */
void vg_pb_timestamp(struct vg_writer *w, uint32_t number, uint64_t real);

#endif
