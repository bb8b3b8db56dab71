/* Deaths at any moment, and nothing that is forgotten on the way. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/journal_read.h"
#include "test/core_bed.h"

/* False: the core has died, perhaps within it. */
static bool put_commit(struct bed_daemon *d, unsigned number) {
        _cleanup_writer_ struct vg_writer w = {0};
        struct vg_record_header header = {.type = VG_CMD_COMMIT, .version = VG_ABI_VERSION, .epoch = d->epoch};
        char key[32];
        vg_put_raw(&w, &header, sizeof header);
        snprintf(key, sizeof key, "t:%u", number);
        vg_put_str(&w, key);
        vg_put_u32(&w, 1);
        vg_put_str(&w, "c");
        vg_put_u8(&w, 1);
        vg_put_bytes(&w, &number, sizeof number);
        vg_put_u32(&w, 1);
        vg_put_u64(&w, 0);
        vg_put_bytes(&w, &number, sizeof number);
        vg_put_u64(&w, 0);
        vg_put_u8(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u8(&w, 1);
        vg_patch_u32(&w, 0, (uint32_t)(w.size - sizeof header)); /* the header begins with the length */
        for (size_t at = 0; at < w.size;) {
                ssize_t n = send(d->channel, w.data + at, w.size - at, MSG_NOSIGNAL);
                if (n <= 0)
                        return false;
                at += (size_t)n;
        }
        return true;
}

struct seen {
        unsigned state, outbox, entries;
};

static int see_state(void *owner, const char *container, bool present, struct vg_bytes blob) {
        struct seen *seen = owner;
        CHECK(strcmp(container, "c") == 0 && present && blob.size == sizeof seen->state);
        memcpy(&seen->state, blob.data, sizeof seen->state);
        return 0;
}

static int see_outbox(void *owner, uint64_t seq, uint64_t fact, struct vg_bytes entry) {
        struct seen *seen = owner;
        CHECK(fact == 0 && entry.size == sizeof seen->outbox);
        memcpy(&seen->outbox, entry.data, sizeof seen->outbox);
        CHECK(seen->outbox == seq);
        seen->entries++;
        return 0;
}

/* State and event of a commit are both there or neither, and of every commit that was answered both. */
static void a_core_killed_at_any_moment_has_whole_commits(void) {
        for (unsigned round = 0; round < 12; round++) {
                struct bed bed;
                struct bed_daemon d;
                bed_start_ready(&bed, &d);
                char directory[128];
                snprintf(directory, sizeof directory, "%s/ns", bed.state);
                _cleanup_free_ char *own = bed_find(directory, "group-");
                pid_t killer = fork();
                if (killer == 0) {
                        poll(NULL, 0, 1 + (int)(round * 3) % 20);
                        kill(bed.core, SIGKILL);
                        _exit(0);
                }
                unsigned sent = 0, answered = 0;
                for (; sent < 100000;) {
                        struct pollfd p = {.fd = d.channel, .events = POLLIN | POLLOUT};
                        CHECK(poll(&p, 1, BED_TIMEOUT_MS) > 0);
                        if (p.revents & POLLIN) {
                                char byte;
                                if (recv(d.channel, &byte, 1, MSG_PEEK) <= 0)
                                        break;
                                struct bed_record r = bed_expect(&d, VG_REC_COMMITTED);
                                free(vg_get_str(&r.reader));
                                CHECK(vg_get_u64(&r.reader) == ++answered);
                                bed_record_done(&r);
                        } else if (p.revents & POLLOUT && sent - answered < 50 && !(p.revents & POLLHUP)) {
                                sent++;
                                if (!put_commit(&d, sent))
                                        break;
                        } else if (p.revents & (POLLHUP | POLLERR)) {
                                break;
                        }
                }
                waitpid(killer, NULL, 0);
                bed_core_wait(&bed);
                struct seen seen = {0};
                const struct vg_journal_visitor visitor = {.owner = &seen, .state = see_state, .outbox = see_outbox};
                char path[PATH_MAX];
                snprintf(path, sizeof path, "%s/journal", own);
                CHECK(vg_journal_read(path, &visitor, NULL) == 0);
                CHECK(seen.state == seen.outbox && seen.entries == seen.state);
                CHECK(seen.state >= answered && seen.state <= sent);
                bed_daemon_gone(&d);
                bed_end(&bed);
        }
}

static unsigned open_descriptors(pid_t pid) {
        char path[64];
        unsigned n = 0;
        snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
        _cleanup_closedir_ DIR *directory = opendir(path);
        CHECK(directory);
        while (readdir(directory))
                n++;
        return n;
}

static void one_of_everything(struct bed *bed, struct bed_daemon *d) {
        char output[128];
        snprintf(output, sizeof output, "%s/output", bed->directory);
        int fd = bed_connect(bed), http = bed_connect(bed);
        bed_send_frame(fd, 1, 1, 0, "x");
        free(bed_expect_request(d, "x", 1, false));
        bed_send_all(http, "PRI", 3);
        struct bed_record r = bed_expect(d, VG_REC_CONNECTION);
        bed_record_done(&r);
        uint64_t tag;
        char space[CMSG_SPACE(sizeof(int))];
        struct iovec part = {&tag, sizeof tag};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
        CHECK(recvmsg(d->fds, &m, MSG_CMSG_CLOEXEC) == sizeof tag);
        int theirs;
        memcpy(&theirs, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof theirs);
        close(theirs);
        close(http);
        close(fd);
        r = bed_expect(d, VG_REC_CLOSED);
        bed_record_done(&r);
        bed_give_birth(d, "t:1",
                       (struct bed_birth){.container = "c",
                                          .exec = "",
                                          .script = "exec sleep 1000",
                                          .teardown = "vigil-teardown 1\n",
                                          .output = output});
        bed_expect_created(d, "t:1", "c");
        bed_address(d, VG_CMD_START, "t:2", "c", NULL);
        bed_expect_started(d, "c", "");
        CHECK(bed_expect_result(d, "t:2") == 0);
        bed_give_birth(d, "t:3",
                       (struct bed_birth){.container = "c", .exec = "e", .script = "exit 0", .teardown = "", .output = output});
        bed_expect_started(d, "c", "e");
        CHECK(bed_expect_result(d, "t:3") == 0);
        bed_expect_exited(d, "c", "e", true);
        bed_give_birth(d, "t:4",
                       (struct bed_birth){.container = "c", .exec = "f", .program = "/nowhere", .script = "", .teardown = ""});
        CHECK(bed_expect_result(d, "t:4") == -ENOENT);
        bed_signal(d, "t:5", "c", "", SIGKILL);
        CHECK(bed_expect_result(d, "t:5") == 0);
        bed_expect_exited(d, "c", "", true);
        bed_address(d, VG_CMD_FORGET, "t:6", "c", "");
        CHECK(bed_expect_result(d, "t:6") == 0);
        static const char *const keys[] = {"t:1", "t:2", "t:3", "t:4", "t:5", "t:6"};
        for (size_t i = 0; i < VG_COUNT(keys); i++)
                bed_keyed(d, VG_CMD_REPLY, keys[i], "");
        bed_receipt(d);
}

static void no_descriptor_is_left_behind(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        one_of_everything(&bed, &d);
        unsigned before = open_descriptors(bed.core);
        for (int i = 0; i < 10; i++)
                one_of_everything(&bed, &d);
        CHECK(open_descriptors(bed.core) == before);
        bed_daemon_kill(&d);
        bed_daemon_accept(&bed, &d);
        bed_record_done(&(struct bed_record){.payload = bed_expect(&d, VG_REC_HELLO).payload});
        CHECK(open_descriptors(bed.core) == before);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void results_of_no_request_are_forgotten_at_last(void) {
        struct bed bed;
        struct bed_daemon d;
        char key[32];
        bed_start_ready(&bed, &d);
        for (unsigned i = 0; i < 9000; i++) { /* VG_KEPT_MAX and some */
                snprintf(key, sizeof key, "f:%u/signal", i);
                bed_signal(&d, key, "none", "", SIGKILL);
                CHECK(bed_expect_result(&d, key) == -ESRCH);
                if (i % 100 == 0)
                        bed_receipt(&d);
        }
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void strangers_are_not_served(void) {
        struct bed bed;
        struct bed_daemon d;
        if (geteuid() != 0) {
                printf("skipped: strangers: only root can become one\n");
                return;
        }
        bed_start_ready(&bed, &d);
        CHECK(chmod(bed.directory, 0755) == 0 && chmod(bed.socket, 0777) == 0);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                CHECK(setuid(65534) == 0);
                int fd = bed_connect(&bed);
                send(fd, "\0\0\0\0\0\0\0\1\1\0", 10, MSG_NOSIGNAL);
                bed_expect_eof(fd);
                exit(EXIT_SUCCESS);
        }
        int status;
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        bed_expect_nothing(&d, 50);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

int main(int argc, char **argv) {
        bed_roles(argc, argv);
        static void (*const tests[])(void) = {
                a_core_killed_at_any_moment_has_whole_commits,
                no_descriptor_is_left_behind,
                results_of_no_request_are_forgotten_at_last,
                strangers_are_not_served,
        };
        return bed_run(tests, VG_COUNT(tests), argc, argv);
}
