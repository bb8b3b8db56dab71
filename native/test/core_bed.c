#include "test/core_bed.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/frame.h"
#include "core/run.h"
#include "lib/protobuf.h"

uint64_t bed_now_ms(void) {
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static struct sockaddr_un address(const char *path) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
        return a;
}

static int connect_to(const char *path) {
        struct sockaddr_un a = address(path);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
        return fd;
}

static int listen_at(const char *path) {
        struct sockaddr_un a = address(path);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 64) == 0);
        return fd;
}

static bool readable(int fd, int timeout_ms) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n;
        while ((n = poll(&p, 1, timeout_ms)) < 0 && errno == EINTR)
                ;
        return n > 0;
}

/* ------------------------------------------------------------------------------------------------------------ roles */

static _Noreturn void play_daemon(void) {
        const char *directory = getenv("VIGIL_BED");
        char path[128];
        /* Nothing of containerd's environment, and no directory that could be removed under it. */
        char where[PATH_MAX];
        CHECK(directory && !getenv("NODE_OPTIONS") && getenv("PATH") && strcmp(getenv("HOME"), "/") == 0);
        CHECK(getcwd(where, sizeof where) && strcmp(where, "/") == 0);
        char *status = bed_read("%s/exit", directory);
        if (status)
                _exit(atoi(status));
        snprintf(path, sizeof path, "%s/control", directory);
        int control = connect_to(path), fds[2] = {VG_DAEMON_CHANNEL_FD, VG_DAEMON_FDS_FD};
        pid_t pid = getpid();
        char space[CMSG_SPACE(sizeof fds)] = {0};
        struct iovec part = {&pid, sizeof pid};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fds);
        memcpy(CMSG_DATA(c), fds, sizeof fds);
        CHECK(sendmsg(control, &m, 0) == (ssize_t)sizeof pid);
        close(fds[0]);
        close(fds[1]);
        uint8_t code;
        _exit(read(control, &code, 1) == 1 ? code : 99);
}

void bed_roles(int argc, char **argv) {
        signal(SIGPIPE, SIG_IGN);
        if (argc > 1 && strcmp(argv[1], "daemon") == 0)
                play_daemon();
        if (argc > 1 && strcmp(argv[1], "core") == 0)
                exit(vg_core_main(argc - 1, argv + 1));
}

int bed_run(void (*const tests[])(void), size_t n, int argc, char **argv) {
        for (size_t i = 0; i < n; i++) {
                if (argc > 1 && (size_t)atoi(argv[1]) != i)
                        continue;
                pid_t pid = fork();
                int status;
                CHECK(pid >= 0);
                if (pid == 0) {
                        tests[i]();
                        exit(EXIT_SUCCESS);
                }
                CHECK(waitpid(pid, &status, 0) == pid);
                if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
                        fprintf(stderr, "test %zu of %zu failed\n", i, n);
                        return EXIT_FAILURE;
                }
        }
        return EXIT_SUCCESS;
}

int bed_run_together(void (*const tests[])(void), size_t n) {
        for (size_t i = 0; i < n; i++) {
                pid_t pid = fork();
                CHECK(pid >= 0);
                if (pid == 0) {
                        tests[i]();
                        exit(EXIT_SUCCESS);
                }
        }
        int status, worst = EXIT_SUCCESS;
        while (wait(&status) > 0)
                if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                        worst = EXIT_FAILURE;
        return worst;
}

/* ------------------------------------------------------------------------------------------------------------ the core */

static _Noreturn void become_core(const struct bed *bed, int listener, int log, int options) {
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        CHECK(n > 0);
        self[n] = 0;
        CHECK(dup2(log, 14) >= 0 && dup2(options, 15) >= 0 && dup2(listener, 13) >= 0);
        CHECK(dup2(13, 3) >= 0 && dup2(14, 4) >= 0 && dup2(15, 5) >= 0);
        /* The test's death must leave nothing behind. */
        CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        setenv("VIGIL_RUN", bed->run, 1);
        setenv("VIGIL_STATE", bed->state, 1);
        setenv("VIGIL_DAEMON", self, 1);
        setenv("VIGIL_BED", bed->directory, 1);
        setenv("NODE_OPTIONS", "--must-not-arrive", 1);
        execl(self, self, "core", "-namespace", "ns", "-id", "group", "-address", "/run/containerd.sock", "-publish-binary",
              "/bin/containerd", "-socket", bed->socket, "-bundle", "/bundle", "-debug", NULL);
        _exit(127);
}

void bed_prepare(struct bed *bed) {
        *bed = (struct bed){.core = -1};
        CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
        snprintf(bed->directory, sizeof bed->directory, "/tmp/vigil-test-XXXXXX");
        CHECK(mkdtemp(bed->directory));
        snprintf(bed->socket, sizeof bed->socket, "%s/s", bed->directory);
        snprintf(bed->run, sizeof bed->run, "%s/run", bed->directory);
        snprintf(bed->state, sizeof bed->state, "%s/state", bed->directory);
        snprintf(bed->log, sizeof bed->log, "%s/log", bed->directory);
        char path[128];
        snprintf(path, sizeof path, "%s/control", bed->directory);
        bed->control = listen_at(path);
}

void bed_go(struct bed *bed) {
        int listener = listen_at(bed->socket);
        int log = open(bed->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        int options = memfd_create("options", MFD_CLOEXEC);
        CHECK(log >= 0 && options >= 0 && write(options, "opts", 4) == 4);
        bed->core = fork();
        CHECK(bed->core >= 0);
        if (bed->core == 0)
                become_core(bed, listener, log, options);
        close(listener);
        close(log);
        close(options);
}

void bed_start(struct bed *bed) {
        bed_prepare(bed);
        bed_go(bed);
}

void bed_daemons_exit(struct bed *bed, int status) {
        char path[128];
        snprintf(path, sizeof path, "%s/exit", bed->directory);
        unlink(path);
        if (status < 0)
                return;
        _cleanup_fclose_ FILE *f = fopen(path, "we");
        CHECK(f && fprintf(f, "%d", status) > 0);
}

void bed_register(struct bed *bed, const char *id, const char *group) {
        char path[256];
        const char *const parts[] = {"", "/cores", "/cores/ns", "/cores/ns/"};
        for (size_t i = 0; i < VG_COUNT(parts); i++) {
                snprintf(path, sizeof path, "%s%s%s", bed->run, parts[i], i == 3 ? id : "");
                CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
        }
        strcat(path, "/shim");
        _cleanup_fclose_ FILE *f = fopen(path, "we");
        CHECK(f && fprintf(f, "group=%s\nsocket=%s\nbundle=/bundle\n", group, bed->socket) > 0);
}

bool bed_exists(const struct bed *bed, const char *format, ...) {
        char tail[256], path[512];
        va_list args;
        va_start(args, format);
        vsnprintf(tail, sizeof tail, format, args);
        va_end(args);
        snprintf(path, sizeof path, "%s/%s", bed->directory, tail);
        return access(path, F_OK) == 0;
}

char *bed_read(const char *format, ...) {
        char path[512];
        va_list args;
        va_start(args, format);
        vsnprintf(path, sizeof path, format, args);
        va_end(args);
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        if (!f)
                return NULL;
        char *text = calloc(1, 1 << 20);
        CHECK(text);
        size_t n = fread(text, 1, (1 << 20) - 1, f);
        text[n] = 0;
        return text;
}

char *bed_find(const char *directory, const char *prefix) {
        _cleanup_closedir_ DIR *d = opendir(directory);
        for (struct dirent *e; d && (e = readdir(d));) {
                char *path;
                if (strncmp(e->d_name, prefix, strlen(prefix)) == 0 && e->d_name[0] != '.')
                        return asprintf(&path, "%s/%s", directory, e->d_name) < 0 ? NULL : path;
        }
        return NULL;
}

bool bed_core_alive(struct bed *bed) {
        siginfo_t info = {0};
        CHECK(waitid(P_PID, (id_t)bed->core, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
        return info.si_pid == 0;
}

int bed_core_wait(struct bed *bed) {
        int status;
        for (uint64_t end = bed_now_ms() + BED_TIMEOUT_MS; bed_now_ms() < end; poll(NULL, 0, 5))
                if (waitpid(bed->core, &status, WNOHANG) == bed->core) {
                        bed->core = -1;
                        return status;
                }
        CHECK(!"the core ends");
        return -1;
}

/* What a core that was killed leaves behind: its containers. They came to us (bed_start). */
static void end_children(void) {
        for (;;) {
                _cleanup_free_ char *children = bed_read("/proc/self/task/%d/children", (int)getpid());
                if (!children || !*children)
                        return;
                char *save = NULL;
                for (char *word = strtok_r(children, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
                        kill((pid_t)atoi(word), SIGKILL);
                        waitpid((pid_t)atoi(word), NULL, 0);
                }
        }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

void bed_end(struct bed *bed) {
        if (bed->core > 0) {
                CHECK(bed_core_alive(bed));
                kill(bed->core, SIGKILL);
                waitpid(bed->core, NULL, 0);
        }
        close(bed->control);
        end_children();
        nftw(bed->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---------------------------------------------------------------------------------------------------------- the daemon */

bool bed_daemon_comes(struct bed *bed, int timeout_ms) {
        return readable(bed->control, timeout_ms);
}

void bed_daemon_accept(struct bed *bed, struct bed_daemon *ret_daemon) {
        struct bed_daemon d = {0};
        int fds[2];
        CHECK(readable(bed->control, BED_TIMEOUT_MS));
        d.control = accept4(bed->control, NULL, NULL, SOCK_CLOEXEC);
        char space[CMSG_SPACE(sizeof fds)];
        struct iovec part = {&d.pid, sizeof d.pid};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
        CHECK(recvmsg(d.control, &m, MSG_CMSG_CLOEXEC) == (ssize_t)sizeof d.pid && CMSG_FIRSTHDR(&m));
        memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fds);
        d.channel = fds[0];
        d.fds = fds[1];
        *ret_daemon = d;
}

static void receive_all(int fd, void *data, size_t size) {
        for (size_t have = 0; have < size;) {
                CHECK(readable(fd, BED_TIMEOUT_MS));
                ssize_t n = read(fd, (char *)data + have, size - have);
                CHECK(n > 0);
                have += (size_t)n;
        }
}

void bed_next(struct bed_daemon *d, struct bed_record *ret_record) {
        struct bed_record r = {0};
        receive_all(d->channel, &r.header, sizeof r.header);
        CHECK(r.header.version == VG_ABI_VERSION && r.header.number == d->taken + 1);
        d->taken = r.header.number;
        r.payload = malloc(r.header.length + 1);
        CHECK(r.payload);
        receive_all(d->channel, r.payload, r.header.length);
        r.reader = vg_reader_of(r.payload, r.header.length);
        *ret_record = r;
}

struct bed_record bed_expect(struct bed_daemon *d, enum vg_record type) {
        struct bed_record r;
        bed_next(d, &r);
        if (r.header.type != type)
                fprintf(stderr, "a record of type %d came, not %d\n", r.header.type, type);
        CHECK(r.header.type == type);
        return r;
}

void bed_expect_nothing(struct bed_daemon *d, int ms) {
        CHECK(!readable(d->channel, ms));
}

void bed_record_done(struct bed_record *record) {
        free(record->payload);
        record->payload = NULL;
}

void bed_send_all(int fd, const void *data, size_t size) {
        for (const char *at = data; size > 0;) {
                ssize_t n = send(fd, at, size, MSG_NOSIGNAL);
                CHECK(n > 0);
                at += n;
                size -= (size_t)n;
        }
}

void bed_command_as(struct bed_daemon *d, uint32_t epoch, enum vg_command type, struct vg_writer *payload) {
        CHECK(!payload->error);
        struct vg_record_header h = {
                .length = (uint32_t)payload->size,
                .type = (uint16_t)type,
                .version = VG_ABI_VERSION,
                .epoch = epoch,
        };
        bed_send_all(d->channel, &h, sizeof h);
        if (payload->size > 0)
                bed_send_all(d->channel, payload->data, payload->size);
        vg_writer_done(payload);
}

void bed_command(struct bed_daemon *d, enum vg_command type, struct vg_writer *payload) {
        bed_command_as(d, d->epoch, type, payload);
}

void bed_keyed(struct bed_daemon *d, enum vg_command type, const char *key, const char *bytes) {
        struct vg_writer w = {0};
        vg_put_str(&w, key);
        if (bytes)
                vg_put_str(&w, bytes);
        bed_command(d, type, &w);
}

void bed_receipt(struct bed_daemon *d) {
        struct vg_writer w = {0};
        vg_put_u64(&w, d->taken);
        bed_command(d, VG_CMD_RECEIPT, &w);
}

void bed_say_ready(struct bed_daemon *d) {
        struct vg_writer w = {0};
        bed_receipt(d);
        vg_put_u32(&w, VG_ABI_VERSION);
        bed_command(d, VG_CMD_READY, &w);
}

void bed_ready(struct bed_daemon *d) {
        struct bed_record hello = bed_expect(d, VG_REC_HELLO);
        d->epoch = hello.header.epoch;
        bed_record_done(&hello);
        struct bed_record synced = bed_expect(d, VG_REC_SYNCED);
        bed_record_done(&synced);
        bed_say_ready(d);
}

void bed_start_ready(struct bed *bed, struct bed_daemon *ret_daemon) {
        bed_start(bed);
        bed_daemon_accept(bed, ret_daemon);
        bed_ready(ret_daemon);
}

void bed_daemon_gone(struct bed_daemon *d) {
        close(d->channel);
        close(d->fds);
        close(d->control);
        *d = (struct bed_daemon){.channel = -1, .fds = -1, .control = -1};
}

void bed_daemon_kill(struct bed_daemon *d) {
        CHECK(kill(d->pid, SIGKILL) == 0);
        bed_daemon_gone(d);
}

char *bed_expect_request(struct bed_daemon *d, const char *data, uint32_t deliveries, bool begun) {
        _cleanup_record_ struct bed_record r = bed_expect(d, VG_REC_REQUEST);
        char *key = vg_get_str(&r.reader);
        vg_get_u64(&r.reader);
        vg_get_u64(&r.reader);
        CHECK(vg_get_u32(&r.reader) == deliveries);
        CHECK(vg_get_u8(&r.reader) == begun);
        struct vg_bytes bytes = vg_get_bytes(&r.reader);
        CHECK(vg_reader_end(&r.reader) == 0);
        CHECK(bytes.size == strlen(data) && memcmp(bytes.data, data, bytes.size) == 0);
        return key;
}

int bed_expect_result(struct bed_daemon *d, const char *key) {
        _cleanup_record_ struct bed_record r = bed_expect(d, VG_REC_RESULT);
        _cleanup_free_ char *its = vg_get_str(&r.reader);
        int status = (int32_t)vg_get_u32(&r.reader);
        if (!its || strcmp(its, key) != 0)
                fprintf(stderr, "a result for %s came, not for %s\n", its, key);
        CHECK(its && strcmp(its, key) == 0);
        return status;
}

/* ----------------------------------------------------------------------------------------------------------- processes */

static void put_strings(struct vg_writer *w, const char *const *v) {
        uint32_t n = 0;
        while (v && v[n])
                n++;
        vg_put_u32(w, n);
        for (uint32_t i = 0; i < n; i++)
                vg_put_str(w, v[i]);
}

static void put_child_ops(struct vg_writer *w, const struct bed_birth *b) {
        if (!b->no_start) {
                vg_put_u16(w, VG_OP_WAIT_START);
                vg_put_u16(w, 0);
                vg_put_u32(w, 0);
        }
        vg_put_u16(w, VG_OP_EXEC);
        vg_put_u16(w, 0);
        size_t slot = vg_put_slot(w), from = w->size;
        put_strings(w, (const char *const[]){b->program ? b->program : "/bin/sh", "-c", b->script, NULL});
        put_strings(w, (const char *const[]){"PATH=/usr/bin:/bin", NULL});
        vg_patch_u32(w, slot, (uint32_t)(w->size - from));
}

void bed_give_birth(struct bed_daemon *d, const char *key, struct bed_birth b) {
        struct vg_writer w = {0}, ops = {0};
        put_child_ops(&ops, &b);
        vg_put_str(&w, key);
        vg_put_str(&w, b.container);
        vg_put_str(&w, b.exec);
        vg_put_str(&w, b.teardown);
        vg_put_u8(&w, 0); /* terminal */
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 5000);
        for (int i = 0; i < 3; i++) {
                bool file = i == 1 && b.output;
                vg_put_u8(&w, file ? VG_STREAM_FILE : VG_STREAM_NULL);
                vg_put_str(&w, file ? b.output : "");
        }
        put_strings(&w, NULL); /* logger */
        put_strings(&w, NULL);
        vg_put_u8(&w, 0);
        vg_put_bytes(&w, b.host_ops.data, b.host_ops.size);
        char held[256];
        snprintf(held, sizeof held, "%s/memory.oom_control", b.cgroup ? b.cgroup : "");
        bool watch = b.cgroup && !*b.exec;
        vg_put_u8(&w, watch); /* 1: cgroup v1 */
        vg_put_str(&w, watch ? b.cgroup : "");
        put_strings(&w, watch ? (const char *const[]){held, NULL} : NULL);
        put_strings(&w, NULL);
        vg_put_u64(&w, 0); /* namespaces */
        vg_put_u32(&w, 0);
        vg_put_u64(&w, 0);
        vg_put_u8(&w, b.cgroup ? 1 : 0);
        put_strings(&w, b.cgroup ? (const char *const[]){b.cgroup, NULL} : NULL);
        vg_put_bytes(&w, ops.data, ops.size);
        vg_writer_done(&ops);
        vg_writer_done(&b.host_ops);
        bed_command(d, VG_CMD_BIRTH, &w);
}

static struct bed_record expect_fact(struct bed_daemon *d, enum vg_fact kind, const char *container) {
        struct bed_record r = bed_expect(d, VG_REC_FACT);
        vg_get_u64(&r.reader);
        uint8_t its = vg_get_u8(&r.reader);
        if (its != kind)
                fprintf(stderr, "a fact of kind %d came, not %d\n", its, kind);
        CHECK(its == kind);
        _cleanup_free_ char *name = vg_get_str(&r.reader);
        CHECK(strcmp(name, container) == 0);
        return r;
}

pid_t bed_expect_created(struct bed_daemon *d, const char *key, const char *container) {
        _cleanup_record_ struct bed_record fact = expect_fact(d, VG_FACT_CREATED, container), r = bed_expect(d, VG_REC_RESULT);
        pid_t pid = (pid_t)vg_get_u32(&fact.reader);
        _cleanup_free_ char *its = vg_get_str(&r.reader);
        CHECK(strcmp(its, key) == 0);
        CHECK(vg_get_u32(&r.reader) == 0);
        vg_get_u32(&r.reader);
        free(vg_get_str(&r.reader));
        CHECK(vg_get_u32(&r.reader) == 4 && (pid_t)vg_get_u32(&r.reader) == pid && pid > 1);
        return pid;
}

pid_t bed_expect_started(struct bed_daemon *d, const char *container, const char *exec) {
        _cleanup_record_ struct bed_record fact = expect_fact(d, VG_FACT_STARTED, container);
        _cleanup_free_ char *its = vg_get_str(&fact.reader);
        CHECK(strcmp(its, exec) == 0);
        return (pid_t)vg_get_u32(&fact.reader);
}

uint32_t bed_expect_exited(struct bed_daemon *d, const char *container, const char *exec, bool started) {
        _cleanup_record_ struct bed_record fact = expect_fact(d, VG_FACT_EXITED, container);
        _cleanup_free_ char *its = vg_get_str(&fact.reader);
        CHECK(strcmp(its, exec) == 0);
        vg_get_u32(&fact.reader);
        uint32_t status = vg_get_u32(&fact.reader), number = vg_get_u32(&fact.reader);
        CHECK(number == (status > 128 ? status - 128 : 0));
        vg_get_u64(&fact.reader);
        CHECK(vg_get_u64(&fact.reader) > 0); /* resident set */
        CHECK(vg_get_u8(&fact.reader) == started && vg_reader_end(&fact.reader) == 0);
        return status;
}

void bed_address(struct bed_daemon *d, enum vg_command type, const char *key, const char *container, const char *exec) {
        struct vg_writer w = {0};
        vg_put_str(&w, key);
        vg_put_str(&w, container);
        if (exec)
                vg_put_str(&w, exec);
        bed_command(d, type, &w);
}

void bed_signal(struct bed_daemon *d, const char *key, const char *container, const char *exec, int number) {
        struct vg_writer w = {0};
        vg_put_str(&w, key);
        vg_put_str(&w, container);
        vg_put_str(&w, exec);
        vg_put_u32(&w, (uint32_t)number);
        bed_command(d, VG_CMD_SIGNAL, &w);
}

/* --------------------------------------------------------------------------------------------------------- the clients */

int bed_connect(const struct bed *bed) {
        return connect_to(bed->socket);
}

void bed_send_frame(int fd, uint32_t stream, uint8_t type, uint8_t flags, const char *data) {
        uint8_t header[VG_FRAME_HEADER];
        struct vg_frame frame = {.length = (uint32_t)strlen(data), .stream = stream, .type = type, .flags = flags};
        vg_frame_header(header, &frame);
        bed_send_all(fd, header, sizeof header);
        bed_send_all(fd, data, frame.length);
}

char *bed_expect_response(int fd, uint32_t stream, size_t *ret_size) {
        uint8_t header[VG_FRAME_HEADER];
        uint32_t length, id;
        receive_all(fd, header, sizeof header);
        memcpy(&length, header, sizeof length);
        memcpy(&id, header + 4, sizeof id);
        length = be32toh(length);
        if (be32toh(id) != stream)
                fprintf(stderr, "a response for stream %u came, not for %u\n", be32toh(id), stream);
        CHECK(be32toh(id) == stream && header[8] == VG_FRAME_RESPONSE && header[9] == 0);
        char *body = malloc(length + 1);
        CHECK(body);
        receive_all(fd, body, length);
        body[length] = 0;
        if (ret_size)
                *ret_size = length;
        return body;
}

void bed_expect_status(int fd, uint32_t stream, uint32_t code, const char *words) {
        size_t size;
        _cleanup_free_ char *body = bed_expect_response(fd, stream, &size);
        struct vg_reader response = vg_reader_of(body, size);
        struct vg_pb_field field;
        CHECK(vg_pb_next(&response, &field) && field.number == 1 && field.type == 2);
        struct vg_reader status = vg_reader_of(field.bytes.data, field.bytes.size);
        CHECK(!vg_pb_next(&response, &field));
        CHECK(vg_pb_next(&status, &field) && field.number == 1);
        if (field.value != code)
                fprintf(stderr, "status %u came, not %u\n", (unsigned)field.value, code);
        CHECK(field.value == code);
        CHECK(vg_pb_next(&status, &field) && field.number == 2);
        CHECK(memmem(field.bytes.data, field.bytes.size, words, strlen(words)));
}

void bed_expect_eof(int fd) {
        char byte;
        CHECK(readable(fd, BED_TIMEOUT_MS));
        ssize_t n = read(fd, &byte, 1);
        CHECK(n == 0 || (n < 0 && errno == ECONNRESET));
}
