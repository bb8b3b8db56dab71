/* The payload encoding of vigil.h: a growing writer and a bounded reader. */
#ifndef VG_WIRE_H
#define VG_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that belong to somebody else. Not zero-terminated. */
struct vg_bytes {
        const uint8_t *data;
        size_t size;
};

struct vg_writer {
        uint8_t *data; /* owned; vg_writer_done() frees it */
        size_t size, room;
        int error; /* first -errno; later writes do nothing */
};

void vg_writer_done(struct vg_writer *w);
#define _cleanup_writer_ __attribute__((cleanup(vg_writer_done)))

void vg_put_u8(struct vg_writer *w, uint8_t v);
void vg_put_u16(struct vg_writer *w, uint16_t v);
void vg_put_u32(struct vg_writer *w, uint32_t v);
void vg_put_u64(struct vg_writer *w, uint64_t v);
void vg_put_raw(struct vg_writer *w, const void *data, size_t size);
void vg_put_bytes(struct vg_writer *w, const void *data, size_t size);
void vg_put_str(struct vg_writer *w, const char *s);
/* Reserves a u32 that vg_patch_u32() fills in later; returns its offset. */
size_t vg_put_slot(struct vg_writer *w);
void vg_patch_u32(struct vg_writer *w, size_t slot, uint32_t v);

struct vg_reader {
        const uint8_t *at, *end;
        int error; /* -EBADMSG after the first read past the end; later reads give zeroes */
};

struct vg_reader vg_reader_of(const void *data, size_t size);
uint8_t vg_get_u8(struct vg_reader *r);
uint16_t vg_get_u16(struct vg_reader *r);
uint32_t vg_get_u32(struct vg_reader *r);
uint64_t vg_get_u64(struct vg_reader *r);
struct vg_bytes vg_get_bytes(struct vg_reader *r);
/* A zero-terminated copy; NULL with r->error set when it cannot be, also for an embedded zero byte. The caller frees. */
char *vg_get_str(struct vg_reader *r);
/* A NULL-terminated array of copies (list(str)); free with vg_strv_free(). */
char **vg_get_strv(struct vg_reader *r);
void vg_strv_free(char **v);
/* 0 if everything was read and nothing was missing, else -EBADMSG. */
int vg_reader_end(const struct vg_reader *r);

bool vg_bytes_equal(struct vg_bytes a, struct vg_bytes b);

#endif
