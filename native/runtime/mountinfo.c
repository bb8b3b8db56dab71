#include "runtime/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/cleanup.h"

int vg_mountinfo_open(int proc, FILE **ret_file) {
        _cleanup_close_ int fd = openat(proc, "self/mountinfo", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        FILE *file = fdopen(fd, "re");
        if (!file)
                return -errno;
        (void)TAKE_FD(fd);
        *ret_file = file;
        return 0;
}

static bool is_octal(char c) {
        return c >= '0' && c <= '7';
}

/* Blanks, tabs, newlines and backslashes are written as \ooo. */
static bool unescape(const char *from, char *to, size_t room) {
        size_t used = 0;
        while (*from) {
                if (used + 1 >= room)
                        return false;
                if (from[0] == '\\' && is_octal(from[1]) && is_octal(from[2]) && is_octal(from[3])) {
                        to[used++] = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
                        from += 4;
                } else
                        to[used++] = *from++;
        }
        to[used] = 0;
        return true;
}

int vg_mountinfo_next(FILE *file, struct vg_mountinfo *ret_line) {
        _cleanup_free_ char *text = NULL;
        size_t room = 0;
        while (getline(&text, &room, file) >= 0) {
                /* id parent major:minor root MOUNTPOINT options [tags ...] - TYPE source options */
                char *rest = text, *path = NULL;
                for (unsigned i = 0; i < 5; i++)
                        path = strsep(&rest, " ");
                char *dash = rest ? strstr(rest, " - ") : NULL;
                if (!path || !dash)
                        return -EBADMSG;
                char *type = dash + 3;
                type[strcspn(type, " \n")] = 0;
                if (strlen(type) >= sizeof ret_line->type || !unescape(path, ret_line->path, sizeof ret_line->path))
                        continue;
                strcpy(ret_line->type, type);
                return 1;
        }
        return ferror(file) ? -EIO : 0;
}

bool vg_path_is_below(const char *path, const char *top) {
        size_t length = strlen(top);
        while (length > 0 && top[length - 1] == '/')
                length--;
        return strncmp(path, top, length) == 0 && (path[length] == '/' || path[length] == 0);
}
