#include "lib/protobuf.h"

#include <errno.h>
#include <string.h>

static uint64_t get_varint(struct vg_reader *r) {
        uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
                uint8_t b = vg_get_u8(r);
                value |= (uint64_t)(b & 0x7f) << shift;
                if (!(b & 0x80))
                        return value;
        }
        r->error = -EBADMSG;
        return 0;
}

bool vg_pb_next(struct vg_reader *r, struct vg_pb_field *ret_field) {
        if (r->error || r->at == r->end)
                return false;
        uint64_t tag = get_varint(r);
        struct vg_pb_field f = {.number = (uint32_t)(tag >> 3), .type = tag & 7, .bytes = {(const uint8_t *)"", 0}};
        switch (f.type) {
        case 0:
                f.value = get_varint(r);
                break;
        case 1:
                f.value = vg_get_u64(r);
                break;
        case 2: {
                uint64_t size = get_varint(r);
                if (!r->error && size > (uint64_t)(r->end - r->at))
                        r->error = -EBADMSG;
                if (!r->error) {
                        f.bytes = (struct vg_bytes){r->at, size};
                        r->at += size;
                }
                break;
        }
        case 5:
                f.value = vg_get_u32(r);
                break;
        default:
                r->error = -EBADMSG;
        }
        if (tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
                r->error = -EBADMSG;
        if (r->error)
                return false;
        *ret_field = f;
        return true;
}

static void put_varint(struct vg_writer *w, uint64_t value) {
        for (; value > 0x7f; value >>= 7)
                vg_put_u8(w, (uint8_t)(value | 0x80));
        vg_put_u8(w, (uint8_t)value);
}

void vg_pb_varint(struct vg_writer *w, uint32_t number, uint64_t value) {
        if (value == 0)
                return;
        put_varint(w, (uint64_t)number << 3);
        put_varint(w, value);
}

static void put_delimited(struct vg_writer *w, uint32_t number, const void *data, size_t size) {
        put_varint(w, (uint64_t)number << 3 | 2);
        put_varint(w, size);
        vg_put_raw(w, data, size);
}

void vg_pb_bytes(struct vg_writer *w, uint32_t number, struct vg_bytes b) {
        if (b.size > 0)
                put_delimited(w, number, b.data, b.size);
}

void vg_pb_string(struct vg_writer *w, uint32_t number, const char *s) {
        vg_pb_bytes(w, number, (struct vg_bytes){(const uint8_t *)s, strlen(s)});
}

void vg_pb_message(struct vg_writer *w, uint32_t number, const struct vg_writer *message) {
        if (message->error && !w->error)
                w->error = message->error;
        put_delimited(w, number, message->data, message->size);
}

void vg_pb_timestamp(struct vg_writer *w, uint32_t number, uint64_t real) {
        _cleanup_writer_ struct vg_writer t = {0};
        vg_pb_varint(&t, 1, real / 1000000000u);
        vg_pb_varint(&t, 2, real % 1000000000u);
        vg_pb_message(w, number, &t);
}
