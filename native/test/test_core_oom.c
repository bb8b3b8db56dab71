/* A kill by the kernel is told before the exit that it explains. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/core_bed.h"

#define CONTROLLER "/sys/fs/cgroup/memory"

static char cgroup[64];

static void put(const char *file, const char *value) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", cgroup, file);
        _cleanup_fclose_ FILE *f = fopen(path, "we");
        CHECK(f && fputs(value, f) >= 0 && fflush(f) == 0);
}

static void make_cgroup(const char *limit) {
        snprintf(cgroup, sizeof cgroup, "%s/vigil-test-core-%d", CONTROLLER, (int)getpid());
        CHECK(mkdir(cgroup, 0755) == 0);
        put("memory.limit_in_bytes", limit);
}

static void remove_cgroup(void) {
        for (uint64_t end = bed_now_ms() + 2000; rmdir(cgroup) < 0; poll(NULL, 0, 5))
                CHECK(errno == EBUSY && bed_now_ms() < end);
}

/* Kills of an OOM fact, which must be the next record. */
static uint64_t expect_oom(struct bed_daemon *d, pid_t init, const char *exec, bool last) {
        _cleanup_record_ struct bed_record r = bed_expect(d, VG_REC_FACT);
        vg_get_u64(&r.reader);
        CHECK(vg_get_u8(&r.reader) == VG_FACT_OOM);
        _cleanup_free_ char *name = vg_get_str(&r.reader);
        CHECK(strcmp(name, "c") == 0);
        uint64_t kills = vg_get_u64(&r.reader), total = vg_get_u64(&r.reader);
        CHECK(kills > 0 && total >= kills && vg_get_u64(&r.reader) > 0 && vg_get_u64(&r.reader) > 0);
        uint32_t held = vg_get_u32(&r.reader);
        CHECK(held == 1);
        _cleanup_free_ char *path = vg_get_str(&r.reader);
        CHECK(strstr(path, "memory.oom_control"));
        vg_get_bytes(&r.reader);
        vg_get_bytes(&r.reader);
        CHECK(vg_get_u32(&r.reader) == 0);
        for (uint32_t lines = vg_get_u32(&r.reader); lines > 0; lines--)
                vg_get_bytes(&r.reader);
        CHECK(vg_get_u8(&r.reader) == last && (pid_t)vg_get_u32(&r.reader) == init);
        CHECK(vg_get_u32(&r.reader) == (exec ? 1 : 0));
        if (exec) {
                _cleanup_free_ char *its = vg_get_str(&r.reader);
                CHECK(strcmp(its, exec) == 0 && vg_get_u32(&r.reader) > 1);
        }
        CHECK(vg_reader_end(&r.reader) == 0);
        return kills;
}

static pid_t start(struct bed_daemon *d, const char *script) {
        char teardown[256];
        snprintf(teardown, sizeof teardown, "vigil-teardown 1\nmemory 1 %s/memory.oom_control oom_kill 77\n", cgroup);
        bed_give_birth(d, "t:1",
                       (struct bed_birth){.container = "c", .exec = "", .script = script, .teardown = teardown, .cgroup = cgroup});
        pid_t init = bed_expect_created(d, "t:1", "c");
        bed_address(d, VG_CMD_START, "t:2", "c", NULL);
        bed_expect_started(d, "c", "");
        CHECK(bed_expect_result(d, "t:2") == 0);
        return init;
}

static void the_init_itself(void) {
        struct bed bed;
        struct bed_daemon d;
        make_cgroup("16M");
        bed_start_ready(&bed, &d);
        pid_t init = start(&d, "exec tail /dev/zero");
        struct bed_record r;
        bed_next(&d, &r); /* whether it was seen while it happened or at the exit: it comes first */
        vg_get_u64(&r.reader);
        CHECK(r.header.type == VG_REC_FACT && vg_get_u8(&r.reader) == VG_FACT_OOM);
        bed_record_done(&r);
        CHECK(init > 0 && bed_expect_exited(&d, "c", "", true) == 137);
        bed_daemon_gone(&d);
        bed_end(&bed);
        remove_cgroup();
}

static void an_exec(void) {
        struct bed bed;
        struct bed_daemon d;
        char line[160];
        make_cgroup("16M");
        bed_start_ready(&bed, &d);
        pid_t init = start(&d, "exec sleep 1000");
        _cleanup_free_ char *before = bed_read("%s/cores/ns/c/teardown", bed.run);
        snprintf(line, sizeof line, "memory 1 %s/memory.oom_control oom_kill 0\n", cgroup);
        CHECK(strstr(before, line)); /* the counter's own value, not the daemon's guess */
        bed_give_birth(&d, "t:3",
                       (struct bed_birth){
                               .container = "c", .exec = "e", .script = "exec tail /dev/zero", .teardown = "", .cgroup = cgroup});
        bed_expect_started(&d, "c", "e");
        CHECK(bed_expect_result(&d, "t:3") == 0);
        CHECK(expect_oom(&d, init, "e", false) == 1);
        CHECK(bed_expect_exited(&d, "c", "e", true) == 137);
        _cleanup_free_ char *after = bed_read("%s/cores/ns/c/teardown", bed.run);
        snprintf(line, sizeof line, "memory 1 %s/memory.oom_control oom_kill 1\n", cgroup);
        CHECK(strstr(after, line)); /* what is a fact, `delete` need not tell */
        bed_signal(&d, "t:4", "c", "", SIGKILL);
        CHECK(bed_expect_result(&d, "t:4") == 0);
        CHECK(bed_expect_exited(&d, "c", "", true) == 137);
        bed_daemon_gone(&d);
        bed_end(&bed);
        remove_cgroup();
}

/* Many execs die one upon the other: each is explained before it is told. */
static void execs_in_a_storm(void) {
        struct bed bed;
        struct bed_daemon d;
        make_cgroup("16M");
        bed_start_ready(&bed, &d);
        start(&d, "exec sleep 1000");
        uint64_t kills = 0;
        for (uint64_t i = 0; i < 6; i++) {
                char key[32], exec[32];
                snprintf(key, sizeof key, "t:x%d", (int)i);
                snprintf(exec, sizeof exec, "e%d", (int)i);
                bed_give_birth(
                        &d, key,
                        (struct bed_birth){
                                .container = "c", .exec = exec, .script = "exec tail /dev/zero", .teardown = "", .cgroup = cgroup});
                bed_expect_started(&d, "c", exec);
                CHECK(bed_expect_result(&d, key) == 0);
                struct bed_record r = bed_expect(&d, VG_REC_FACT);
                vg_get_u64(&r.reader);
                CHECK(vg_get_u8(&r.reader) == VG_FACT_OOM);
                free(vg_get_str(&r.reader));
                kills += vg_get_u64(&r.reader);
                bed_record_done(&r);
                CHECK(bed_expect_exited(&d, "c", exec, true) == 137);
                CHECK(kills == i + 1);
        }
        bed_signal(&d, "t:4", "c", "", SIGKILL);
        CHECK(bed_expect_result(&d, "t:4") == 0);
        CHECK(bed_expect_exited(&d, "c", "", true) == 137);
        bed_daemon_gone(&d);
        bed_end(&bed);
        remove_cgroup();
}

/* A limit below what the set-up takes: no event of a container that never was, but the reason in the answer. */
static void a_birth(void) {
        struct bed bed;
        struct bed_daemon d;
        make_cgroup("0");
        bed_start_ready(&bed, &d);
        bed_give_birth(&d, "t:1",
                       (struct bed_birth){.container = "c", .exec = "", .script = "exit 0", .teardown = "", .cgroup = cgroup});
        _cleanup_record_ struct bed_record r = bed_expect(&d, VG_REC_RESULT);
        free(vg_get_str(&r.reader));
        CHECK((int32_t)vg_get_u32(&r.reader) < 0);
        vg_get_u32(&r.reader);
        _cleanup_free_ char *words = vg_get_str(&r.reader);
        CHECK(strstr(words, "OOM kills in its cgroup: 1"));
        bed_daemon_gone(&d);
        bed_end(&bed);
        remove_cgroup();
}

int main(int argc, char **argv) {
        bed_roles(argc, argv);
        if (geteuid() != 0 || access(CONTROLLER "/memory.oom_control", W_OK) < 0)
                SKIP("no memory controller of cgroup v1 that this user may write to");
        static void (*const tests[])(void) = {the_init_itself, an_exec, execs_in_a_storm, a_birth};
        return bed_run(tests, VG_COUNT(tests), argc, argv);
}
