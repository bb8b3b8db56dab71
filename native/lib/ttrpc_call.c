#include "lib/ttrpc_call.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/protobuf.h"
#include "vigil.h"

#define HEADER_SIZE 10
#define TYPE_REQUEST 1
#define TYPE_RESPONSE 2

int vg_ttrpc_connect(const char *path, int *ret_fd) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (strncmp(path, "unix://", 7) == 0)
                path += 7;
        if (strlen(path) >= sizeof address.sun_path)
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        /* A unix socket connects at once or fails: EAGAIN means a full backlog (unix(7)). */
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int wait_for(int fd, short events, uint64_t deadline) {
        for (;;) {
                struct timespec now;
                clock_gettime(CLOCK_MONOTONIC, &now);
                uint64_t mono = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
                if (mono >= deadline)
                        return -ETIMEDOUT;
                struct timespec left = {(time_t)((deadline - mono) / 1000000000u), (long)((deadline - mono) % 1000000000u)};
                struct pollfd p = {.fd = fd, .events = events};
                int n = ppoll(&p, 1, &left, NULL);
                if (n > 0)
                        return 0;
                if (n < 0 && errno != EINTR)
                        return -errno;
        }
}

static int send_all(int fd, const uint8_t *data, size_t size, uint64_t deadline) {
        while (size > 0) {
                ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
                if (n >= 0) {
                        data += n;
                        size -= (size_t)n;
                } else if (errno == EAGAIN) {
                        int r = wait_for(fd, POLLOUT, deadline);
                        if (r < 0)
                                return r;
                } else if (errno != EINTR)
                        return -errno;
        }
        return 0;
}

static int receive_all(int fd, uint8_t *data, size_t size, uint64_t deadline) {
        while (size > 0) {
                ssize_t n = recv(fd, data, size, 0);
                if (n == 0)
                        return -EPIPE;
                if (n > 0) {
                        data += n;
                        size -= (size_t)n;
                } else if (errno == EAGAIN) {
                        int r = wait_for(fd, POLLIN, deadline);
                        if (r < 0)
                                return r;
                } else if (errno != EINTR)
                        return -errno;
        }
        return 0;
}

static uint32_t big_endian(const uint8_t *at) {
        return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_big_endian(struct vg_writer *w, uint32_t v) {
        for (int shift = 24; shift >= 0; shift -= 8)
                vg_put_u8(w, (uint8_t)(v >> shift));
}

static int status_code(const uint8_t *data, size_t size, uint32_t *ret_code) {
        struct vg_reader response = vg_reader_of(data, size);
        struct vg_pb_field f;
        uint32_t code = 0;
        while (vg_pb_next(&response, &f)) {
                if (f.number != 1 || f.type != 2)
                        continue;
                struct vg_reader status = vg_reader_of(f.bytes.data, f.bytes.size);
                struct vg_pb_field s;
                while (vg_pb_next(&status, &s))
                        if (s.number == 1 && s.type == 0)
                                code = (uint32_t)s.value;
                if (status.error)
                        return status.error;
        }
        if (response.error)
                return response.error;
        *ret_code = code;
        return 0;
}

int vg_ttrpc_call(int fd, uint32_t stream, const char *service, const char *method, struct vg_bytes payload, uint64_t deadline,
                  uint32_t *ret_code) {
        _cleanup_writer_ struct vg_writer request = {0}, frame = {0};
        vg_pb_string(&request, 1, service);
        vg_pb_string(&request, 2, method);
        vg_pb_bytes(&request, 3, payload);
        put_big_endian(&frame, (uint32_t)request.size);
        put_big_endian(&frame, stream);
        vg_put_u8(&frame, TYPE_REQUEST);
        vg_put_u8(&frame, 0);
        vg_put_raw(&frame, request.data, request.size);
        if (request.error || frame.error)
                return -ENOMEM;
        int r = send_all(fd, frame.data, frame.size, deadline);
        if (r < 0)
                return r;

        for (;;) {
                uint8_t header[HEADER_SIZE];
                r = receive_all(fd, header, sizeof header, deadline);
                if (r < 0)
                        return r;
                uint32_t size = big_endian(header);
                if (size > VG_FRAME_MAX)
                        return -EMSGSIZE;
                _cleanup_free_ uint8_t *body = malloc(size ? size : 1);
                if (!body)
                        return -ENOMEM;
                r = receive_all(fd, body, size, deadline);
                if (r < 0)
                        return r;
                if (header[8] == TYPE_RESPONSE && big_endian(header + 4) == stream)
                        return status_code(body, size, ret_code);
        }
}
