/* Processes that a program makes, as an OCI runtime does: adopted, watched over, buried. The "runtime" is a shell script. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/core_bed.h"

static void put_program(struct vg_writer *w, const char *script, const char *log, uint32_t timeout_ms) {
        vg_put_u32(w, script ? 3 : 0);
        if (script) {
                vg_put_str(w, "sh");
                vg_put_str(w, "-c");
                vg_put_str(w, script);
        }
        vg_put_bytes(w, "input", script ? 5 : 0);
        vg_put_str(w, log);
        vg_put_u32(w, timeout_ms);
}

struct oci_birth {
        const char *exec, *script, *undo;
        bool runs;
};

/* The script finds its pid file, its log and a gate in the bed's directory as pid, log and gate. */
static void give_oci_birth(struct bed *bed, struct bed_daemon *d, const char *key, struct oci_birth b) {
        struct vg_writer w = {0};
        char pid_file[128], log[128];
        snprintf(pid_file, sizeof pid_file, "%s/pid", bed->directory);
        snprintf(log, sizeof log, "%s/runtime.log", bed->directory);
        vg_put_str(&w, key);
        vg_put_str(&w, "c");
        vg_put_str(&w, b.exec ? b.exec : "");
        vg_put_str(&w, ""); /* teardown */
        vg_put_u8(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 5000);
        for (int i = 0; i < 3; i++) {
                vg_put_u8(&w, VG_STREAM_NULL);
                vg_put_str(&w, "");
        }
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
        char script[1024];
        snprintf(script, sizeof script, "cd %s; %s", bed->directory, b.script);
        put_program(&w, script, log, 60000);
        char undo[256];
        snprintf(undo, sizeof undo, "cd %s; %s", bed->directory, b.undo ? b.undo : "");
        put_program(&w, b.undo ? undo : NULL, "", 60000);
        vg_put_str(&w, pid_file);
        vg_put_str(&w, ""); /* console */
        vg_put_u32(&w, 2);
        vg_put_str(&w, pid_file);
        vg_put_str(&w, log);
        bed_command(d, b.runs ? VG_CMD_OCI_RESTORE : VG_CMD_OCI_BIRTH, &w);
}

static void put_run(struct vg_writer *ops, const char *script, uint32_t timeout_ms) {
        vg_put_u16(ops, VG_OP_RUN);
        vg_put_u16(ops, 0);
        size_t slot = vg_put_slot(ops), from = ops->size;
        put_program(ops, script, "", timeout_ms);
        vg_patch_u32(ops, slot, (uint32_t)(ops->size - from));
}

static void oci_start(struct bed_daemon *d, const char *key, const char *script) {
        struct vg_writer w = {0}, ops = {0};
        put_run(&ops, script, 60000);
        vg_put_str(&w, key);
        vg_put_str(&w, "c");
        vg_put_bytes(&w, ops.data, ops.size);
        vg_writer_done(&ops);
        bed_command(d, VG_CMD_OCI_START, &w);
}

static int run_script(struct bed_daemon *d, const char *key, const char *script, uint32_t timeout_ms, char **ret_message) {
        struct vg_writer w = {0}, ops = {0};
        put_run(&ops, script, timeout_ms);
        vg_put_str(&w, key);
        vg_put_bytes(&w, ops.data, ops.size);
        vg_put_u8(&w, 0);
        vg_writer_done(&ops);
        bed_command(d, VG_CMD_SCRIPT, &w);
        _cleanup_record_ struct bed_record r = bed_expect(d, VG_REC_RESULT);
        free(vg_get_str(&r.reader));
        int status = (int)vg_get_u32(&r.reader);
        vg_get_u32(&r.reader);
        *ret_message = vg_get_str(&r.reader);
        return status;
}

/* Waits until a file holds a line, and reads a number from it. */
static pid_t await_number(const struct bed *bed, const char *name) {
        for (uint64_t end = bed_now_ms() + BED_TIMEOUT_MS;; poll(NULL, 0, 5)) {
                _cleanup_free_ char *text = bed_read("%s/%s", bed->directory, name);
                if (text && strchr(text, '\n'))
                        return (pid_t)strtol(text, NULL, 10);
                CHECK(bed_now_ms() < end);
        }
}

/* Waits until it is a zombie and the core's child. */
static void await_zombie(const struct bed *bed, pid_t pid) {
        for (uint64_t end = bed_now_ms() + BED_TIMEOUT_MS;; poll(NULL, 0, 5)) {
                _cleanup_free_ char *text = bed_read("/proc/%d/stat", (int)pid);
                CHECK(text);
                char state;
                int parent;
                if (sscanf(strrchr(text, ')') + 1, " %c %d", &state, &parent) == 2 && state == 'Z' && parent == bed->core)
                        return;
                CHECK(bed_now_ms() < end);
        }
}

static void touch(const struct bed *bed, const char *name) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", bed->directory, name);
        _cleanup_fclose_ FILE *f = fopen(path, "we");
        CHECK(f);
}

static void forget(struct bed_daemon *d) {
        bed_address(d, VG_CMD_FORGET, "t:f/forget", "c", "");
        CHECK(bed_expect_result(d, "t:f/forget") == 0);
}

static void the_life_of_an_adopted_container(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        give_oci_birth(&bed, &d, "t:1/birth", (struct oci_birth){.script = "sleep 1000 & echo $! >pid"});
        pid_t pid = bed_expect_created(&d, "t:1/birth", "c");
        CHECK(!bed_exists(&bed, "pid"));
        oci_start(&d, "t:2/start", "true");
        CHECK(bed_expect_started(&d, "c", "") == pid);
        CHECK(bed_expect_result(&d, "t:2/start") == 0);
        give_oci_birth(&bed, &d, "t:3/birth", (struct oci_birth){.exec = "e", .script = "(exit 5) & sleep 1000 & echo $! >pid"});
        pid_t exec = bed_expect_started(&d, "c", "e");
        CHECK(exec > 1 && exec != pid && bed_expect_result(&d, "t:3/birth") == 0);
        bed_signal(&d, "t:4/signal", "c", "e", SIGTERM);
        CHECK(bed_expect_result(&d, "t:4/signal") == 0);
        CHECK(bed_expect_exited(&d, "c", "e", true) == 128 + SIGTERM);
        bed_signal(&d, "t:5/signal", "c", "", SIGKILL);
        CHECK(bed_expect_result(&d, "t:5/signal") == 0);
        CHECK(bed_expect_exited(&d, "c", "", true) == 128 + SIGKILL);
        forget(&d);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

/* The inner shell ends before its child does, so that this is the core's while the runtime still runs. */
#define DIES_WITHOUT_PARENT                                                                   \
        "(sh -c 'until [ -e alone ]; do sleep 0.01; done; exit 7' & echo $! >pid); : >alone;" \
        "until [ -e gate ]; do sleep 0.01; done"

/* Its death, though earlier than the runtime's end, comes behind the start. */
static void a_restored_init_is_started_by_its_birth(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        give_oci_birth(&bed, &d, "t:1/birth", (struct oci_birth){.runs = true, .script = DIES_WITHOUT_PARENT});
        await_zombie(&bed, await_number(&bed, "pid"));
        touch(&bed, "gate");
        _cleanup_record_ struct bed_record created = bed_expect(&d, VG_REC_FACT);
        vg_get_u64(&created.reader);
        CHECK(vg_get_u8(&created.reader) == VG_FACT_CREATED);
        CHECK(bed_expect_started(&d, "c", "") > 1);
        CHECK(bed_expect_result(&d, "t:1/birth") == 0);
        CHECK(bed_expect_exited(&d, "c", "", true) == 7);
        forget(&d);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void an_init_that_dies_before_it_is_known_is_not_lost(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        give_oci_birth(&bed, &d, "t:1/birth", (struct oci_birth){.script = DIES_WITHOUT_PARENT});
        await_zombie(&bed, await_number(&bed, "pid"));
        touch(&bed, "gate");
        bed_expect_created(&d, "t:1/birth", "c");
        CHECK(bed_expect_exited(&d, "c", "", false) == 7);
        forget(&d);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void a_death_during_start_comes_after_the_start(void) {
        struct bed bed;
        struct bed_daemon d;
        char script[256];
        bed_start_ready(&bed, &d);
        give_oci_birth(&bed, &d, "t:1/birth", (struct oci_birth){.script = "sleep 1000 & echo $! >pid"});
        pid_t pid = bed_expect_created(&d, "t:1/birth", "c");
        snprintf(script, sizeof script, "kill -9 %d; until [ -e %s/gate ]; do sleep 0.01; done", (int)pid, bed.directory);
        oci_start(&d, "t:2/start", script);
        await_zombie(&bed, pid);
        touch(&bed, "gate");
        CHECK(bed_expect_started(&d, "c", "") == pid);
        CHECK(bed_expect_result(&d, "t:2/start") == 0);
        CHECK(bed_expect_exited(&d, "c", "", true) == 128 + SIGKILL);
        forget(&d);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void a_start_that_fails_may_be_repeated(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        give_oci_birth(&bed, &d, "t:1/birth", (struct oci_birth){.script = "sleep 1000 & echo $! >pid"});
        bed_expect_created(&d, "t:1/birth", "c");
        oci_start(&d, "t:2/start", "echo no >&2; exit 3");
        CHECK(bed_expect_result(&d, "t:2/start") == -EREMOTEIO);
        oci_start(&d, "t:3/start", "[ $(cat) = input ]");
        bed_expect_started(&d, "c", "");
        CHECK(bed_expect_result(&d, "t:3/start") == 0);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static char *expect_failure(struct bed_daemon *d, int status) {
        _cleanup_record_ struct bed_record r = bed_expect(d, VG_REC_RESULT);
        free(vg_get_str(&r.reader));
        int its = (int)vg_get_u32(&r.reader);
        vg_get_u32(&r.reader);
        char *message = vg_get_str(&r.reader);
        if (its != status)
                fprintf(stderr, "status %d: %s\n", its, message);
        CHECK(its == status);
        return message;
}

static void a_runtime_that_fails_is_quoted_and_undone(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        struct oci_birth birth = {.script = "printf 'first\\nlast words\\n' >runtime.log; exit 1", .undo = "echo >undone"};
        give_oci_birth(&bed, &d, "t:1/birth", birth);
        _cleanup_free_ char *logged = expect_failure(&d, -EREMOTEIO);
        CHECK(strcmp(logged, "last words") == 0);
        CHECK(bed_exists(&bed, "undone") && !bed_exists(&bed, "runtime.log"));
        give_oci_birth(&bed, &d, "t:2/birth", (struct oci_birth){.script = "exit 4"});
        _cleanup_free_ char *silent = expect_failure(&d, -EREMOTEIO);
        CHECK(strstr(silent, "exit status 4"));
        give_oci_birth(&bed, &d, "t:3/birth", (struct oci_birth){.script = "echo 1 >pid"});
        _cleanup_free_ char *foreign = expect_failure(&d, -ECHILD);
        CHECK(strstr(foreign, "no child"));
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void programs_are_limited_and_missing_ones_named(void) {
        struct bed bed;
        struct bed_daemon d;
        _cleanup_free_ char *late = NULL, *words = NULL, *fine = NULL;
        bed_start_ready(&bed, &d);
        CHECK(run_script(&d, "t:1/a", "sleep 1000 & sleep 1000", 100, &late) == -ETIMEDOUT && strstr(late, "100 ms"));
        CHECK(run_script(&d, "t:1/b", "echo some words; exit 2", 60000, &words) == -EREMOTEIO);
        CHECK(strstr(words, "exit status 2: some words"));
        CHECK(run_script(&d, "t:1/c", "seq 1 100000", 60000, &fine) == 0);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

int main(int argc, char **argv) {
        bed_roles(argc, argv);
        static void (*const tests[])(void) = {
                a_restored_init_is_started_by_its_birth,
                the_life_of_an_adopted_container,
                an_init_that_dies_before_it_is_known_is_not_lost,
                a_death_during_start_comes_after_the_start,
                a_start_that_fails_may_be_repeated,
                a_runtime_that_fails_is_quoted_and_undone,
                programs_are_limited_and_missing_ones_named,
        };
        return bed_run(tests, VG_COUNT(tests), argc, argv);
}
