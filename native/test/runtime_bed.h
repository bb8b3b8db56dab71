/* A small core for the tests of native/runtime: encodes plans, forks helpers as the core does, answers on the channel. */
#ifndef VG_TEST_RUNTIME_BED_H
#define VG_TEST_RUNTIME_BED_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "lib/cleanup.h"
#include "lib/wire.h"
#include "runtime/runtime.h"
#include "runtime/sys.h"
#include "vigil.h"

static inline _Noreturn __attribute__((format(printf, 3, 4))) void bed_fail(const char *file, int line, const char *format, ...) {
        va_list words;
        va_start(words, format);
        fprintf(stderr, "%s:%d: ", file, line);
        vfprintf(stderr, format, words);
        fputc('\n', stderr);
        va_end(words);
        exit(1);
}

#define CHECK_INT(got, wanted)                                                                     \
        do {                                                                                       \
                long long got_ = (got), wanted_ = (wanted);                                        \
                if (got_ != wanted_)                                                               \
                        bed_fail(__FILE__, __LINE__, "%s is %lld, not %lld", #got, got_, wanted_); \
        } while (0)
#define CHECK_STR(got, wanted)                                                                           \
        do {                                                                                             \
                if (strcmp((got), (wanted)) != 0)                                                        \
                        bed_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #got, (got), (wanted)); \
        } while (0)
#define CHECK_HAS(text, part)                                                                  \
        do {                                                                                   \
                if (!strstr((text), (part)))                                                   \
                        bed_fail(__FILE__, __LINE__, "\"%s\" is not in:\n%s", (part), (text)); \
        } while (0)
#define CHECK_LACKS(text, part)                                                            \
        do {                                                                               \
                if (strstr((text), (part)))                                                \
                        bed_fail(__FILE__, __LINE__, "\"%s\" is in:\n%s", (part), (text)); \
        } while (0)

/* ---- ops ---- */

static inline size_t op_begin(struct vg_writer *w, uint16_t op, uint16_t flags) {
        vg_put_u16(w, op);
        vg_put_u16(w, flags);
        return vg_put_slot(w);
}

static inline void op_end(struct vg_writer *w, size_t slot) {
        vg_patch_u32(w, slot, (uint32_t)(w->size - slot - 4));
}

static inline void put_strv(struct vg_writer *w, const char *const *v) {
        uint32_t count = 0;
        while (v && v[count])
                count++;
        vg_put_u32(w, count);
        for (uint32_t i = 0; i < count; i++)
                vg_put_str(w, v[i]);
}

/* An op by the letters of its payload: 1 2 4 8 numbers (8 as uint64_t, else int), s string, S string array. */
static inline void op_put(struct vg_writer *w, uint16_t op, uint16_t flags, const char *letters, ...) {
        va_list values;
        va_start(values, letters);
        size_t slot = op_begin(w, op, flags);
        for (const char *letter = letters; *letter; letter++)
                switch (*letter) {
                case '1':
                        vg_put_u8(w, (uint8_t)va_arg(values, int));
                        break;
                case '2':
                        vg_put_u16(w, (uint16_t)va_arg(values, int));
                        break;
                case '4':
                        vg_put_u32(w, (uint32_t)va_arg(values, int));
                        break;
                case '8':
                        vg_put_u64(w, va_arg(values, uint64_t));
                        break;
                case 's':
                        vg_put_str(w, va_arg(values, const char *));
                        break;
                default:
                        put_strv(w, va_arg(values, const char *const *));
                        break;
                }
        va_end(values);
        op_end(w, slot);
}

#define OP(w, ...) op_put(w, __VA_ARGS__)
#define U64(x) ((uint64_t)(x))
#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define PATH_ENV ARGV("PATH=/bin", "HOME=/")

/* ---- plans ---- */

struct plan {
        const char *exec;
        bool terminal;
        uint8_t kinds[3];
        const char *paths[3];
        const char *const *logger_argv, *const *logger_env;
        bool logger_must_ready;
        uint32_t io_uid, io_gid, io_timeout_ms;
        struct vg_writer script, ops;
        uint64_t clone_flags, init_namespaces;
        uint64_t join_flag; /* one join is enough here */
        const char *join_path;
        uint8_t cgroup;
        const char *const *cgroups;
};

static inline void plan_encode(const struct plan *p, struct vg_writer *w) {
        vg_put_str(w, "test");
        vg_put_str(w, p->exec);
        vg_put_str(w, "");
        vg_put_u8(w, p->terminal);
        vg_put_u32(w, p->io_uid);
        vg_put_u32(w, p->io_gid);
        vg_put_u32(w, p->io_timeout_ms ? p->io_timeout_ms : 5000);
        for (int i = 0; i < 3; i++) {
                vg_put_u8(w, p->kinds[i]);
                vg_put_str(w, p->paths[i]);
        }
        put_strv(w, p->logger_argv);
        put_strv(w, p->logger_env);
        vg_put_u8(w, p->logger_must_ready);
        vg_put_bytes(w, p->script.data, p->script.size);
        vg_put_u8(w, 0);
        vg_put_str(w, "");
        put_strv(w, NULL);
        put_strv(w, NULL);
        vg_put_u64(w, p->clone_flags);
        vg_put_u32(w, p->join_path ? 1 : 0);
        if (p->join_path) {
                vg_put_u64(w, p->join_flag);
                vg_put_str(w, p->join_path);
        }
        vg_put_u64(w, p->init_namespaces);
        vg_put_u8(w, p->cgroup);
        put_strv(w, p->cgroups);
        vg_put_bytes(w, p->ops.data, p->ops.size);
}

static inline void plan_done(struct plan *p) {
        vg_writer_done(&p->script);
        vg_writer_done(&p->ops);
}
#define _cleanup_plan_ __attribute__((cleanup(plan_done)))

/* ---- a birth under way ---- */

struct birth {
        pid_t helper, child, logger;
        int channel, pty;
        int fds[9]; /* as of struct vg_stream_fds */
        char last;  /* tag that ended bed_run: 'r' 'x' 'e', or 0: end of file */
        bool saw_x;
        int status;
        uint32_t op;
        char message[2048];
        char output[65536]; /* what came out of stdout and stderr pipes */
        size_t output_size;
};

enum { IN_FIFO, IN_KEEP, IN_PIPE, OUT_PIPE, OUT_SINK, OUT_KEEP, ERR_PIPE, ERR_SINK, ERR_KEEP };

static inline void birth_begin(struct birth *b, const struct plan *p, int init_pidfd) {
        int ends[2];
        _cleanup_writer_ struct vg_writer w = {0};
        *b = (struct birth){.pty = -1, .channel = -1};
        for (int i = 0; i < 9; i++)
                b->fds[i] = -1;
        CHECK(p->script.error == 0 && p->ops.error == 0);
        plan_encode(p, &w);
        CHECK(w.error == 0);
        CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
        b->helper = fork();
        CHECK(b->helper >= 0);
        if (b->helper == 0) {
                struct vg_birth birth;
                struct vg_reader r = vg_reader_of(w.data, w.size);
                if (vg_birth_decode(&r, &birth) < 0)
                        _exit(99);
                vg_birth_run(&birth, init_pidfd, ends[1]);
        }
        close(ends[1]);
        b->channel = ends[0];
}

/* One message of the channel; its tag, 0 at the end. */
static inline char birth_receive(struct birth *b) {
        char message[2048];
        union {
                struct cmsghdr align;
                char room[CMSG_SPACE(9 * sizeof(int))];
        } control;
        struct iovec part = {message, sizeof message - 1};
        struct msghdr envelope = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control};
        struct pollfd wait = {.fd = b->channel, .events = POLLIN};
        if (poll(&wait, 1, 20000) != 1)
                bed_fail(__FILE__, __LINE__, "nothing on the channel for 20 s");
        ssize_t size = recvmsg(b->channel, &envelope, MSG_CMSG_CLOEXEC);
        if (size <= 0)
                return 0;
        message[size] = 0;
        int fds[9], n_fds = 0;
        struct cmsghdr *head = CMSG_FIRSTHDR(&envelope);
        if (head) {
                n_fds = (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
                memcpy(fds, CMSG_DATA(head), (size_t)n_fds * sizeof(int));
        }
        uint32_t number = 0;
        if (size >= 5)
                memcpy(&number, message + 1, 4);
        switch (message[0]) {
        case 'i':
                CHECK_INT(size, 10);
                for (int i = 0; i < 9; i++)
                        b->fds[i] = message[1 + i] < 0 ? -1 : fds[(int)message[1 + i]];
                break;
        case 'l':
                b->logger = (pid_t)number;
                break;
        case 'p':
                b->child = (pid_t)number;
                break;
        case 't':
                CHECK_INT(n_fds, 1);
                b->pty = fds[0];
                break;
        case 'c':
                CHECK(send(b->channel, "g", 1, MSG_NOSIGNAL) == 1);
                break;
        case 'x':
                b->saw_x = true;
                break;
        case 'e':
                b->status = (int)number;
                memcpy(&b->op, message + 5, 4);
                snprintf(b->message, sizeof b->message, "%s", message + 9);
                break;
        default:
                break;
        }
        return message[0];
}

/* Until 'r', 'e' or the end: what the core waits for. */
static inline char birth_run(struct birth *b) {
        char tag;
        do
                tag = birth_receive(b);
        while (tag && tag != 'r' && tag != 'e');
        b->last = tag;
        return tag;
}

static inline void birth_start(struct birth *b) {
        CHECK(send(b->channel, "s", 1, MSG_NOSIGNAL) == 1);
}

static inline void birth_collect(struct birth *b) {
        int from[3] = {b->fds[OUT_PIPE], b->fds[ERR_PIPE], b->pty};
        for (int i = 0; i < 3; i++)
                while (from[i] >= 0 && b->output_size < sizeof b->output - 1) {
                        struct pollfd wait = {.fd = from[i], .events = POLLIN};
                        if (poll(&wait, 1, 20000) != 1)
                                bed_fail(__FILE__, __LINE__, "no output and no end of it for 20 s:\n%s", b->output);
                        ssize_t size = read(from[i], b->output + b->output_size, sizeof b->output - 1 - b->output_size);
                        if (size <= 0)
                                break; /* end of file, or EIO of a terminal whose last user is gone */
                        b->output_size += (size_t)size;
                        b->output[b->output_size] = 0;
                }
}

static inline int reap(pid_t pid) {
        int status;
        CHECK(waitpid(pid, &status, 0) == pid);
        return status;
}

static inline void birth_done(struct birth *b) {
        vg_closep(&b->channel);
        vg_closep(&b->pty);
        for (int i = 0; i < 9; i++)
                vg_closep(&b->fds[i]);
}

/* One script in a helper; its status, and its message. */
static inline int run_script(struct vg_writer *w, bool undo, char message[2048]) {
        int ends[2];
        CHECK(w->error == 0);
        CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                vg_script_run((struct vg_bytes){w->data, w->size}, undo, ends[1]);
        close(ends[1]);
        struct birth b = {.channel = ends[0]};
        char tag = birth_receive(&b);
        CHECK(tag == 0 || tag == 'e');
        CHECK_INT(WEXITSTATUS(reap(pid)), tag == 'e');
        close(ends[0]);
        snprintf(message, 2048, "%s", b.message);
        vg_writer_done(w);
        return b.status;
}

static inline void run_script_ok(struct vg_writer *w) {
        char message[2048];
        int status = run_script(w, false, message);
        if (status < 0)
                bed_fail(__FILE__, __LINE__, "%d: %s", status, message);
}

/* ---- a place to work in ---- */

struct bed {
        char top[64], rootfs[96], fifo_out[96], fifo_err[96];
};

static inline void bed_write(const char *path, const char *text) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static inline void bed_read(const char *path, char *into, size_t size) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        CHECK(fd >= 0);
        ssize_t got = read(fd, into, size - 1);
        CHECK(got >= 0);
        into[got] = 0;
}

static inline int bed_command(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline int bed_command(const char *format, ...) {
        char command[1024];
        va_list words;
        va_start(words, format);
        vsnprintf(command, sizeof command, format, words);
        va_end(words);
        return system(command);
}

static inline const char *bed_busybox(void) {
        static const char *const places[] = {"/bin/busybox", "/usr/bin/busybox", "/usr/lib/busybox/bin/busybox"};
        for (size_t i = 0; i < VG_COUNT(places); i++)
                if (access(places[i], X_OK) == 0)
                        return places[i];
        return NULL;
}

static inline void bed_needs(void) {
        if (geteuid() != 0)
                SKIP("namespaces, mounts and cgroups need root");
        if (!bed_busybox())
                SKIP("no busybox for the root file system (package busybox-static)");
}

static inline void bed_make(struct bed *bed) {
        snprintf(bed->top, sizeof bed->top, "/tmp/vigil-runtime-XXXXXX");
        CHECK(mkdtemp(bed->top));
        CHECK(chmod(bed->top, 0755) == 0);
        snprintf(bed->rootfs, sizeof bed->rootfs, "%s/rootfs", bed->top);
        snprintf(bed->fifo_out, sizeof bed->fifo_out, "%s/out", bed->top);
        snprintf(bed->fifo_err, sizeof bed->fifo_err, "%s/err", bed->top);
        CHECK(bed_command("set -e; mkdir -p %s/bin %s/etc %s/tmp; chmod 1777 %s/tmp; cp %s %s/bin/busybox; cd %s/bin; "
                          "for a in sh echo cat id ls mount hostname sleep true stty tty ulimit pwd head tail dd kill ps env umask "
                          "grep "
                          "readlink test sysctl stat ip ifconfig touch mkdir wc chmod chown tr; do ln -s busybox $a; done",
                          bed->rootfs, bed->rootfs, bed->rootfs, bed->rootfs, bed_busybox(), bed->rootfs, bed->rootfs) == 0);
        CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
}

static inline void bed_done(struct bed *bed) {
        /* Never into a mount that a failing test has left. */
        CHECK(bed_command("rm -rf --one-file-system %s", bed->top) == 0);
}

/* A FIFO with a reader, as a client makes it; the reading end is the caller's. */
static inline int bed_fifo(const char *path) {
        (void)unlink(path);
        CHECK(mkfifo(path, 0700) == 0);
        int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        CHECK(fd >= 0);
        return fd;
}

/* stdout and stderr to files of the bed: the container's pipes are what the tests read. */
static inline void plan_streams(struct plan *p, const struct bed *bed) {
        p->kinds[1] = p->kinds[2] = VG_STREAM_FILE;
        p->paths[1] = bed->fifo_out;
        p->paths[2] = bed->fifo_err;
}

/* ---- what most containers have ---- */

#define ALL_NAMESPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET)

static inline void put_mount(struct vg_writer *w, const char *type, const char *source, const char *target, uint64_t flags,
                             const char *data) {
        OP(w, VG_OP_BIND_OR_MOUNT, 0, "sss888s1", type, source, target, flags, U64(0), U64(0), data, strcmp(type, "bind") == 0);
}

static inline void put_device(struct vg_writer *w, const char *path, int major, int minor) {
        OP(w, VG_OP_DEVICE, 0, "s144444", path, 'c', major, minor, 0666, 0, 0);
}

static inline void put_root(struct vg_writer *w, const struct bed *bed) {
        OP(w, VG_OP_ROOT_PROPAGATION, 0, "8", U64(MS_SLAVE | MS_REC));
        OP(w, VG_OP_ROOTFS, 0, "s", bed->rootfs);
        put_mount(w, "proc", "proc", "/proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, "");
        put_mount(w, "tmpfs", "tmpfs", "/dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
        put_mount(w, "devpts", "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5");
        put_mount(w, "tmpfs", "shm", "/dev/shm", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=1777,size=65536k");
        put_mount(w, "mqueue", "mqueue", "/dev/mqueue", MS_NOSUID | MS_NOEXEC | MS_NODEV, "");
        put_mount(w, "sysfs", "sysfs", "/sys", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, "");
        put_device(w, "/dev/null", 1, 3);
        put_device(w, "/dev/zero", 1, 5);
        OP(w, VG_OP_SYMLINK, 0, "ss", "/proc/self/fd", "/dev/fd");
        OP(w, VG_OP_SYMLINK, 0, "ss", "/proc/self/fd/1", "/dev/stdout");
        OP(w, VG_OP_SYMLINK, 0, "ss", "pts/ptmx", "/dev/ptmx");
}

static inline void put_pivot(struct vg_writer *w) {
        OP(w, VG_OP_PIVOT, 0, "18", 0, U64(0));
}

static inline void put_program(struct vg_writer *w, const char *const *argv) {
        OP(w, VG_OP_FIND, 0, "SS", argv, PATH_ENV);
        OP(w, VG_OP_WAIT_START, 0, "");
        OP(w, VG_OP_EXEC, 0, "SS", argv, PATH_ENV);
}

/* Runs a whole container: born, started, output read, reaped. Its wait status. */
static inline int run_container(struct birth *b, const struct plan *p) {
        birth_begin(b, p, -1);
        if (birth_run(b) != 'r')
                bed_fail(__FILE__, __LINE__, "not ready: '%c' op %u: %s", b->last ? b->last : '0', b->op, b->message);
        birth_start(b);
        CHECK_INT(WEXITSTATUS(reap(b->helper)), 0);
        CHECK_INT(birth_receive(b), 'x');
        CHECK_INT(birth_run(b), 0);
        birth_collect(b);
        return reap(b->child);
}

#endif
