#include "core/frame.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "vigil.h"

static uint32_t get_be32(const uint8_t *at) {
        uint32_t v;
        memcpy(&v, at, sizeof v);
        return be32toh(v);
}

static void put_be32(uint8_t *at, uint32_t v) {
        v = htobe32(v);
        memcpy(at, &v, sizeof v);
}

void vg_frame_header(uint8_t header[VG_FRAME_HEADER], const struct vg_frame *frame) {
        put_be32(header, frame->length);
        put_be32(header + 4, frame->stream);
        header[8] = frame->type;
        header[9] = frame->flags;
}

static bool take_header(struct vg_frame_reader *r, const uint8_t **at, const uint8_t *end) {
        size_t want = VG_FRAME_HEADER - r->have_header, have = (size_t)(end - *at);
        size_t n = want < have ? want : have;
        memcpy(r->header + r->have_header, *at, n);
        *at += n;
        r->have_header += n;
        if (n < want)
                return false;
        r->frame = (struct vg_frame){
                .length = get_be32(r->header),
                .stream = get_be32(r->header + 4),
                .type = r->header[8],
                .flags = r->header[9],
        };
        r->have_body = 0;
        r->body = r->frame.length > VG_FRAME_MAX ? NULL : malloc(r->frame.length + 1);
        r->discard = !r->body;
        return true;
}

int vg_frame_take(struct vg_frame_reader *r, const uint8_t **at, const uint8_t *end, struct vg_frame *ret_frame,
                  uint8_t **ret_body) {
        if (r->have_header < VG_FRAME_HEADER && !take_header(r, at, end))
                return 0;
        size_t want = r->frame.length - r->have_body, have = (size_t)(end - *at);
        size_t n = want < have ? want : have;
        if (!r->discard && n > 0)
                memcpy(r->body + r->have_body, *at, n);
        *at += n;
        r->have_body += n;
        if (n < want)
                return 0;
        *ret_frame = r->frame;
        *ret_body = r->body;
        *r = (struct vg_frame_reader){0};
        return 1;
}

void vg_frame_reader_done(struct vg_frame_reader *r) {
        free(r->body);
        *r = (struct vg_frame_reader){0};
}
