#include "lib/oom_count.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

#define DEPTH_MAX 32

static int count_in_file(const char *file, const char *key, uint64_t *ret_count) {
        _cleanup_fclose_ FILE *f = fopen(file, "re");
        if (!f)
                return -errno;
        char line[256];
        size_t size = strlen(key);
        while (fgets(line, sizeof line, f))
                if (strncmp(line, key, size) == 0 && line[size] == ' ') {
                        *ret_count = strtoull(line + size + 1, NULL, 10);
                        return 0;
                }
        return -ENODATA;
}

static void add_below(const char *directory, const char *name, const char *key, int depth, uint64_t *total) {
        _cleanup_closedir_ DIR *d = depth < DEPTH_MAX ? opendir(directory) : NULL;
        if (!d)
                return;
        for (struct dirent *entry; (entry = readdir(d));) {
                char below[PATH_MAX], file[PATH_MAX + 256];
                if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
                        continue;
                if (snprintf(below, sizeof below, "%s/%s", directory, entry->d_name) >= (int)sizeof below)
                        continue;
                snprintf(file, sizeof file, "%s/%s", below, name);
                uint64_t count;
                if (count_in_file(file, key, &count) == 0)
                        *total += count;
                add_below(below, name, key, depth + 1, total);
        }
}

int vg_oom_count(int version, const char *file, const char *key, uint64_t *ret_count) {
        uint64_t total;
        int r = count_in_file(file, key, &total);
        if (r < 0)
                return r;
        const char *slash = strrchr(file, '/');
        char directory[PATH_MAX];
        if (version == 1 && slash &&
            snprintf(directory, sizeof directory, "%.*s", (int)(slash - file), file) < (int)sizeof directory)
                add_below(directory, slash + 1, key, 0, &total);
        *ret_count = total;
        return 0;
}
