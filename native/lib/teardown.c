#include "lib/teardown.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

static int append(const char ***list, const char *item) {
        size_t count = 0;
        while (*list && (*list)[count])
                count++;
        const char **grown = realloc(*list, (count + 2) * sizeof *grown);
        if (!grown)
                return -ENOMEM;
        grown[count] = item;
        grown[count + 1] = NULL;
        *list = grown;
        return 0;
}

static int parse_number(const char *word, uint64_t *ret) {
        char *end;
        errno = 0;
        *ret = word ? strtoull(word, &end, 10) : 0;
        return !word || errno || end == word || *end ? -EBADMSG : 0;
}

static int parse_memory(struct vg_teardown *t, char *rest) {
        /* FILE may hold spaces: the version stands before it, key and count are the last two words. */
        char *count = strrchr(rest, ' ');
        if (!count || strlen(rest) < 3 || rest[1] != ' ')
                return -EBADMSG;
        *count++ = 0;
        char *key = strrchr(rest, ' ');
        if (!key || key <= rest + 1)
                return -EBADMSG;
        *key++ = 0;
        t->memory_version = rest[0] - '0';
        t->memory_file = rest + 2;
        t->memory_key = key;
        return t->memory_version == 1 || t->memory_version == 2 ? parse_number(count, &t->memory_count) : -EBADMSG;
}

static int parse_pid(struct vg_teardown *t, char *rest) {
        char *save = NULL;
        uint64_t pid;
        int r = parse_number(strtok_r(rest, " ", &save), &pid);
        if (r == 0)
                r = parse_number(strtok_r(NULL, " ", &save), &t->start_time);
        if (r == 0 && (pid == 0 || pid > INT32_MAX))
                r = -EBADMSG;
        if (r == 0)
                t->pid = (pid_t)pid;
        return r;
}

static int parse_line(struct vg_teardown *t, char *line) {
        char *rest = strchr(line, ' ');
        if (!rest)
                return -EBADMSG;
        *rest++ = 0;
        if (strcmp(line, "pid") == 0)
                return parse_pid(t, rest);
        if (strcmp(line, "cgroup") == 0)
                return strlen(rest) > 2 && rest[1] == ' ' ? append(&t->cgroups, rest + 2) : -EBADMSG;
        if (strcmp(line, "memory") == 0)
                return parse_memory(t, rest);
        if (strcmp(line, "mount") == 0)
                return append(&t->mounts, rest);
        if (strcmp(line, "unlink") == 0)
                return append(&t->unlinks, rest);
        if (strcmp(line, "hook") == 0)
                return strlen(rest) % 2 == 0 && strspn(rest, "0123456789abcdef") == strlen(rest) ? append(&t->hooks, rest)
                                                                                                 : -EBADMSG;
        if (strcmp(line, "runtime") == 0)
                return append(&t->runtime, rest);
        if (strcmp(line, "directory") == 0)
                return append(&t->directories, rest);
        if (strcmp(line, "counted-fact") == 0)
                return parse_number(rest, &t->counted_fact);
        if (strcmp(line, "journal") == 0) {
                t->journal = rest;
                return 0;
        }
        return -EBADMSG;
}

static int read_text(const char *path, char **ret_text) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size > VG_TEARDOWN_MAX)
                return -EFBIG;
        _cleanup_free_ char *text = malloc((size_t)st.st_size + 1);
        if (!text)
                return -ENOMEM;
        ssize_t n = read(fd, text, (size_t)st.st_size);
        if (n < 0)
                return -errno;
        text[n] = 0;
        *ret_text = TAKE_PTR(text);
        return 0;
}

int vg_teardown_read(const char *path, struct vg_teardown *ret_teardown) {
        struct vg_teardown t = {0};
        int r = read_text(path, &t.text);
        if (r < 0)
                return r;
        char *save = NULL, *line = strtok_r(t.text, "\n", &save);
        r = line && strcmp(line, "vigil-teardown 1") == 0 ? 0 : -EBADMSG;
        while (r == 0 && (line = strtok_r(NULL, "\n", &save)))
                r = parse_line(&t, line);
        if (r < 0) {
                vg_teardown_done(&t);
                return r;
        }
        *ret_teardown = t;
        return 0;
}

void vg_teardown_done(struct vg_teardown *t) {
        free(t->cgroups);
        free(t->mounts);
        free(t->unlinks);
        free(t->hooks);
        free(t->runtime);
        free(t->directories);
        free(t->text);
        *t = (struct vg_teardown){0};
}
