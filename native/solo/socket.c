#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "lib/cleanup.h"
#include "runtime/message.h"
#include "solo/solo.h"

/* Through the directory's descriptor: a socket's address has room for 107 bytes, a path for 4 095. */
static int address_of(const char *path, int *ret_directory, struct sockaddr_un *ret_address) {
        char parent[PATH_MAX], name[PATH_MAX];
        if (snprintf(parent, sizeof parent, "%s", path) >= (int)sizeof parent)
                return -ENAMETOOLONG;
        strcpy(name, parent);
        _cleanup_close_ int directory = open(dirname(parent), O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0)
                return -errno;
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory, basename(name)) >=
            (int)sizeof address.sun_path)
                return -ENAMETOOLONG;
        *ret_address = address;
        *ret_directory = TAKE_FD(directory);
        return 0;
}

int vg_solo_listen(const char *path, int *ret_fd) {
        _cleanup_close_ int directory = -1, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un address;
        if (fd < 0)
                return -errno;
        int status = address_of(path, &directory, &address);
        if (status < 0)
                return status;
        mode_t mask = umask(0177);
        status = bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0 ? -errno : 0;
        umask(mask);
        if (status == 0)
                *ret_fd = TAKE_FD(fd);
        return status;
}

int vg_solo_give_terminal(const char *path, int master) {
        static const char name[] = "/dev/ptmx";
        _cleanup_close_ int directory = -1, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un address;
        if (fd < 0)
                return -errno;
        int status = address_of(path, &directory, &address);
        if (status == 0 && connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
                status = -errno;
        return status < 0 ? status : vg_message_send(fd, name, strlen(name), &master, 1);
}
