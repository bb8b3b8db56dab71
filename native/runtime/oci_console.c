#include "runtime/oci_console.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/message.h"

#define MESSAGE_WAIT_S 10 /* between the runtime's connect and its message */

int vg_oci_console_listen(const char *path, int channel, struct vg_oci_console *ret_console, struct vg_failure *f) {
        struct vg_oci_console c = {.listener = -1, .channel = channel};
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (!path[0]) {
                *ret_console = c;
                return 0;
        }
        if (strlen(path) >= sizeof address.sun_path)
                return vg_fail(f, -ENAMETOOLONG, "listen for the terminal on %s", path);
        strcpy(address.sun_path, path);
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1) < 0)
                return vg_fail(f, -errno, "listen for the terminal on %s", path);
        c.listener = TAKE_FD(fd);
        *ret_console = c;
        return 0;
}

/* The first descriptor of the message; what came with it is closed. */
static int receive_master(int connection, int *ret_master) {
        char name[4096]; /* the data is the terminal's name, which nobody needs */
        union {
                struct cmsghdr align;
                char room[CMSG_SPACE(4 * sizeof(int))];
        } control = {0};
        struct iovec part = {name, sizeof name};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control};
        ssize_t n;
        while ((n = recvmsg(connection, &m, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
                ;
        if (n < 0)
                return -errno;
        int master = -1;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                        int fd;
                        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
                        if (master < 0)
                                master = fd;
                        else
                                close(fd);
                }
        }
        *ret_master = master;
        return master < 0 ? -ENODATA : 0;
}

int vg_oci_console_take(void *console, struct vg_failure *f) {
        struct vg_oci_console *c = console;
        _cleanup_close_ int connection = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC), master = -1;
        if (connection < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : vg_fail(f, -errno, "accept the runtime's connection");
        const struct timeval wait = {.tv_sec = MESSAGE_WAIT_S};
        int status = setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0 ? -errno : 0;
        if (status == 0)
                status = receive_master(connection, &master);
        if (status < 0)
                return vg_fail(f, status, "receive the terminal from the runtime");
        status = vg_message_send(c->channel, "t", 1, &master, 1);
        if (status < 0)
                return vg_fail(f, status, "hand the terminal over");
        c->passed = true;
        vg_closep(&c->listener);
        return 1;
}
