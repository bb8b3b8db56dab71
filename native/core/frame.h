/* ttrpc framing (ttrpc PROTOCOL.md): a ten-byte header, big endian, and a body that the core does not look into. */
#ifndef VG_FRAME_H
#define VG_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VG_FRAME_HEADER = 10 };

enum vg_frame_type {
        VG_FRAME_REQUEST = 1,
        VG_FRAME_RESPONSE = 2,
        VG_FRAME_DATA = 3,
};

#define VG_FRAME_REMOTE_OPEN 2 /* flag of a request: more will be sent on the stream */

struct vg_frame {
        uint32_t length, stream;
        uint8_t type, flags;
};

struct vg_frame_reader {
        uint8_t header[VG_FRAME_HEADER];
        size_t have_header;
        struct vg_frame frame;
        uint8_t *body;
        size_t have_body;
        bool discard;
};

/* Takes from [*at, end) and moves *at. 0: more is needed; 1: a frame, whose body the caller frees; *ret_body is NULL when the
 * frame was too long (or memory too short) and its body was discarded. */
int vg_frame_take(struct vg_frame_reader *reader, const uint8_t **at, const uint8_t *end, struct vg_frame *ret_frame,
                  uint8_t **ret_body);
void vg_frame_reader_done(struct vg_frame_reader *reader);
void vg_frame_header(uint8_t header[VG_FRAME_HEADER], const struct vg_frame *frame);

#endif
