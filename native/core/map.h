/* A table of things that have a name. The entry is embedded in the thing, the key belongs to it too. */
#ifndef VG_MAP_H
#define VG_MAP_H

#include <stddef.h>
#include <stdint.h>

#define VG_OWNER(entry, type, member) ((type *)((char *)(entry)-offsetof(type, member)))

struct vg_map_entry {
        struct vg_map_entry *next;
        const char *key;
        uint32_t hash;
};

struct vg_map {
        struct vg_map_entry **buckets;
        size_t n_buckets, count;
};

/* The caller has made sure that the key is new. */
int vg_map_add(struct vg_map *map, struct vg_map_entry *entry, const char *key);
struct vg_map_entry *vg_map_find(const struct vg_map *map, const char *key);
void vg_map_remove(struct vg_map *map, struct vg_map_entry *entry);
/* Any entry, for emptying the map; NULL when there is none. */
struct vg_map_entry *vg_map_any(const struct vg_map *map);
/* Every entry once, in no order: start with NULL. The entry handed in must still be in the map. */
struct vg_map_entry *vg_map_next(const struct vg_map *map, const struct vg_map_entry *entry);
/* Frees the table, not the entries. */
void vg_map_done(struct vg_map *map);

#endif
