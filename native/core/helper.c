#include "core/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum { MESSAGE_MAX = 16384 };

static unsigned take_fds(struct msghdr *m, int fds[VG_HELPER_FDS_MAX]) {
        unsigned n = 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < count; i++) {
                        int fd;
                        memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
                        if (n < VG_HELPER_FDS_MAX)
                                fds[n++] = fd;
                        else
                                close(fd);
                }
        }
        return n;
}

/* 1: a message was handled; 0: none is there; -EPIPE: the end. */
static int receive(struct vg_helper *h) {
        uint8_t data[MESSAGE_MAX];
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(VG_HELPER_FDS_MAX * sizeof(int))];
        } control;
        struct iovec part = {data, sizeof data};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(h->channel.fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
                return errno == EAGAIN ? 0 : errno == EINTR ? 1 : -EPIPE;
        struct vg_helper_message message = {0};
        message.n_fds = take_fds(&m, message.fds);
        if (n > 0) {
                message.tag = (char)data[0];
                message.rest = (struct vg_bytes){data + 1, (size_t)n - 1};
                h->message(h->owner, &message);
        }
        for (unsigned i = 0; i < message.n_fds; i++)
                vg_closep(&message.fds[i]);
        return n > 0 ? 1 : -EPIPE;
}

void vg_helper_drain(struct vg_helper *h) {
        int r = 1;
        while (r > 0 && h->channel.fd >= 0)
                r = receive(h);
        if (r == -EPIPE && h->channel.fd >= 0) {
                vg_helper_close(h);
                h->eof(h->owner);
        }
}

static void channel_ready(struct vg_source *source, uint32_t events) {
        (void)events;
        vg_helper_drain(source->owner);
}

int vg_helper_fork(struct vg_helper *h, struct vg_loop *loop, void (*run)(void *argument, int channel), void *argument) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        _cleanup_close_ int ours = pair[0], theirs = pair[1];
        h->channel = (struct vg_source){.fd = ours, .events = EPOLLIN, .ready = channel_ready, .owner = h};
        int r = vg_source_add(loop, &h->channel);
        if (r < 0)
                return r;
        pid_t pid = fork();
        if (pid == 0) {
                run(argument, theirs);
                _exit(126);
        }
        if (pid < 0) {
                r = -errno;
                vg_source_remove(&h->channel);
                h->channel.fd = -1;
                return r;
        }
        h->pid = pid;
        TAKE_FD(ours);
        return 0;
}

int vg_helper_send(struct vg_helper *h, char tag) {
        if (h->channel.fd < 0)
                return -EPIPE;
        return send(h->channel.fd, &tag, 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

void vg_helper_close(struct vg_helper *h) {
        vg_source_remove(&h->channel);
        if (h->channel.fd >= 0)
                close(h->channel.fd);
        h->channel.fd = -1;
}

void vg_helper_error_read(const struct vg_helper_message *message, struct vg_helper_error *ret_error) {
        struct vg_reader r = vg_reader_of(message->rest.data, message->rest.size);
        int32_t status = (int32_t)vg_get_u32(&r);
        ret_error->op = vg_get_u32(&r);
        /* 0 would be a success, what is no error number could not be shown. */
        ret_error->status = r.error || status >= 0 || status < -4095 ? -EPROTO : status;
        int size = r.error ? 0 : (int)(r.end - r.at);
        snprintf(ret_error->text, sizeof ret_error->text, "%.*s", size, (const char *)r.at);
}

void vg_describe_wait_status(int status, char *text, size_t size) {
        if (WIFSIGNALED(status))
                snprintf(text, size, "was killed by signal %d", WTERMSIG(status));
        else
                snprintf(text, size, "exited with status %d", WEXITSTATUS(status));
}
