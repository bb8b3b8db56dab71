#include "core/teardown_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config.h"
#include "lib/cleanup.h"
#include "lib/oom_count.h"

int vg_make_directories(const char *path) {
        char partial[PATH_MAX];
        if (snprintf(partial, sizeof partial, "%s", path) >= (int)sizeof partial)
                return -ENAMETOOLONG;
        for (char *slash = partial + 1;; slash++) {
                slash = strchr(slash, '/');
                if (slash)
                        *slash = 0;
                if (mkdir(partial, 0700) < 0 && errno != EEXIST)
                        return -errno;
                if (!slash)
                        return 0;
                *slash = '/';
        }
}

int vg_write_file(const char *directory, const char *name, const char *text, size_t size) {
        _cleanup_close_ int dir = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        char fresh[NAME_MAX + 1];
        snprintf(fresh, sizeof fresh, ".%.200s", name);
        _cleanup_close_ int fd = openat(dir, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        while (size > 0) {
                ssize_t n = write(fd, text, size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        int r = -errno;
                        unlinkat(dir, fresh, 0);
                        return r;
                }
                text += n;
                size -= (size_t)n;
        }
        return renameat(dir, fresh, dir, name) < 0 ? -errno : 0;
}

/* "memory VERSION PATH KEY NUMBER": the path may hold spaces, so the last two words are found from the end. */
static bool memory_line(const char *line, size_t size, size_t *ret_key, size_t *ret_number) {
        if (size < 9 || memcmp(line, "memory ", 7) != 0)
                return false;
        size_t at = size;
        while (at > 7 && line[at - 1] != ' ')
                at--;
        size_t number = at;
        while (at > 7 && line[at - 2] != ' ')
                at--;
        *ret_number = number;
        *ret_key = at - 1;
        return number > 7 && at > 9;
}

static int compose(const struct vg_teardown_file *t, FILE *out) {
        for (const char *line = t->text; *line;) {
                size_t size = strcspn(line, "\n"), key, number;
                if (memory_line(line, size, &key, &number))
                        fprintf(out, "%.*s%llu\n", (int)number, line, (unsigned long long)(t->baseline + t->counted));
                else
                        fprintf(out, "%.*s\n", (int)size, line);
                line += size;
                line += *line == '\n';
        }
        if (t->pid > 0)
                fprintf(out, "pid %d %llu\n", (int)t->pid, (unsigned long long)t->start_time);
        fprintf(out, "journal %s\ncounted-fact %llu\n", t->journal, (unsigned long long)t->fact);
        return fflush(out) != 0 ? -errno : 0;
}

static int rewrite(const struct vg_teardown_file *t) {
        if (!t->directory)
                return 0;
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        if (!out)
                return -errno;
        int r = compose(t, out);
        if (fclose(out) != 0 && r == 0)
                r = -errno;
        return r < 0 ? r : vg_write_file(t->directory, "teardown", text, size);
}

int vg_teardown_file_write(const struct vg_config *config, const char *id, const char *text, struct vg_teardown_file *ret_file) {
        struct vg_teardown_file t = {0};
        if (!*text) {
                *ret_file = t;
                return 0;
        }
        if (asprintf(&t.directory, "%s/%s", config->cores, id) < 0)
                t.directory = NULL;
        if (asprintf(&t.journal, "%s/journal", config->state_dir) < 0)
                t.journal = NULL;
        t.text = strdup(text);
        int r = t.directory && t.journal && t.text ? vg_make_directories(t.directory) : -ENOMEM;
        if (r == 0)
                r = rewrite(&t);
        if (r < 0)
                vg_teardown_file_done(&t);
        else
                *ret_file = t;
        return r;
}

int vg_teardown_file_pid(struct vg_teardown_file *t, pid_t pid, uint64_t start_time) {
        t->pid = pid;
        t->start_time = start_time;
        return rewrite(t);
}

void vg_teardown_file_armed(struct vg_teardown_file *t) {
        for (const char *line = t->text; line && *line;) {
                size_t size = strcspn(line, "\n"), key, number;
                if (memory_line(line, size, &key, &number)) {
                        char path[PATH_MAX], name[64];
                        snprintf(path, sizeof path, "%.*s", (int)(key - 1 - 9), line + 9);
                        snprintf(name, sizeof name, "%.*s", (int)(number - 1 - key), line + key);
                        t->baseline = strtoull(line + number, NULL, 10);
                        uint64_t count;
                        if (vg_oom_count(line[7] - '0', path, name, &count) == 0) /* else the daemon's number stays */
                                t->baseline = count;
                        return;
                }
                line += size;
                line += *line == '\n';
        }
}

int vg_teardown_file_replace(struct vg_teardown_file *t, const char *text) {
        char *copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        free(t->text);
        t->text = copy;
        vg_teardown_file_armed(t);
        return rewrite(t);
}

int vg_teardown_file_counted(struct vg_teardown_file *t, uint64_t total, uint64_t fact) {
        t->counted = total;
        t->fact = fact;
        return rewrite(t);
}

void vg_teardown_file_remove(struct vg_teardown_file *t) {
        if (!t->directory)
                return;
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/teardown", t->directory);
        unlink(path);
        rmdir(t->directory); /* stays while the registration or the core's own entry is in it */
        vg_teardown_file_done(t);
}

void vg_teardown_file_done(struct vg_teardown_file *t) {
        free(t->directory);
        free(t->text);
        free(t->journal);
        *t = (struct vg_teardown_file){0};
}
