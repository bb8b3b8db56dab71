#include "oom/held.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define HELD_MAX (16u << 10)

bool vg_counter_find(const char *text, size_t size, const char *key, uint64_t *ret_value) {
        size_t length = strlen(key);
        const char *end = text + size;
        for (const char *line = text; line < end;) {
                const char *stop = memchr(line, '\n', (size_t)(end - line));
                if (!stop)
                        stop = end;
                if ((size_t)(stop - line) > length + 1 && memcmp(line, key, length) == 0 && line[length] == ' ') {
                        uint64_t value = 0;
                        for (const char *digit = line + length + 1; digit < stop; digit++)
                                if (*digit < '0' || *digit > '9' || __builtin_mul_overflow(value, 10u, &value) ||
                                    __builtin_add_overflow(value, (uint64_t)(*digit - '0'), &value))
                                        return false;
                        *ret_value = value;
                        return true;
                }
                line = stop + 1;
        }
        return false;
}

int vg_held_open(struct vg_held *held, const char *path) {
        char text[HELD_MAX];
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return -errno;
        ssize_t size = pread(fd, text, sizeof text, 0);
        if (size < 0)
                return -errno;
        /* A number that is one digit now may grow to twenty; lines are not added while the system runs. */
        size_t room = (size_t)size * 4 + 256 < HELD_MAX ? (size_t)size * 4 + 256 : HELD_MAX;
        *held = (struct vg_held){.fd = -1, .room = room};
        held->path = strdup(path);
        held->latest = malloc(2 * room);
        if (!held->path || !held->latest) {
                vg_held_close(held);
                return -ENOMEM;
        }
        held->before = held->latest + room;
        held->latest_size = held->before_size = (size_t)size < room ? (size_t)size : room;
        memcpy(held->latest, text, held->latest_size);
        memcpy(held->before, text, held->before_size);
        held->fd = TAKE_FD(fd);
        return 0;
}

void vg_held_read(struct vg_held *held) {
        /* Into a place of its own: a read that fails half-way must not spoil the last sample. */
        char text[HELD_MAX];
        ssize_t size = pread(held->fd, text, held->room, 0);
        held->gone = size <= 0;
        if (size <= 0)
                return;
        memcpy(held->latest, text, (size_t)size);
        held->latest_size = (size_t)size;
}

bool vg_held_get(const struct vg_held *held, const char *key, uint64_t *ret_value) {
        return vg_counter_find(held->latest, held->latest_size, key, ret_value);
}

bool vg_held_get_before(const struct vg_held *held, const char *key, uint64_t *ret_value) {
        return vg_counter_find(held->before, held->before_size, key, ret_value);
}

void vg_held_put(struct vg_held *held, struct vg_writer *w) {
        bool same = held->latest_size == held->before_size && memcmp(held->latest, held->before, held->latest_size) == 0;
        vg_put_str(w, held->path);
        vg_put_bytes(w, held->before, held->before_size);
        /* The last sample counts even if the file is gone by now; without a newer one there is no "after". */
        vg_put_bytes(w, held->latest, held->gone && same ? 0 : held->latest_size);
        memcpy(held->before, held->latest, held->latest_size);
        held->before_size = held->latest_size;
}

void vg_held_close(struct vg_held *held) {
        vg_closep(&held->fd);
        free(held->path);
        free(held->latest);
        *held = (struct vg_held){.fd = -1};
}
