#include "runtime/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define FAILURE_HEAD (1 + sizeof(int32_t) + sizeof(uint32_t))

int vg_message_send(int channel, const void *message, size_t size, const int *fds, unsigned n_fds) {
        union {
                struct cmsghdr align;
                char room[CMSG_SPACE(VG_MESSAGE_FDS_MAX * sizeof(int))];
        } control = {0};
        struct iovec part = {.iov_base = (void *)message, .iov_len = size};
        struct msghdr envelope = {.msg_iov = &part, .msg_iovlen = 1};
        if (n_fds > VG_MESSAGE_FDS_MAX)
                return -EINVAL;
        if (n_fds > 0) {
                envelope.msg_control = control.room;
                envelope.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                struct cmsghdr *head = CMSG_FIRSTHDR(&envelope);
                head->cmsg_level = SOL_SOCKET;
                head->cmsg_type = SCM_RIGHTS;
                head->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(head), fds, n_fds * sizeof(int));
        }
        ssize_t sent;
        do
                sent = sendmsg(channel, &envelope, MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
        return sent < 0 ? -errno : 0;
}

int vg_message_send_tag(int channel, char tag) {
        return vg_message_send(channel, &tag, 1, NULL, 0);
}

int vg_message_send_pid(int channel, char tag, uint32_t pid) {
        char message[1 + sizeof pid] = {tag};
        memcpy(message + 1, &pid, sizeof pid);
        return vg_message_send(channel, message, sizeof message, NULL, 0);
}

int vg_message_send_failure(int channel, const struct vg_failure *failure) {
        char message[FAILURE_HEAD + VG_MESSAGE_MAX] = {'e'};
        int32_t status = failure->status;
        size_t length = strnlen(failure->message, VG_MESSAGE_MAX);
        memcpy(message + 1, &status, sizeof status);
        memcpy(message + 1 + sizeof status, &failure->op, sizeof failure->op);
        memcpy(message + FAILURE_HEAD, failure->message, length);
        return vg_message_send(channel, message, FAILURE_HEAD + length, NULL, 0);
}

/* What recvmsg(2) gave of descriptors: one at the most is taken. */
static int first_fd(struct msghdr *envelope) {
        int first = -1;
        for (struct cmsghdr *head = CMSG_FIRSTHDR(envelope); head; head = CMSG_NXTHDR(envelope, head)) {
                if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < (head->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                        int fd;
                        memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
                        if (first < 0)
                                first = fd;
                        else
                                close(fd);
                }
        }
        return first;
}

int vg_message_take(int channel, void *into, size_t *size, int *ret_fd) {
        union {
                struct cmsghdr align;
                char room[CMSG_SPACE(VG_MESSAGE_FDS_MAX * sizeof(int))];
        } control = {0};
        struct iovec part = {.iov_base = into, .iov_len = *size};
        struct msghdr envelope = {
                .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
        ssize_t taken;
        do
                taken = recvmsg(channel, &envelope, MSG_CMSG_CLOEXEC);
        while (taken < 0 && errno == EINTR);
        if (taken < 0)
                return -errno;
        _cleanup_close_ int fd = first_fd(&envelope);
        if (taken == 0)
                return -ECONNRESET;
        if (ret_fd)
                *ret_fd = TAKE_FD(fd);
        *size = (size_t)taken;
        return envelope.msg_flags & MSG_TRUNC ? -EMSGSIZE : 0;
}

int vg_message_peek(int channel, char *ret_tag) {
        ssize_t size;
        do
                size = recv(channel, ret_tag, 1, MSG_PEEK);
        while (size < 0 && errno == EINTR);
        return size < 0 ? -errno : size == 0 ? -ECONNRESET : 0;
}

int vg_message_receive(int channel, char *ret_tag, struct vg_failure *ret_failure) {
        _cleanup_close_ int unwanted = -1;
        return vg_message_receive_fd(channel, ret_tag, &unwanted, ret_failure);
}

int vg_message_receive_fd(int channel, char *ret_tag, int *ret_fd, struct vg_failure *ret_failure) {
        char message[FAILURE_HEAD + VG_MESSAGE_MAX];
        size_t size = sizeof message;
        int taken = vg_message_take(channel, message, &size, ret_fd);
        if (taken < 0)
                return taken;
        if (message[0] == 'e') {
                if (!ret_failure || size < FAILURE_HEAD)
                        return -EBADMSG;
                int32_t status;
                size_t length = size - FAILURE_HEAD;
                memcpy(&status, message + 1, sizeof status);
                memcpy(&ret_failure->op, message + 1 + sizeof status, sizeof ret_failure->op);
                if (length >= VG_MESSAGE_MAX)
                        length = VG_MESSAGE_MAX - 1;
                memcpy(ret_failure->message, message + FAILURE_HEAD, length);
                ret_failure->message[length] = 0;
                ret_failure->status = status;
        }
        *ret_tag = message[0];
        return 0;
}
