#include "core/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a: the keys come from our own daemon. */
static uint32_t hash_of(const char *key) {
        uint32_t hash = 2166136261u;
        for (; *key; key++)
                hash = (hash ^ (uint8_t)*key) * 16777619u;
        return hash;
}

static int map_grow(struct vg_map *map) {
        size_t n = map->n_buckets ? map->n_buckets * 2 : 16;
        struct vg_map_entry **buckets = calloc(n, sizeof *buckets);
        if (!buckets)
                return -ENOMEM;
        for (size_t i = 0; i < map->n_buckets; i++)
                for (struct vg_map_entry *e = map->buckets[i], *next; e; e = next) {
                        next = e->next;
                        e->next = buckets[e->hash & (n - 1)];
                        buckets[e->hash & (n - 1)] = e;
                }
        free(map->buckets);
        map->buckets = buckets;
        map->n_buckets = n;
        return 0;
}

int vg_map_add(struct vg_map *map, struct vg_map_entry *entry, const char *key) {
        if (map->count >= map->n_buckets) {
                int r = map_grow(map);
                if (r < 0)
                        return r;
        }
        entry->key = key;
        entry->hash = hash_of(key);
        struct vg_map_entry **bucket = &map->buckets[entry->hash & (map->n_buckets - 1)];
        entry->next = *bucket;
        *bucket = entry;
        map->count++;
        return 0;
}

struct vg_map_entry *vg_map_find(const struct vg_map *map, const char *key) {
        if (map->n_buckets == 0)
                return NULL;
        uint32_t hash = hash_of(key);
        for (struct vg_map_entry *e = map->buckets[hash & (map->n_buckets - 1)]; e; e = e->next)
                if (e->hash == hash && strcmp(e->key, key) == 0)
                        return e;
        return NULL;
}

void vg_map_remove(struct vg_map *map, struct vg_map_entry *entry) {
        struct vg_map_entry **at = &map->buckets[entry->hash & (map->n_buckets - 1)];
        while (*at != entry)
                at = &(*at)->next;
        *at = entry->next;
        entry->next = NULL;
        map->count--;
}

static struct vg_map_entry *first_from(const struct vg_map *map, size_t bucket) {
        for (; bucket < map->n_buckets; bucket++)
                if (map->buckets[bucket])
                        return map->buckets[bucket];
        return NULL;
}

struct vg_map_entry *vg_map_any(const struct vg_map *map) {
        return first_from(map, 0);
}

struct vg_map_entry *vg_map_next(const struct vg_map *map, const struct vg_map_entry *entry) {
        if (!entry)
                return first_from(map, 0);
        return entry->next ? entry->next : first_from(map, (entry->hash & (map->n_buckets - 1)) + 1);
}

void vg_map_done(struct vg_map *map) {
        free(map->buckets);
        *map = (struct vg_map){0};
}
