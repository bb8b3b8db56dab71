/* VG_OP_CRIU, and the restore of a birth. */
#include "runtime/criu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/protobuf.h"
#include "runtime/host.h"
#include "runtime/message.h"
#include "runtime/program.h"

/* Numbers of rpc.proto. */
enum { REQ_TYPE = 1, REQ_OPTS = 2, REQ_NOTIFY_SUCCESS = 3 };
enum { RESP_TYPE = 1, RESP_RESTORE = 4, RESP_ERROR = 9, RESTORE_PID = 1 };
enum { OPTS_IMAGES_DIR_FD = 1, OPTS_WORK_DIR_FD = 17, OPTS_INHERIT_FD = 27, INHERIT_KEY = 1, INHERIT_FD = 2 };
enum { TYPE_NOTIFY = 6 };

#define REPLY_MAX 4096
#define INHERITED_MAX 3

struct talk {
        int socket;
        struct vg_criu_restore *restore;
        char error[512]; /* CRIU's own words, since 3.16 */
};

struct reply {
        uint64_t type;
        pid_t pid;
        struct vg_bytes error;
};

static int read_reply(const uint8_t *data, size_t size, struct reply *ret_reply) {
        struct reply reply = {0};
        struct vg_pb_field field, inner;
        struct vg_reader r = vg_reader_of(data, size);
        while (vg_pb_next(&r, &field)) {
                if (field.number == RESP_TYPE)
                        reply.type = field.value;
                if (field.number == RESP_ERROR)
                        reply.error = field.bytes;
                if (field.number != RESP_RESTORE)
                        continue;
                struct vg_reader message = vg_reader_of(field.bytes.data, field.bytes.size);
                while (vg_pb_next(&message, &inner))
                        if (inner.number == RESTORE_PID)
                                reply.pid = (pid_t)inner.value;
                if (message.error)
                        return message.error;
        }
        *ret_reply = reply;
        return r.error;
}

/* It waits for the answer. Only a restored terminal comes with a descriptor: "orphan-pts-master". */
static int notified(const struct talk *t, int fd, struct vg_failure *f) {
        _cleanup_writer_ struct vg_writer w = {0};
        int status = fd >= 0 && t->restore ? vg_message_send(t->restore->channel, "t", 1, &fd, 1) : 0;
        if (status < 0)
                return vg_fail(f, status, "hand the terminal over");
        vg_pb_varint(&w, REQ_TYPE, TYPE_NOTIFY);
        vg_pb_varint(&w, REQ_NOTIFY_SUCCESS, 1);
        status = w.error ? w.error : vg_message_send(t->socket, w.data, w.size, NULL, 0);
        return status < 0 ? vg_fail(f, status, "talk to CRIU") : 0;
}

static int hear(void *owner, struct vg_failure *f) {
        struct talk *t = owner;
        struct reply reply = {0};
        uint8_t data[REPLY_MAX];
        size_t size = sizeof data;
        _cleanup_close_ int fd = -1;
        int status = vg_message_take(t->socket, data, &size, &fd);
        if (status == 0)
                status = read_reply(data, size, &reply);
        if (status < 0)
                return vg_fail(f, status, "hear from CRIU");
        if (reply.type == TYPE_NOTIFY)
                return notified(t, fd, f);
        snprintf(t->error, sizeof t->error, "%.*s", (int)reply.error.size, (const char *)reply.error.data);
        if (t->restore)
                t->restore->pid = reply.pid;
        return 1;
}

/* A copy that the program inherits; the helper runs no other meanwhile. */
static int pass(int fd) {
        int copy = fcntl(fd, F_DUPFD, 3);
        return copy < 0 ? -errno : copy;
}

static int open_directory(const char *path, struct vg_failure *f) {
        int fd = open(path, O_RDONLY | O_DIRECTORY);
        return fd < 0 ? vg_fail(f, -errno, "open directory %s", path) : fd;
}

static void put_inherited(struct vg_writer *options, const char *name, int fd) {
        _cleanup_writer_ struct vg_writer inherit = {0};
        vg_pb_string(&inherit, INHERIT_KEY, name);
        vg_pb_varint(&inherit, INHERIT_FD, (uint64_t)fd);
        vg_pb_message(options, OPTS_INHERIT_FD, &inherit);
}

static int send_request(const struct vg_criu *criu, int socket, int images, int work, const struct vg_criu_restore *restore,
                        const int passed[], struct vg_failure *f) {
        _cleanup_writer_ struct vg_writer options = {0}, request = {0};
        vg_put_raw(&options, criu->options.data, criu->options.size);
        vg_pb_varint(&options, OPTS_IMAGES_DIR_FD, (uint64_t)images);
        vg_pb_varint(&options, OPTS_WORK_DIR_FD, (uint64_t)work);
        for (unsigned i = 0; restore && i < restore->count; i++)
                if (passed[i] >= 0)
                        put_inherited(&options, restore->names[i], passed[i]);
        vg_pb_varint(&request, REQ_TYPE, criu->request);
        vg_pb_message(&request, REQ_OPTS, &options);
        int status = request.error ? request.error : vg_message_send(socket, request.data, request.size, NULL, 0);
        return status < 0 ? vg_fail(f, status, "talk to CRIU") : 0;
}

static int run(const struct vg_criu *criu, int socket, struct talk *t, struct vg_failure *f) {
        char number[16];
        snprintf(number, sizeof number, "%d", socket);
        char *argv[] = {criu->program, "swrk", number, NULL};
        const struct vg_program program = {.argv = argv, .log = "", .timeout_ms = criu->timeout_ms};
        const struct vg_program_io io = {.watched = t->socket, .ready = hear, .owner = t};
        int status = vg_program_run(&program, &io, f);
        if (status == -EREMOTEIO && t->error[0])
                return vg_fail_words(f, status, "%s: %s", criu->program, t->error);
        return status;
}

int vg_criu_run(const struct vg_criu *criu, struct vg_criu_restore *restore, struct vg_failure *f) {
        int ends[2], passed[INHERITED_MAX] = {-1, -1, -1}, status = 0;
        unsigned count = restore ? restore->count : 0;
        if (count > INHERITED_MAX)
                return vg_fail(f, -EINVAL, "restore %u streams", count);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return vg_fail(f, -errno, "make a socket");
        _cleanup_close_ int mine = ends[0], closed = ends[1], images = open_directory(criu->images, f), work = -1, theirs = -1;
        if (images < 0)
                return images;
        work = open_directory(criu->work, f);
        if (work < 0)
                return work;
        theirs = pass(closed);
        if (theirs < 0)
                return vg_fail(f, theirs, "make a socket");
        vg_closep(&closed);
        for (unsigned i = 0; i < count && status == 0; i++)
                if (restore->names[i][0]) {
                        passed[i] = pass(restore->fds[i]);
                        status = passed[i] < 0 ? vg_fail(f, passed[i], "pass a stream to CRIU") : 0;
                }
        struct talk t = {.socket = mine, .restore = restore};
        if (status == 0)
                status = send_request(criu, mine, images, work, restore, passed, f);
        if (status == 0)
                status = run(criu, theirs, &t, f);
        for (unsigned i = 0; i < INHERITED_MAX; i++)
                vg_closep(&passed[i]);
        return status;
}

int vg_host_criu(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        const struct vg_criu criu = {
                .program = a->at[0].string,
                .request = (uint32_t)a->at[1].number,
                .options = a->at[2].bytes,
                .images = a->at[3].string,
                .work = a->at[4].string,
                .timeout_ms = (uint32_t)a->at[5].number,
        };
        return vg_criu_run(&criu, NULL, f);
}
