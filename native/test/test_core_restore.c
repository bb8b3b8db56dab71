/* An init that CRIU restores. CRIU is this program itself, which does what the file "act" among the images says. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/protobuf.h"
#include "test/core_bed.h"

/* ---- the role of CRIU (images/rpc.proto of CRIU) ---- */

struct request {
        uint64_t type;
        int images, work, inherited;
        char key[32], root[16];
};

static struct request read_request(int fd) {
        static uint8_t data[4096];
        ssize_t size = recv(fd, data, sizeof data, 0);
        CHECK(size > 0);
        struct request q = {.images = -1, .work = -1, .inherited = -1};
        struct vg_reader r = vg_reader_of(data, (size_t)size);
        struct vg_pb_field f, g, h;
        while (vg_pb_next(&r, &f)) {
                if (f.number == 1)
                        q.type = f.value;
                if (f.number != 2)
                        continue;
                struct vg_reader options = vg_reader_of(f.bytes.data, f.bytes.size);
                while (vg_pb_next(&options, &g)) {
                        if (g.number == 1)
                                q.images = (int)g.value;
                        if (g.number == 13)
                                snprintf(q.root, sizeof q.root, "%.*s", (int)g.bytes.size, (const char *)g.bytes.data);
                        if (g.number == 17)
                                q.work = (int)g.value;
                        if (g.number != 27)
                                continue;
                        CHECK(q.inherited < 0);
                        struct vg_reader inherit = vg_reader_of(g.bytes.data, g.bytes.size);
                        while (vg_pb_next(&inherit, &h)) {
                                if (h.number == 1)
                                        snprintf(q.key, sizeof q.key, "%.*s", (int)h.bytes.size, (const char *)h.bytes.data);
                                else
                                        q.inherited = (int)h.value;
                        }
                }
                CHECK(!options.error);
        }
        CHECK(!r.error);
        return q;
}

static void send_with(int fd, struct vg_writer *w, int passed) {
        char control[CMSG_SPACE(sizeof passed)] = {0};
        struct iovec part = {w->data, w->size};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
        if (passed >= 0) {
                m.msg_control = control;
                m.msg_controllen = sizeof control;
                struct cmsghdr *c = CMSG_FIRSTHDR(&m);
                *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof passed)};
                memcpy(CMSG_DATA(c), &passed, sizeof passed);
        }
        CHECK(sendmsg(fd, &m, 0) == (ssize_t)w->size);
        vg_writer_done(w);
}

/* "orphan-pts-master"; the slave is the child's. */
static int notify_terminal(int fd) {
        int master = posix_openpt(O_RDWR | O_NOCTTY);
        CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
        int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
        CHECK(slave >= 0);
        struct vg_writer w = {0};
        vg_pb_varint(&w, 1, 6);
        vg_pb_varint(&w, 2, 1);
        send_with(fd, &w, master);
        uint8_t answer[16];
        static const uint8_t success[] = {1 << 3, 6, 3 << 3, 1};
        CHECK(recv(fd, answer, sizeof answer, 0) == sizeof success && memcmp(answer, success, sizeof success) == 0);
        close(master);
        return slave;
}

static int play_criu(int fd) {
        struct request q = read_request(fd);
        char act[16] = "";
        int file = openat(q.images, "act", O_RDONLY);
        CHECK(q.type == 2 && strcmp(q.root, "/from-options") == 0 && fcntl(q.work, F_GETFD) >= 0);
        CHECK(file >= 0 && read(file, act, sizeof act - 1) > 0);
        struct vg_writer w = {0}, restored = {0};
        vg_pb_varint(&w, 1, 2);
        if (strcmp(act, "fail") == 0) {
                vg_pb_string(&w, 9, "no such luck");
                send_with(fd, &w, -1);
                return 1;
        }
        int out = strcmp(act, "terminal") == 0 ? notify_terminal(fd) : q.inherited;
        CHECK(out >= 0 && (strcmp(act, "terminal") == 0 || strcmp(q.key, "pipe:[1]") == 0));
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                CHECK(write(out, "restored\n", 9) == 9);
                if (strcmp(act, "die") == 0)
                        _exit(7);
                for (;;)
                        pause();
        }
        siginfo_t info;
        if (strcmp(act, "die") == 0)
                CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
        vg_pb_varint(&restored, 1, (uint64_t)pid);
        vg_pb_varint(&w, 2, 1);
        vg_pb_message(&w, 4, &restored);
        vg_writer_done(&restored);
        send_with(fd, &w, -1);
        return 0;
}

/* ---- the tests ---- */

static void put_path(struct vg_writer *w, const struct bed *bed, const char *name) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", bed->directory, name);
        vg_put_str(w, path);
}

static void put_undo(struct vg_writer *w, const struct bed *bed) {
        struct vg_writer ops = {0};
        vg_put_u16(&ops, VG_OP_FILE);
        vg_put_u16(&ops, 0);
        size_t slot = vg_put_slot(&ops), from = ops.size;
        put_path(&ops, bed, "undone");
        vg_put_u32(&ops, 0600);
        vg_put_bytes(&ops, "", 0);
        vg_patch_u32(&ops, slot, (uint32_t)(ops.size - from));
        vg_put_bytes(w, ops.data, ops.size);
        vg_writer_done(&ops);
}

struct restore {
        const char *act, *program;
        bool terminal;
};

/* The stream goes to the file "out"; root, images and work are directories of the bed's. */
static void give_restore(struct bed *bed, struct bed_daemon *d, const char *key, struct restore how) {
        char self[PATH_MAX] = "", path[128];
        CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
        static const char *const directories[] = {"root", "images", "work"};
        for (size_t i = 0; i < VG_COUNT(directories); i++) {
                snprintf(path, sizeof path, "%s/%s", bed->directory, directories[i]);
                CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
        }
        snprintf(path, sizeof path, "%s/images/act", bed->directory);
        FILE *act = fopen(path, "we");
        CHECK(act && fputs(how.act, act) >= 0 && fclose(act) == 0);

        struct vg_writer w = {0}, options = {0};
        vg_put_str(&w, key);
        vg_put_str(&w, "c");
        vg_put_str(&w, "");
        vg_put_str(&w, ""); /* teardown */
        vg_put_u8(&w, how.terminal);
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 5000);
        vg_put_u8(&w, VG_STREAM_NULL);
        vg_put_str(&w, "");
        vg_put_u8(&w, VG_STREAM_FILE);
        put_path(&w, bed, "out");
        vg_put_u8(&w, VG_STREAM_NULL);
        vg_put_str(&w, "");
        vg_put_u32(&w, 0); /* logger */
        vg_put_u32(&w, 0);
        vg_put_u8(&w, 0);
        vg_put_bytes(&w, "", 0); /* host ops */
        vg_put_u8(&w, 0);        /* watch */
        vg_put_str(&w, "");
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u64(&w, 0); /* namespaces */
        vg_put_u32(&w, 0);
        vg_put_u64(&w, 0);
        vg_put_u8(&w, 0); /* cgroup */
        vg_put_u32(&w, 0);
        vg_put_bytes(&w, "", 0); /* child ops */

        vg_put_str(&w, how.program ? how.program : self);
        vg_put_u32(&w, 2);
        vg_pb_string(&options, 13, "/from-options");
        vg_put_bytes(&w, options.data, options.size);
        vg_writer_done(&options);
        put_path(&w, bed, "images");
        put_path(&w, bed, "work");
        vg_put_u32(&w, 60000);
        put_path(&w, bed, "root");
        vg_put_u32(&w, 3);
        vg_put_str(&w, "");
        vg_put_str(&w, how.terminal ? "" : "pipe:[1]");
        vg_put_str(&w, "");
        vg_put_u32(&w, 1);
        vg_put_str(&w, "/a/directory");
        vg_put_u32(&w, 1);
        vg_put_str(&w, "/a/file");
        put_undo(&w, bed);
        bed_command(d, VG_CMD_RESTORE, &w);
}

static void expect_restored(struct bed_daemon *d, const char *key) {
        _cleanup_record_ struct bed_record created = bed_expect(d, VG_REC_FACT);
        vg_get_u64(&created.reader);
        CHECK(vg_get_u8(&created.reader) == VG_FACT_CREATED);
        CHECK(bed_expect_started(d, "c", "") > 1);
        CHECK(bed_expect_result(d, key) == 0);
}

static void await_output(const struct bed *bed, const char *text) {
        for (uint64_t end = bed_now_ms() + BED_TIMEOUT_MS;; poll(NULL, 0, 5)) {
                _cleanup_free_ char *out = bed_read("%s/out", bed->directory);
                if (out && strcmp(out, text) == 0)
                        return;
                CHECK(bed_now_ms() < end);
        }
}

static void end(struct bed *bed, struct bed_daemon *d) {
        bed_address(d, VG_CMD_FORGET, "t:f/forget", "c", "");
        CHECK(bed_expect_result(d, "t:f/forget") == 0);
        bed_daemon_gone(d);
        bed_end(bed);
}

static void lives(struct restore how, const char *output) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        give_restore(&bed, &d, "t:1/birth", how);
        expect_restored(&d, "t:1/birth");
        await_output(&bed, output);
        CHECK(bed_exists(&bed, "root/a/directory") && bed_exists(&bed, "root/a/file") && !bed_exists(&bed, "undone"));
        bed_signal(&d, "t:2/signal", "c", "", SIGKILL);
        CHECK(bed_expect_result(&d, "t:2/signal") == 0);
        CHECK(bed_expect_exited(&d, "c", "", true) == 128 + SIGKILL);
        end(&bed, &d);
}

static void its_streams_are_the_new_ones(void) {
        lives((struct restore){.act = "live"}, "restored\n");
}

static void its_terminal_comes_from_criu(void) {
        lives((struct restore){.act = "terminal", .terminal = true}, "restored\r\n");
}

static void a_death_before_criu_ends_comes_after_the_start(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        give_restore(&bed, &d, "t:1/birth", (struct restore){.act = "die"});
        expect_restored(&d, "t:1/birth");
        CHECK(bed_expect_exited(&d, "c", "", true) == 7);
        end(&bed, &d);
}

static void fails(struct restore how, int status, const char *words) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        give_restore(&bed, &d, "t:1/birth", how);
        _cleanup_record_ struct bed_record r = bed_expect(&d, VG_REC_RESULT);
        free(vg_get_str(&r.reader));
        CHECK((int)vg_get_u32(&r.reader) == status);
        vg_get_u32(&r.reader);
        _cleanup_free_ char *message = vg_get_str(&r.reader);
        CHECK(strstr(message, words) && bed_exists(&bed, "undone"));
        /* It is as if it had never been. */
        give_restore(&bed, &d, "t:2/birth", (struct restore){.act = "live"});
        expect_restored(&d, "t:2/birth");
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void a_failure_has_the_words_of_criu(void) {
        fails((struct restore){.act = "fail"}, -EREMOTEIO, ": no such luck");
}

static void criu_may_be_missing(void) {
        fails((struct restore){.act = "live", .program = "no-criu"}, -ENOENT,
              "exec: \"no-criu\": executable file not found in $PATH");
}

int main(int argc, char **argv) {
        if (argc == 3 && strcmp(argv[1], "swrk") == 0)
                return play_criu(atoi(argv[2]));
        bed_roles(argc, argv);
        if (geteuid() != 0) {
                printf("skipped: mount namespaces are made by root only\n");
                return 77;
        }
        static void (*const tests[])(void) = {
                its_streams_are_the_new_ones,    its_terminal_comes_from_criu, a_death_before_criu_ends_comes_after_the_start,
                a_failure_has_the_words_of_criu, criu_may_be_missing,
        };
        return bed_run(tests, VG_COUNT(tests), argc, argv);
}
