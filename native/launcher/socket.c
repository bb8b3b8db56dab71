#include "launcher/socket.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/sha256.h"
#include "lib/ttrpc_call.h"

int vg_shim_socket_path(const char *directory, const char *address, const char *name_space, const char *group,
                        char ret_path[VG_SOCKET_PATH_MAX + 1]) {
        char text[PATH_MAX], hex[VG_SHA256_HEX];
        int n = snprintf(text, sizeof text, "%s/%s/%s", address, name_space, group);
        if (n < 0 || (size_t)n >= sizeof text)
                return -ENAMETOOLONG;
        /* Go's filepath.Join cleans: an empty address leaves no leading slash, doubled slashes become one. */
        char clean[PATH_MAX];
        size_t size = 0;
        for (const char *c = text[0] == '/' && !address[0] ? text + 1 : text; *c; c++)
                if (*c != '/' || size == 0 || clean[size - 1] != '/')
                        clean[size++] = *c;
        vg_sha256_hex(clean, size, hex);
        n = snprintf(ret_path, VG_SOCKET_PATH_MAX + 1, "%s/%s", directory, hex);
        return n < 0 || n > VG_SOCKET_PATH_MAX ? -ENAMETOOLONG : 0;
}

static int make_parents(const char *path) {
        char partial[VG_SOCKET_PATH_MAX + 1];
        snprintf(partial, sizeof partial, "%s", path);
        for (char *slash = strchr(partial + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = 0;
                if (mkdir(partial, strchr(slash + 1, '/') ? 0711 : 0700) < 0 && errno != EEXIST)
                        return -errno;
                *slash = '/';
        }
        return 0;
}

int vg_shim_socket_listen(const char *path, int *ret_fd) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int r = make_parents(path);
        if (r < 0)
                return r;
        strcpy(address.sun_path, path);
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        /* The mode at bind(2) comes from the socket's own: nobody else can connect, not even for a moment (unix(7)). */
        if (fchmod(fd, 0600) < 0)
                return -errno;
        if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
                if (errno != EADDRINUSE)
                        return -errno;
                int probe;
                if (vg_ttrpc_connect(path, &probe) == 0) {
                        close(probe);
                        return -EADDRINUSE;
                }
                if (unlink(path) < 0 && errno != ENOENT)
                        return -errno;
                if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
                        return -errno;
        }
        if (listen(fd, SOMAXCONN) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}
