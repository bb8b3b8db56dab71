#include "lib/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vigil.h"

void vg_writer_done(struct vg_writer *w) {
        free(w->data);
        *w = (struct vg_writer){0};
}

static uint8_t *writer_grow(struct vg_writer *w, size_t more) {
        if (w->error)
                return NULL;
        if (more > w->room - w->size) {
                size_t room = w->room ? w->room : 128;
                while (room - w->size < more)
                        room *= 2;
                uint8_t *data = realloc(w->data, room);
                if (!data) {
                        w->error = -ENOMEM;
                        return NULL;
                }
                w->data = data;
                w->room = room;
        }
        uint8_t *at = w->data + w->size;
        w->size += more;
        return at;
}

void vg_put_raw(struct vg_writer *w, const void *data, size_t size) {
        if (size == 0)
                return;
        uint8_t *at = writer_grow(w, size);
        if (at)
                memcpy(at, data, size);
}

/* The encoding is little endian; every machine that vigil is built for is, too (checked in vigil.h's reader tests). */
void vg_put_u8(struct vg_writer *w, uint8_t v) {
        vg_put_raw(w, &v, sizeof v);
}

void vg_put_u16(struct vg_writer *w, uint16_t v) {
        vg_put_raw(w, &v, sizeof v);
}

void vg_put_u32(struct vg_writer *w, uint32_t v) {
        vg_put_raw(w, &v, sizeof v);
}

void vg_put_u64(struct vg_writer *w, uint64_t v) {
        vg_put_raw(w, &v, sizeof v);
}

void vg_put_bytes(struct vg_writer *w, const void *data, size_t size) {
        vg_put_u32(w, (uint32_t)size);
        vg_put_raw(w, data, size);
}

void vg_put_str(struct vg_writer *w, const char *s) {
        vg_put_bytes(w, s ? s : "", s ? strlen(s) : 0);
}

size_t vg_put_slot(struct vg_writer *w) {
        size_t slot = w->size;
        vg_put_u32(w, 0);
        return slot;
}

void vg_patch_u32(struct vg_writer *w, size_t slot, uint32_t v) {
        if (!w->error)
                memcpy(w->data + slot, &v, sizeof v);
}

struct vg_reader vg_reader_of(const void *data, size_t size) {
        return (struct vg_reader){.at = data, .end = size > 0 ? (const uint8_t *)data + size : data};
}

static const uint8_t *reader_take(struct vg_reader *r, size_t size) {
        if (r->error || (size_t)(r->end - r->at) < size) {
                r->error = -EBADMSG;
                return NULL;
        }
        const uint8_t *at = r->at;
        r->at += size;
        return at;
}

static void reader_copy(struct vg_reader *r, void *into, size_t size) {
        const uint8_t *at = reader_take(r, size);
        if (at)
                memcpy(into, at, size);
}

uint8_t vg_get_u8(struct vg_reader *r) {
        uint8_t v = 0;
        reader_copy(r, &v, sizeof v);
        return v;
}

uint16_t vg_get_u16(struct vg_reader *r) {
        uint16_t v = 0;
        reader_copy(r, &v, sizeof v);
        return v;
}

uint32_t vg_get_u32(struct vg_reader *r) {
        uint32_t v = 0;
        reader_copy(r, &v, sizeof v);
        return v;
}

uint64_t vg_get_u64(struct vg_reader *r) {
        uint64_t v = 0;
        reader_copy(r, &v, sizeof v);
        return v;
}

struct vg_bytes vg_get_bytes(struct vg_reader *r) {
        uint32_t size = vg_get_u32(r);
        const uint8_t *at = reader_take(r, size);
        return at ? (struct vg_bytes){at, size} : (struct vg_bytes){(const uint8_t *)"", 0};
}

char *vg_get_str(struct vg_reader *r) {
        struct vg_bytes b = vg_get_bytes(r);
        if (r->error)
                return NULL;
        if (memchr(b.data, 0, b.size)) {
                r->error = -EBADMSG;
                return NULL;
        }
        char *s = malloc(b.size + 1);
        if (!s) {
                r->error = -ENOMEM;
                return NULL;
        }
        memcpy(s, b.data, b.size);
        s[b.size] = 0;
        return s;
}

void vg_strv_free(char **v) {
        for (char **s = v; s && *s; s++)
                free(*s);
        free(v);
}

char **vg_get_strv(struct vg_reader *r) {
        uint32_t count = vg_get_u32(r);
        /* An item takes at least its length word: a count that cannot be true is refused before memory is asked for. */
        if (!r->error && count > (size_t)(r->end - r->at) / sizeof(uint32_t))
                r->error = -EBADMSG;
        if (r->error)
                return NULL;
        char **v = calloc((size_t)count + 1, sizeof *v);
        if (!v) {
                r->error = -ENOMEM;
                return NULL;
        }
        for (uint32_t i = 0; i < count; i++) {
                v[i] = vg_get_str(r);
                if (!v[i]) {
                        vg_strv_free(v);
                        return NULL;
                }
        }
        return v;
}

int vg_reader_end(const struct vg_reader *r) {
        if (r->error)
                return r->error;
        return r->at == r->end ? 0 : -EBADMSG;
}

bool vg_bytes_equal(struct vg_bytes a, struct vg_bytes b) {
        return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}
