/* How a core ends, and what it leaves. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/core_bed.h"

static void shutdown_core(struct bed_daemon *d) {
        struct vg_writer w = {0};
        bed_command(d, VG_CMD_SHUTDOWN, &w);
}

static void commit_event(struct bed_daemon *d, const char *key) {
        struct vg_writer w = {0};
        vg_put_str(&w, key);
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 1);
        vg_put_u64(&w, 0);
        vg_put_str(&w, "TaskDelete");
        vg_put_u64(&w, 0);
        vg_put_u8(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u8(&w, 1);
        bed_command(d, VG_CMD_COMMIT, &w);
        struct bed_record r = bed_expect(d, VG_REC_COMMITTED);
        bed_record_done(&r);
}

static void clean(int status) {
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                fprintf(stderr, "wait status %x\n", (unsigned)status);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0); /* a leak would be reported with another one */
}

static bool state_is_empty(const struct bed *bed) {
        char directory[128];
        snprintf(directory, sizeof directory, "%s/ns", bed->state);
        _cleanup_free_ char *own = bed_find(directory, "group-");
        return !own;
}

static void shutdown_answers_first_and_leaves_nothing(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_prepare(&bed);
        bed_register(&bed, "group", "group");
        bed_go(&bed);
        bed_daemon_accept(&bed, &d);
        bed_ready(&d);
        bed_give_birth(&d, "t:1",
                       (struct bed_birth){.container = "group", .exec = "", .script = "exit 0", .teardown = "vigil-teardown 1\n"});
        bed_expect_created(&d, "t:1", "group");
        shutdown_core(&d); /* too early: a container lives */
        bed_signal(&d, "t:2", "group", "", SIGKILL);
        CHECK(bed_expect_result(&d, "t:2") == 0);
        bed_expect_exited(&d, "group", "", false);
        bed_address(&d, VG_CMD_FORGET, "t:3", "group", "");
        CHECK(bed_expect_result(&d, "t:3") == 0);
        struct vg_writer w = {0};
        vg_put_str(&w, "f:1");
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u64(&w, 2);
        vg_put_u8(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u8(&w, 1);
        bed_command(&d, VG_CMD_COMMIT, &w);
        bed_record_done(&(struct bed_record){.payload = bed_expect(&d, VG_REC_COMMITTED).payload});

        int fd = bed_connect(&bed);
        bed_send_frame(fd, 1, 1, 0, "shutdown");
        _cleanup_free_ char *key = bed_expect_request(&d, "shutdown", 1, false);
        bed_keyed(&d, VG_CMD_REPLY, key, "goodbye");
        shutdown_core(&d);
        _cleanup_free_ char *reply = bed_expect_response(fd, 1, NULL);
        CHECK(strcmp(reply, "goodbye") == 0);
        bed_expect_eof(d.channel);
        bed_expect_eof(fd);
        bed_daemon_gone(&d);
        clean(bed_core_wait(&bed));
        CHECK(!bed_exists(&bed, "s"));
        CHECK(!bed_exists(&bed, "run/cores/ns/group/core") && bed_exists(&bed, "run/cores/ns/group/shim"));
        CHECK(state_is_empty(&bed));
        close(fd);
        bed_end(&bed);
}

static void what_is_not_delivered_stays(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        commit_event(&d, "t:1");
        bed_daemons_exit(&bed, 1);
        shutdown_core(&d);
        poll(NULL, 0, 100);
        CHECK(bed_core_alive(&bed));
        bed_daemon_kill(&d); /* and nobody comes after it */
        clean(bed_core_wait(&bed));
        CHECK(!state_is_empty(&bed));
        bed_end(&bed);
}

static void what_is_delivered_meanwhile_goes(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        commit_event(&d, "t:1");
        shutdown_core(&d);
        poll(NULL, 0, 50);
        CHECK(!bed_exists(&bed, "s"));
        struct vg_writer w = {0};
        vg_put_u64(&w, 1);
        bed_command(&d, VG_CMD_DELIVERED, &w);
        bed_expect_eof(d.channel);
        bed_daemon_gone(&d);
        clean(bed_core_wait(&bed));
        CHECK(state_is_empty(&bed));
        bed_end(&bed);
}

static void a_later_daemon_delivers_the_rest(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        commit_event(&d, "t:1");
        shutdown_core(&d);
        poll(NULL, 0, 50);
        bed_daemon_kill(&d);
        bed_daemon_accept(&bed, &d);
        struct bed_record r = bed_expect(&d, VG_REC_HELLO);
        d.epoch = r.header.epoch;
        bed_record_done(&r);
        r = bed_expect(&d, VG_REC_OUTBOX);
        bed_record_done(&r);
        r = bed_expect(&d, VG_REC_SYNCED);
        bed_record_done(&r);
        struct vg_writer w = {0};
        vg_put_u64(&w, 1);
        bed_command(&d, VG_CMD_DELIVERED, &w);
        bed_expect_eof(d.channel);
        bed_daemon_gone(&d);
        clean(bed_core_wait(&bed));
        CHECK(state_is_empty(&bed));
        bed_end(&bed);
}

static void reports_stay(void) {
        struct bed bed;
        struct bed_daemon d;
        char directory[128], path[256];
        bed_start_ready(&bed, &d);
        snprintf(directory, sizeof directory, "%s/ns", bed.state);
        _cleanup_free_ char *own = bed_find(directory, "group-");
        snprintf(path, sizeof path, "%s/reports", own);
        CHECK(mkdir(path, 0700) == 0);
        shutdown_core(&d);
        bed_expect_eof(d.channel);
        bed_daemon_gone(&d);
        clean(bed_core_wait(&bed));
        snprintf(path, sizeof path, "%s/journal", own);
        CHECK(!state_is_empty(&bed) && access(path, F_OK) < 0);
        bed_end(&bed);
}

static void a_container_that_is_to_come_keeps_it_alive(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        bed_register(&bed, "second", "group");
        bed_register(&bed, "foreign", "another");
        shutdown_core(&d);
        poll(NULL, 0, 100);
        CHECK(bed_core_alive(&bed) && bed_exists(&bed, "s"));
        int fd = bed_connect(&bed);
        bed_send_frame(fd, 1, 1, 0, "create");
        _cleanup_free_ char *key = bed_expect_request(&d, "create", 1, false);
        bed_give_birth(&d, "t:1", (struct bed_birth){.container = "second", .exec = "", .script = "exit 0", .teardown = ""});
        bed_expect_created(&d, "t:1", "second");
        bed_keyed(&d, VG_CMD_REPLY, key, "created");
        free(bed_expect_response(fd, 1, NULL));
        poll(NULL, 0, 1200); /* it has looked again meanwhile */
        CHECK(bed_core_alive(&bed));
        bed_signal(&d, "t:2", "second", "", SIGKILL);
        CHECK(bed_expect_result(&d, "t:2") == 0);
        bed_expect_exited(&d, "second", "", false);
        bed_address(&d, VG_CMD_FORGET, "t:3", "second", "");
        CHECK(bed_expect_result(&d, "t:3") == 0);
        shutdown_core(&d); /* asked again, as every Shutdown does */
        bed_expect_eof(d.channel);
        bed_daemon_gone(&d);
        clean(bed_core_wait(&bed));
        close(fd);
        bed_end(&bed);
}

static void a_registration_that_goes_lets_it_end(void) {
        struct bed bed;
        struct bed_daemon d;
        char path[256];
        bed_start_ready(&bed, &d);
        bed_register(&bed, "second", "group");
        shutdown_core(&d);
        poll(NULL, 0, 50);
        CHECK(bed_core_alive(&bed));
        snprintf(path, sizeof path, "%s/cores/ns/second/shim", bed.run);
        CHECK(unlink(path) == 0); /* as `delete` does after a Create that failed */
        bed_expect_eof(d.channel);
        bed_daemon_gone(&d);
        clean(bed_core_wait(&bed));
        bed_end(&bed);
}

static void it_waits_for_the_group_lock(void) {
        struct bed bed;
        struct bed_daemon d;
        char path[256];
        bed_start_ready(&bed, &d);
        snprintf(path, sizeof path, "%s/cores/ns/group.lock", bed.run);
        int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        CHECK(lock >= 0 && flock(lock, LOCK_EX) == 0);
        shutdown_core(&d);
        poll(NULL, 0, 100);
        CHECK(bed_exists(&bed, "s"));
        close(lock);
        bed_expect_eof(d.channel);
        bed_daemon_gone(&d);
        clean(bed_core_wait(&bed));
        bed_end(&bed);
}

static void a_signal_is_told_to_the_daemon(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start(&bed);
        bed_daemon_accept(&bed, &d);
        CHECK(kill(bed.core, SIGTERM) == 0); /* before there is anybody to tell */
        poll(NULL, 0, 20);
        bed_ready(&d);
        _cleanup_record_ struct bed_record r = bed_expect(&d, VG_REC_TERMINATE);
        CHECK(vg_get_u32(&r.reader) == SIGTERM && vg_reader_end(&r.reader) == 0);
        shutdown_core(&d);
        bed_expect_eof(d.channel);
        bed_daemon_gone(&d);
        clean(bed_core_wait(&bed));
        bed_end(&bed);
}

static void a_signal_ends_a_core_that_can_have_no_daemon(void) {
        struct bed bed;
        bed_prepare(&bed);
        bed_daemons_exit(&bed, 1);
        bed_go(&bed);
        while (!bed_exists(&bed, "run/cores/ns/group/core"))
                poll(NULL, 0, 5);
        CHECK(kill(bed.core, SIGTERM) == 0);
        clean(bed_core_wait(&bed));
        bed_end(&bed);
}

static void a_daemon_that_stays_is_ended(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        CHECK(kill(d.pid, SIGSTOP) == 0);
        shutdown_core(&d); /* the test speaks for it */
        clean(bed_core_wait(&bed));
        /* Reaped by the core, or by us, to whom it came then. */
        for (uint64_t end = bed_now_ms() + 2000; kill(d.pid, 0) == 0; poll(NULL, 0, 5)) {
                waitpid(d.pid, NULL, WNOHANG);
                CHECK(bed_now_ms() < end);
        }
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void its_death_is_the_end_of_the_stream(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        int fd = bed_connect(&bed);
        CHECK(kill(bed.core, SIGKILL) == 0);
        bed_core_wait(&bed);
        bed_expect_eof(d.channel);
        bed_expect_eof(fd);
        close(fd);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

int main(int argc, char **argv) {
        bed_roles(argc, argv);
        static void (*const tests[])(void) = {
                shutdown_answers_first_and_leaves_nothing,
                what_is_not_delivered_stays,
                what_is_delivered_meanwhile_goes,
                a_later_daemon_delivers_the_rest,
                reports_stay,
                a_container_that_is_to_come_keeps_it_alive,
                a_registration_that_goes_lets_it_end,
                it_waits_for_the_group_lock,
                a_signal_is_told_to_the_daemon,
                a_signal_ends_a_core_that_can_have_no_daemon,
                a_daemon_that_stays_is_ended,
                its_death_is_the_end_of_the_stream,
        };
        return argc > 1 ? bed_run(tests, VG_COUNT(tests), argc, argv) : bed_run_together(tests, VG_COUNT(tests));
}
