#include "runtime/seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/message.h"
#include "runtime/sys.h"

#define AGENT_SECONDS 10 /* for it to accept, and to take the message */

/* The listener's descriptor if one was asked for, else 0. */
static int load(struct vg_child *c, struct vg_bytes program, uint64_t flags, struct vg_failure *f) {
        size_t count = program.size / sizeof(struct sock_filter);
        if (count == 0 || count > BPF_MAXINSNS || program.size % sizeof(struct sock_filter) != 0)
                return vg_fail_words(f, -EINVAL, "seccomp filter: %zu bytes are not 1 to %u instructions", program.size,
                                     BPF_MAXINSNS);
        /* The payload need not be aligned. */
        _cleanup_free_ struct sock_filter *filter = calloc(count, sizeof *filter);
        if (!filter)
                return vg_fail(f, -ENOMEM, "load seccomp filter");
        memcpy(filter, program.data, program.size);
        const struct sock_fprog loaded = {.len = (unsigned short)count, .filter = filter};
        /* The filter need not allow umask(2). */
        vg_child_settle_umask(c);
        int status = vg_sys(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (unsigned)flags, &loaded));
        return status < 0 ? vg_fail(f, status, "load seccomp filter") : status;
}

int vg_child_seccomp(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        uint64_t flags = a->at[1].number;
        /* Nobody would take the descriptor that this asks for. */
        if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
                return vg_fail_words(f, -EINVAL, "seccomp filter: a listener without an agent");
        return load(c, a->at[0].bytes, flags, f);
}

int vg_child_seccomp_notify(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        if (c->helper < 0)
                return vg_fail(f, -EPROTO, "seccomp filter: it comes after the helper's time");
        int listener = load(c, a->at[0].bytes, a->at[1].number | SECCOMP_FILTER_FLAG_NEW_LISTENER, f);
        if (listener < 0)
                return listener;
        /* From here on any call may wait for the agent, so none may be needed for the agent to hear of us but this one. */
        int status = vg_message_send(c->helper, "n", 1, &listener, 1);
        close(listener);
        return status < 0 ? vg_fail(f, status, "hand the seccomp listener over") : 0;
}

static int connect_to(const char *path, int *ret_fd) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (strlen(path) >= sizeof address.sun_path)
                return -ENAMETOOLONG;
        memcpy(address.sun_path, path, strlen(path) + 1);
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const struct timeval patience = {.tv_sec = AGENT_SECONDS};
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)
                return errno == EAGAIN ? -ETIMEDOUT : -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int send_all(int fd, int listener, const char *text, size_t size) {
        union {
                struct cmsghdr align;
                char room[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct iovec part = {.iov_base = (void *)text, .iov_len = size};
        struct msghdr envelope = {
                .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
        struct cmsghdr *head = CMSG_FIRSTHDR(&envelope);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof listener);
        memcpy(CMSG_DATA(head), &listener, sizeof listener);
        while (part.iov_len > 0) {
                ssize_t n = sendmsg(fd, &envelope, MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? -ETIMEDOUT : -errno;
                part.iov_base = (char *)part.iov_base + n;
                part.iov_len -= (size_t)n;
                /* With the first bytes only. */
                envelope.msg_control = NULL;
                envelope.msg_controllen = 0;
        }
        return 0;
}

static int compose(char *const *parts, pid_t pid, char **ret_text, size_t *ret_size) {
        char *text = NULL;
        FILE *out = open_memstream(&text, ret_size);
        if (!out)
                return -errno;
        for (char *const *part = parts; *part; part++) {
                if (part != parts)
                        fprintf(out, "%d", (int)pid);
                fputs(*part, out);
        }
        if (fclose(out) != 0) {
                int status = -errno;
                free(text);
                return status;
        }
        *ret_text = text;
        return 0;
}

int vg_seccomp_agent_tell(const struct vg_op *op, pid_t pid, int listener, struct vg_failure *f) {
        _cleanup_op_args_ struct vg_op_args args = {0};
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int agent = -1;
        size_t size = 0;
        int status = vg_op_args_decode(vg_op_shape_child(op->code)->signature, op->payload, &args);
        if (status == 0 && listener < 0)
                status = -EBADF;
        if (status == 0)
                status = compose(args.at[3].strings, pid, &text, &size);
        if (status < 0)
                return vg_fail(f, status, "seccomp listener");
        const char *path = args.at[2].string;
        status = connect_to(path, &agent);
        if (status == 0)
                status = send_all(agent, listener, text, size);
        return status < 0 ? vg_fail(f, status, "send the seccomp listener to the agent at %s", path) : 0;
}
