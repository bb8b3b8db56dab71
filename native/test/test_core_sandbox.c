/* A core whose namespaces are a pod's. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/core_bed.h"

static void sandbox(struct bed_daemon *d, const char *key, const char *network, bool own, const char *hostname) {
        struct vg_writer w = {0};
        vg_put_str(&w, key);
        vg_put_str(&w, "group");
        vg_put_str(&w, network);
        vg_put_u8(&w, own);
        vg_put_u8(&w, own);
        vg_put_str(&w, hostname);
        bed_command(d, VG_CMD_SANDBOX, &w);
}

static bool shares(pid_t one, pid_t other, const char *kind) {
        char path[64], a[64] = "", b[64] = "";
        snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)one, kind);
        CHECK(readlink(path, a, sizeof a - 1) > 0);
        snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)other, kind);
        CHECK(readlink(path, b, sizeof b - 1) > 0);
        return strcmp(a, b) == 0;
}

/* A process in a network namespace of its own, until it is killed. */
static pid_t somewhere_else(void) {
        int ready[2];
        char byte;
        CHECK(pipe(ready) == 0);
        pid_t pid = fork();
        if (pid == 0) {
                CHECK(unshare(CLONE_NEWNET) == 0 && write(ready[1], "", 1) == 1);
                for (;;)
                        pause();
        }
        close(ready[1]);
        CHECK(pid > 0 && read(ready[0], &byte, 1) == 1);
        close(ready[0]);
        return pid;
}

static void its_namespaces_are_the_pods(void) {
        struct bed bed;
        struct bed_daemon d;
        char before[65] = "", after[65] = "", network[64];
        bed_start_ready(&bed, &d);
        CHECK(gethostname(before, sizeof before) == 0);
        pid_t other = somewhere_else();
        snprintf(network, sizeof network, "/proc/%d/ns/net", (int)other);
        sandbox(&d, "t:1/enter", network, true, "pod-of-the-test");
        CHECK(bed_expect_result(&d, "t:1/enter") == 0);
        CHECK(shares(bed.core, other, "net") && !shares(bed.core, getpid(), "net"));
        CHECK(!shares(bed.core, getpid(), "ipc") && !shares(bed.core, getpid(), "uts"));
        CHECK(shares(bed.core, getpid(), "pid") && shares(bed.core, getpid(), "mnt"));
        CHECK(gethostname(after, sizeof after) == 0 && strcmp(before, after) == 0);
        sandbox(&d, "t:1/enter", network, true, "pod-of-the-test"); /* said again by the next daemon */
        CHECK(bed_expect_result(&d, "t:1/enter") == 0);

        /* A child of the core has them, too. */
        bed_give_birth(
                &d, "t:2",
                (struct bed_birth){.container = "c", .exec = "", .script = "[ `hostname` = pod-of-the-test ]", .teardown = ""});
        pid_t child = bed_expect_created(&d, "t:2", "c");
        CHECK(shares(child, other, "net") && shares(child, bed.core, "ipc"));
        bed_address(&d, VG_CMD_START, "t:3", "c", NULL);
        bed_expect_started(&d, "c", "");
        CHECK(bed_expect_result(&d, "t:3") == 0);
        CHECK(bed_expect_exited(&d, "c", "", true) == 0);
        kill(other, SIGKILL);
        waitpid(other, NULL, 0);
        bed_end(&bed);
}

static void what_fails_leaves_it_where_it_was(void) {
        struct bed bed;
        struct bed_daemon d;
        char ipc[64];
        bed_start_ready(&bed, &d);
        sandbox(&d, "t:1/enter", "/nonexistent", true, "");
        CHECK(bed_expect_result(&d, "t:1/enter") == -ENOENT);
        sandbox(&d, "t:2/enter", "/dev/null", true, "");
        CHECK(bed_expect_result(&d, "t:2/enter") == -EINVAL);
        snprintf(ipc, sizeof ipc, "/proc/%d/ns/ipc", (int)getpid());
        sandbox(&d, "t:3/enter", ipc, true, "");
        CHECK(bed_expect_result(&d, "t:3/enter") == -EINVAL);
        sandbox(&d, "t:4/enter", "", false, "the-machine");
        CHECK(bed_expect_result(&d, "t:4/enter") == -EINVAL);
        char longer[66] = "";
        memset(longer, 'x', sizeof longer - 1);
        sandbox(&d, "t:5/enter", "", true, longer);
        CHECK(bed_expect_result(&d, "t:5/enter") == -EINVAL);
        const char *const kinds[] = {"net", "ipc", "uts"};
        for (size_t i = 0; i < VG_COUNT(kinds); i++)
                CHECK(shares(bed.core, getpid(), kinds[i]));
        bed_end(&bed);
}

static void a_pod_on_the_machines_network_shares_all(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        sandbox(&d, "t:1/enter", "", false, "");
        CHECK(bed_expect_result(&d, "t:1/enter") == 0);
        const char *const kinds[] = {"net", "ipc", "uts"};
        for (size_t i = 0; i < VG_COUNT(kinds); i++)
                CHECK(shares(bed.core, getpid(), kinds[i]));
        bed_end(&bed);
}

static void its_registration_does_not_keep_it(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_prepare(&bed);
        bed_register(&bed, "group", "group");
        bed_go(&bed);
        bed_daemon_accept(&bed, &d);
        bed_ready(&d);
        sandbox(&d, "t:1/enter", "", false, "");
        CHECK(bed_expect_result(&d, "t:1/enter") == 0);
        struct vg_writer w = {0};
        bed_command(&d, VG_CMD_SHUTDOWN, &w);
        bed_expect_eof(d.channel);
        bed_daemon_gone(&d);
        int status = bed_core_wait(&bed);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        bed_end(&bed);
}

int main(int argc, char **argv) {
        bed_roles(argc, argv);
        if (geteuid() != 0) {
                printf("skipped: namespaces are made by root only\n");
                return 77;
        }
        static void (*const tests[])(void) = {
                its_namespaces_are_the_pods,
                what_fails_leaves_it_where_it_was,
                a_pod_on_the_machines_network_shares_all,
                its_registration_does_not_keep_it,
        };
        return argc > 1 ? bed_run(tests, VG_COUNT(tests), argc, argv) : bed_run_together(tests, VG_COUNT(tests));
}
