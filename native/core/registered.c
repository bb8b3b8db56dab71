#include "core/registered.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/core.h"

/* From this size on the table is rid of ids that are registered no more. */
#define PRUNE_FROM 1024

struct seen {
        struct vg_map_entry by_id;
        char id[];
};

static FILE *open_registration(const struct vg_core *core, const char *id) {
        char path[PATH_MAX + NAME_MAX];
        snprintf(path, sizeof path, "%s/%s/shim", core->config.cores, id);
        return fopen(path, "re");
}

static void prune(struct vg_core *core) {
        struct vg_map *map = &core->containers.seen;
        for (struct vg_map_entry *e = vg_map_next(map, NULL), *next; e; e = next) {
                next = vg_map_next(map, e);
                struct seen *seen = VG_OWNER(e, struct seen, by_id);
                _cleanup_fclose_ FILE *f = open_registration(core, seen->id);
                if (f || vg_container_find(core, seen->id))
                        continue;
                vg_map_remove(map, e);
                free(seen);
        }
}

int vg_shutdown_seen(struct vg_core *core, const char *id) {
        struct vg_map *map = &core->containers.seen;
        if (vg_map_find(map, id))
                return 0;
        if (map->count >= PRUNE_FROM)
                prune(core);
        struct seen *seen = malloc(sizeof *seen + strlen(id) + 1);
        if (!seen)
                return -ENOMEM;
        strcpy(seen->id, id);
        int r = vg_map_add(map, &seen->by_id, seen->id);
        if (r < 0)
                free(seen);
        return r;
}

static bool is_of_group(FILE *f, const char *group) {
        char line[PATH_MAX + 16];
        while (fgets(line, sizeof line, f)) {
                line[strcspn(line, "\n")] = 0;
                if (strncmp(line, "group=", 6) == 0)
                        return strcmp(line + 6, group) == 0;
        }
        return false;
}

static bool may_come(struct vg_core *core, const char *id, bool *ret_any) {
        _cleanup_fclose_ FILE *f = open_registration(core, id);
        struct stat st;
        if (!f || !is_of_group(f, core->config.group))
                return false;
        *ret_any = true;
        if (vg_container_was_seen(core, id) || fstat(fileno(f), &st) < 0)
                return false;
        uint64_t since = (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
        return vg_now_real() / VG_MS < since + VG_SHUTDOWN_REGISTERED_MS;
}

static void look_through(struct vg_core *core, bool *ret_may_come, bool *ret_any) {
        _cleanup_closedir_ DIR *d = opendir(core->config.cores);
        *ret_may_come = *ret_any = false;
        for (struct dirent *entry; d && (entry = readdir(d));)
                if (entry->d_name[0] != '.' && may_come(core, entry->d_name, ret_any))
                        *ret_may_come = true;
}

bool vg_registered_but_unseen(struct vg_core *core) {
        bool may_come, any;
        look_through(core, &may_come, &any);
        return may_come;
}

bool vg_registered_any(struct vg_core *core) {
        bool may_come, any;
        look_through(core, &may_come, &any);
        return any;
}

void vg_registered_done(struct vg_core *core) {
        struct vg_map *map = &core->containers.seen;
        for (struct vg_map_entry *e; (e = vg_map_any(map));) {
                vg_map_remove(map, e);
                free(VG_OWNER(e, struct seen, by_id));
        }
        vg_map_done(map);
}
