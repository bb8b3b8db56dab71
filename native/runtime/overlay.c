#include "runtime/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define LOWER "lowerdir="

/* The lowerdir option in the options, and its length without the name. */
static char *find_lower(char *data, size_t *ret_length) {
        for (char *at = data; (at = strstr(at, LOWER)); at++)
                if (at == data || at[-1] == ',') {
                        char *value = at + strlen(LOWER);
                        /* overlayfs: a backslash takes a comma or a colon of a name out of its meaning. */
                        size_t length = 0;
                        while (value[length] && value[length] != ',')
                                length += value[length] == '\\' && value[length + 1] ? 2 : 1;
                        *ret_length = length;
                        return value;
                }
        return NULL;
}

/* Length of the one at the start of the list. */
static size_t first_length(const char *list, size_t size) {
        size_t length = 0;
        while (length < size && list[length] != ':')
                length += list[length] == '\\' && length + 1 < size ? 2 : 1;
        return length;
}

/* How much of the text, up to and with a slash, all directories begin with. */
static size_t common_length(const char *list, size_t size) {
        size_t common = first_length(list, size);
        for (size_t at = 0; at < size;) {
                size_t length = first_length(list + at, size - at), same = 0;
                while (same < length && same < common && list[at + same] == list[same])
                        same++;
                common = same;
                at += length + 1;
        }
        while (common > 0 && list[common - 1] != '/')
                common--;
        return common;
}

static char *cut_all(const char *data, const char *list, size_t size, size_t common) {
        char *out = malloc(strlen(data) + 1);
        if (!out)
                return NULL;
        size_t used = (size_t)(list - data);
        memcpy(out, data, used);
        for (size_t at = 0; at < size;) {
                size_t length = first_length(list + at, size - at);
                if (at > 0)
                        out[used++] = ':';
                memcpy(out + used, list + at + common, length - common);
                used += length - common;
                at += length + 1;
        }
        strcpy(out + used, list + size);
        return out;
}

int vg_overlay_shorten(char **data, int *ret_base) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE), size;
        if (strlen(*data) < page - 1)
                return 0;
        char *list = find_lower(*data, &size);
        size_t common = list ? common_length(list, size) : 0;
        /* Escapes in the common part would have to be undone; an empty name would be what is left of a directory equal to it. */
        if (common == 0 || memchr(list, '\\', common))
                return -E2BIG;
        _cleanup_free_ char *base = strndup(list, common);
        _cleanup_free_ char *shorter = cut_all(*data, list, size, common);
        if (!base || !shorter)
                return -ENOMEM;
        if (strlen(shorter) >= page - 1)
                return -E2BIG;
        int fd = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        free(*data);
        *data = TAKE_PTR(shorter);
        *ret_base = fd;
        return 0;
}
