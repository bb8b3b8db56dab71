/* A counter file that is kept open and read again and again. */
#ifndef VG_OOM_HELD_H
#define VG_OOM_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/wire.h"

struct vg_held {
        char *path;
        int fd;
        char *latest, *before; /* as read last; as of the last report */
        size_t latest_size, before_size, room;
        bool gone; /* the last read failed: the cgroup was removed (ENODEV) */
};

int vg_held_open(struct vg_held *held, const char *path);
/* Does not allocate. */
void vg_held_read(struct vg_held *held);
/* False: no such key. */
bool vg_held_get(const struct vg_held *held, const char *key, uint64_t *ret_value);
/* The same in what was read for the report before. */
bool vg_held_get_before(const struct vg_held *held, const char *key, uint64_t *ret_value);
/* Writes (str path, bytes before, bytes after) and makes the latest text the one before. */
void vg_held_put(struct vg_held *held, struct vg_writer *w);
void vg_held_close(struct vg_held *held);

/* A decimal number behind "KEY " at the start of a line. */
bool vg_counter_find(const char *text, size_t size, const char *key, uint64_t *ret_value);

#endif
