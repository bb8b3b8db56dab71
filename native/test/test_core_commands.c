/* Commands are done once, by the daemon that has the say; facts are told until they are committed. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/core_bed.h"

/* The hand-over of a later daemon, up to the record that the test is about. */
static void reborn(struct bed *bed, struct bed_daemon *d) {
        bed_daemon_accept(bed, d);
        struct bed_record hello = bed_expect(d, VG_REC_HELLO);
        d->epoch = hello.header.epoch;
        bed_record_done(&hello);
}

static void synced(struct bed_daemon *d) {
        struct bed_record r = bed_expect(d, VG_REC_SYNCED);
        bed_record_done(&r);
        bed_say_ready(d);
}

static void hello_says_who_the_core_is(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start(&bed);
        bed_daemon_accept(&bed, &d);
        _cleanup_record_ struct bed_record r = bed_expect(&d, VG_REC_HELLO);
        CHECK(vg_get_u32(&r.reader) == VG_ABI_VERSION);
        _cleanup_free_ char *boot = vg_get_str(&r.reader);
        CHECK(strlen(boot) == 16);
        CHECK(vg_get_u32(&r.reader) == 1);
        static const char *const texts[] = {"ns", "group", "", "/run/containerd.sock", "/bin/containerd", "/bundle"};
        for (size_t i = 0; i < VG_COUNT(texts); i++) {
                _cleanup_free_ char *text = vg_get_str(&r.reader);
                CHECK(strcmp(text, texts[i]) == 0);
        }
        _cleanup_free_ char *state = vg_get_str(&r.reader);
        CHECK(strncmp(state, bed.state, strlen(bed.state)) == 0);
        CHECK(vg_get_u64(&r.reader) > 0);
        CHECK(vg_get_u32(&r.reader) == 0);
        CHECK((pid_t)vg_get_u32(&r.reader) == bed.core);
        _cleanup_free_ char *socket = vg_get_str(&r.reader);
        CHECK(strcmp(socket, bed.socket) == 0);
        struct vg_bytes options = vg_get_bytes(&r.reader);
        CHECK(options.size == 4 && memcmp(options.data, "opts", 4) == 0);
        CHECK(vg_get_u8(&r.reader) == 1 && vg_reader_end(&r.reader) == 0);
        struct stat st;
        CHECK(stat(state, &st) == 0 && (st.st_mode & 0777) == 0700);
        _cleanup_free_ char *entry = bed_read("%s/cores/ns/group/core", bed.run);
        CHECK(entry && strstr(entry, "pid=") && strstr(entry, state));
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void another_epoch_is_refused(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        struct vg_writer w = {0};
        vg_put_str(&w, "t:k/signal");
        vg_put_str(&w, "c");
        vg_put_str(&w, "");
        vg_put_u32(&w, SIGKILL);
        bed_command_as(&d, d.epoch + 1, VG_CMD_SIGNAL, &w);
        CHECK(bed_expect_result(&d, "t:k/signal") == -ESTALE);
        vg_put_str(&w, "t:k");
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u64(&w, 0);
        vg_put_u8(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u8(&w, 1);
        bed_command_as(&d, d.epoch - 1, VG_CMD_COMMIT, &w);
        CHECK(bed_expect_result(&d, "t:k") == -ESTALE);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void the_life_of_a_container(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        bed_give_birth(
                &d, "t:1/birth",
                (struct bed_birth){
                        .container = "c1", .exec = "", .script = "exit 7", .teardown = "vigil-teardown 1\ncgroup 2 /nowhere\n"});
        pid_t pid = bed_expect_created(&d, "t:1/birth", "c1");
        _cleanup_free_ char *record = bed_read("%s/cores/ns/c1/teardown", bed.run);
        char line[64];
        snprintf(line, sizeof line, "\npid %d ", (int)pid);
        CHECK(record && strncmp(record, "vigil-teardown 1\ncgroup 2 /nowhere\n", 35) == 0);
        CHECK(strstr(record, line) && strstr(record, "\njournal ") && strstr(record, bed.state));

        bed_give_birth(&d, "t:2/birth", (struct bed_birth){.container = "c1", .exec = "", .script = "exit 0", .teardown = ""});
        CHECK(bed_expect_result(&d, "t:2/birth") == -EEXIST);
        bed_address(&d, VG_CMD_FORGET, "t:3/forget", "c1", "");
        CHECK(bed_expect_result(&d, "t:3/forget") == -EBUSY);
        bed_address(&d, VG_CMD_START, "t:4/start", "c1", NULL);
        CHECK(bed_expect_started(&d, "c1", "") == pid);
        CHECK(bed_expect_result(&d, "t:4/start") == 0);
        CHECK(bed_expect_exited(&d, "c1", "", true) == 7);
        bed_signal(&d, "t:5/signal", "c1", "", SIGTERM);
        CHECK(bed_expect_result(&d, "t:5/signal") == -ESRCH);
        bed_address(&d, VG_CMD_START, "t:6/start", "c1", NULL);
        CHECK(bed_expect_result(&d, "t:6/start") == -ESRCH);
        bed_address(&d, VG_CMD_FORGET, "t:7/forget", "c1", "");
        CHECK(bed_expect_result(&d, "t:7/forget") == 0);
        CHECK(!bed_exists(&bed, "run/cores/ns/c1"));
        bed_address(&d, VG_CMD_START, "t:8/start", "c1", NULL);
        CHECK(bed_expect_result(&d, "t:8/start") == -ENOENT);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void execs_live_in_a_container(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        bed_give_birth(&d, "t:1", (struct bed_birth){.container = "c", .exec = "", .script = "exec sleep 1000", .teardown = ""});
        bed_expect_created(&d, "t:1", "c");
        bed_address(&d, VG_CMD_START, "t:2", "c", NULL);
        bed_expect_started(&d, "c", "");
        CHECK(bed_expect_result(&d, "t:2") == 0);
        bed_give_birth(&d, "t:3", (struct bed_birth){.container = "c", .exec = "e1", .script = "kill -9 $$", .teardown = ""});
        pid_t pid = bed_expect_started(&d, "c", "e1");
        CHECK(pid > 1 && bed_expect_result(&d, "t:3") == 0);
        CHECK(bed_expect_exited(&d, "c", "e1", true) == 137);
        /* Its name is taken until it is forgotten. */
        bed_give_birth(&d, "t:4", (struct bed_birth){.container = "c", .exec = "e1", .script = "exit 0", .teardown = ""});
        CHECK(bed_expect_result(&d, "t:4") == -EEXIST);
        bed_address(&d, VG_CMD_FORGET, "t:5", "c", "e1");
        CHECK(bed_expect_result(&d, "t:5") == 0);
        /* execve fails: no fact. */
        bed_give_birth(
                &d, "t:6",
                (struct bed_birth){.container = "c", .exec = "e1", .script = "", .program = "/nowhere/at-all", .teardown = ""});
        CHECK(bed_expect_result(&d, "t:6") == -ENOENT);
        bed_give_birth(&d, "t:7",
                       (struct bed_birth){.container = "c", .exec = "e2", .script = "exit 3", .teardown = "", .no_start = true});
        bed_expect_started(&d, "c", "e2");
        CHECK(bed_expect_result(&d, "t:7") == 0);
        CHECK(bed_expect_exited(&d, "c", "e2", true) == 3);
        bed_give_birth(&d, "t:8", (struct bed_birth){.container = "none", .exec = "e", .script = "", .teardown = ""});
        CHECK(bed_expect_result(&d, "t:8") == -ENOENT);
        bed_signal(&d, "t:9", "c", "", SIGKILL);
        CHECK(bed_expect_result(&d, "t:9") == 0);
        CHECK(bed_expect_exited(&d, "c", "", true) == 137);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void an_exec_that_dies_with_its_init_is_told_of_first(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        bed_give_birth(&d, "t:1", (struct bed_birth){.container = "c", .exec = "", .script = "exec sleep 1000", .teardown = ""});
        pid_t init = bed_expect_created(&d, "t:1", "c");
        bed_address(&d, VG_CMD_START, "t:2", "c", NULL);
        bed_expect_started(&d, "c", "");
        CHECK(bed_expect_result(&d, "t:2") == 0);
        bed_give_birth(&d, "t:3", (struct bed_birth){.container = "c", .exec = "e", .script = "exec sleep 1000", .teardown = ""});
        pid_t exec = bed_expect_started(&d, "c", "e");
        CHECK(bed_expect_result(&d, "t:3") == 0);
        CHECK(kill(bed.core, SIGSTOP) == 0);
        CHECK(kill(init, SIGKILL) == 0 && kill(exec, SIGTERM) == 0);
        poll(NULL, 0, 30);
        CHECK(kill(bed.core, SIGCONT) == 0);
        CHECK(bed_expect_exited(&d, "c", "e", true) == 143);
        CHECK(bed_expect_exited(&d, "c", "", true) == 137);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void a_death_before_start_is_a_fact(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        bed_give_birth(&d, "t:1", (struct bed_birth){.container = "c", .exec = "", .script = "exit 0", .teardown = ""});
        bed_expect_created(&d, "t:1", "c");
        bed_signal(&d, "t:2", "c", "", SIGKILL);
        CHECK(bed_expect_result(&d, "t:2") == 0);
        CHECK(bed_expect_exited(&d, "c", "", false) == 137);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void a_program_that_cannot_run_fails_start(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        bed_give_birth(&d, "t:1",
                       (struct bed_birth){.container = "c", .exec = "", .script = "", .program = "/nowhere", .teardown = ""});
        bed_expect_created(&d, "t:1", "c");
        bed_address(&d, VG_CMD_START, "t:2", "c", NULL);
        CHECK(bed_expect_result(&d, "t:2") == -ENOENT);
        CHECK(bed_expect_exited(&d, "c", "", false) == 1);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void put_mkdir(struct vg_writer *w, const char *path) {
        vg_put_u16(w, VG_OP_MKDIR);
        vg_put_u16(w, 0);
        size_t slot = vg_put_slot(w), from = w->size;
        vg_put_str(w, path);
        vg_put_u32(w, 0700);
        vg_patch_u32(w, slot, (uint32_t)(w->size - from));
}

static void put_write(struct vg_writer *w, const char *path, const char *text) {
        vg_put_u16(w, VG_OP_WRITE);
        vg_put_u16(w, 0);
        size_t slot = vg_put_slot(w), from = w->size;
        vg_put_str(w, path);
        vg_put_str(w, text);
        vg_patch_u32(w, slot, (uint32_t)(w->size - from));
}

static void script(struct bed_daemon *d, const char *key, struct vg_writer *ops, bool undo) {
        struct vg_writer w = {0};
        vg_put_str(&w, key);
        vg_put_bytes(&w, ops->data, ops->size);
        vg_put_u8(&w, undo);
        vg_writer_done(ops);
        bed_command(d, VG_CMD_SCRIPT, &w);
}

static void scripts_say_which_op_failed(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        char path[128];
        struct vg_writer ops = {0};
        snprintf(path, sizeof path, "%s/made", bed.directory);
        put_mkdir(&ops, path);
        script(&d, "t:1/a", &ops, false);
        CHECK(bed_expect_result(&d, "t:1/a") == 0);
        CHECK(bed_exists(&bed, "made"));
        snprintf(path, sizeof path, "%s/other", bed.directory);
        put_mkdir(&ops, path);
        put_write(&ops, "/nowhere/file", "x");
        script(&d, "t:1/b", &ops, true);
        _cleanup_record_ struct bed_record r = bed_expect(&d, VG_REC_RESULT);
        free(vg_get_str(&r.reader));
        CHECK((int32_t)vg_get_u32(&r.reader) == -ENOENT);
        CHECK(vg_get_u32(&r.reader) == 1);
        _cleanup_free_ char *words = vg_get_str(&r.reader);
        CHECK(strstr(words, "/nowhere/file"));
        CHECK(!bed_exists(&bed, "other")); /* undone */
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void put_commit(struct bed_daemon *d, const char *key, bool finished) {
        struct vg_writer w = {0};
        vg_put_str(&w, key);
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u64(&w, 0);
        vg_put_u8(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u8(&w, finished);
        bed_command(d, VG_CMD_COMMIT, &w);
        struct bed_record r = bed_expect(d, VG_REC_COMMITTED);
        bed_record_done(&r);
}

static void a_command_is_done_once_a_key(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        const struct bed_birth birth = {.container = "c", .exec = "", .script = "exit 0", .teardown = ""};
        bed_give_birth(&d, "g:a/birth", birth);
        bed_give_birth(&d, "g:a/birth", birth); /* while it runs */
        pid_t pid = bed_expect_created(&d, "g:a/birth", "c");
        CHECK(bed_expect_result(&d, "g:a/birth") == 0);
        bed_give_birth(&d, "g:a/birth", birth); /* when it is done */
        CHECK(bed_expect_result(&d, "g:a/birth") == 0);
        bed_daemon_kill(&d);

        reborn(&bed, &d); /* and by the next daemon */
        struct bed_record fact = bed_expect(&d, VG_REC_FACT);
        bed_record_done(&fact);
        synced(&d);
        bed_give_birth(&d, "g:a/birth", birth);
        _cleanup_record_ struct bed_record r = bed_expect(&d, VG_REC_RESULT);
        free(vg_get_str(&r.reader));
        CHECK(vg_get_u32(&r.reader) == 0);
        vg_get_u32(&r.reader);
        free(vg_get_str(&r.reader));
        CHECK(vg_get_u32(&r.reader) == 4 && (pid_t)vg_get_u32(&r.reader) == pid);

        put_commit(&d, "g:a", false); /* a step of the request is not its end */
        bed_give_birth(&d, "g:a/birth", birth);
        CHECK(bed_expect_result(&d, "g:a/birth") == 0);
        put_commit(&d, "g:ab", true); /* nor is another's */
        bed_give_birth(&d, "g:a/birth", birth);
        CHECK(bed_expect_result(&d, "g:a/birth") == 0);
        put_commit(&d, "g:a", true);
        bed_give_birth(&d, "g:a/birth", birth);
        CHECK(bed_expect_result(&d, "g:a/birth") == -EEXIST);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void a_command_outlives_its_daemon(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        const struct bed_birth birth = {.container = "c", .exec = "", .script = "exit 0", .teardown = ""};
        CHECK(kill(bed.core, SIGSTOP) == 0);
        bed_give_birth(&d, "g:a", birth);
        bed_daemon_kill(&d);
        poll(NULL, 0, 10);
        CHECK(kill(bed.core, SIGCONT) == 0);
        reborn(&bed, &d);
        bool created = false, handed_over = false; /* the birth ends before or after the hand-over */
        while (!created || !handed_over) {
                struct bed_record r;
                bed_next(&d, &r);
                created |= r.header.type == VG_REC_FACT;
                handed_over |= r.header.type == VG_REC_SYNCED;
                bed_record_done(&r);
        }
        bed_say_ready(&d);
        bed_give_birth(&d, "g:a", birth);
        CHECK(bed_expect_result(&d, "g:a") == 0);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void a_helper_that_is_killed_fails_its_birth(void) {
        struct bed bed;
        struct bed_daemon d;
        char fifo[128], text[64];
        bed_start_ready(&bed, &d);
        /* A FIFO without a reader holds the helper in its write op. */
        snprintf(fifo, sizeof fifo, "%s/fifo", bed.directory);
        CHECK(mkfifo(fifo, 0600) == 0);
        struct vg_writer ops = {0};
        put_write(&ops, fifo, "x");
        bed_give_birth(
                &d, "t:1",
                (struct bed_birth){
                        .container = "c", .exec = "", .script = "exit 0", .teardown = "vigil-teardown 1\n", .host_ops = ops});
        pid_t helper = 0;
        for (uint64_t end = bed_now_ms() + 3000; helper == 0 && bed_now_ms() < end; poll(NULL, 0, 2)) {
                _cleanup_free_ char *children = bed_read("/proc/%d/task/%d/children", (int)bed.core, (int)bed.core);
                char *save = NULL;
                for (char *word = children ? strtok_r(children, " ", &save) : NULL; word; word = strtok_r(NULL, " ", &save))
                        if (atoi(word) != d.pid)
                                helper = (pid_t)atoi(word);
        }
        CHECK(helper > 0);
        CHECK(kill(helper, SIGKILL) == 0);
        _cleanup_record_ struct bed_record r = bed_expect(&d, VG_REC_RESULT);
        free(vg_get_str(&r.reader));
        CHECK((int32_t)vg_get_u32(&r.reader) == -ECHILD);
        vg_get_u32(&r.reader);
        _cleanup_free_ char *words = vg_get_str(&r.reader);
        snprintf(text, sizeof text, "was killed by signal %d", SIGKILL);
        CHECK(strstr(words, text));
        CHECK(bed_exists(&bed, "run/cores/ns/c/teardown")); /* it has undone nothing */
        /* The name is free again. */
        bed_give_birth(&d, "t:2", (struct bed_birth){.container = "c", .exec = "", .script = "exit 0", .teardown = ""});
        bed_expect_created(&d, "t:2", "c");
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void a_failed_birth_leaves_nothing(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        struct vg_writer ops = {0};
        put_write(&ops, "/nowhere/file", "x");
        bed_give_birth(
                &d, "t:1",
                (struct bed_birth){
                        .container = "c", .exec = "", .script = "exit 0", .teardown = "vigil-teardown 1\n", .host_ops = ops});
        CHECK(bed_expect_result(&d, "t:1") == -ENOENT);
        CHECK(!bed_exists(&bed, "run/cores/ns/c"));
        bed_give_birth(&d, "t:2", (struct bed_birth){.container = "../c", .exec = "", .script = "", .teardown = ""});
        CHECK(bed_expect_result(&d, "t:2") == -EINVAL);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void output_is_kept_while_no_daemon_lives(void) {
        struct bed bed;
        struct bed_daemon d;
        char output[128];
        bed_start_ready(&bed, &d);
        snprintf(output, sizeof output, "%s/output", bed.directory);
        bed_give_birth(
                &d, "t:1",
                (struct bed_birth){
                        .container = "c", .exec = "", .script = "echo one; sleep 0.1; echo two", .teardown = "", .output = output});
        bed_expect_created(&d, "t:1", "c");
        bed_address(&d, VG_CMD_START, "t:2", "c", NULL);
        bed_expect_started(&d, "c", "");
        CHECK(bed_expect_result(&d, "t:2") == 0);
        bed_daemon_kill(&d);
        reborn(&bed, &d);
        bool exited = false, handed_over = false; /* the process ends before or after the hand-over */
        while (!exited || !handed_over) {
                struct bed_record r;
                bed_next(&d, &r);
                vg_get_u64(&r.reader);
                exited |= r.header.type == VG_REC_FACT && vg_get_u8(&r.reader) == VG_FACT_EXITED;
                handed_over |= r.header.type == VG_REC_SYNCED;
                bed_record_done(&r);
        }
        bed_say_ready(&d);
        struct vg_writer w = {0};
        vg_put_str(&w, "t:3");
        vg_put_str(&w, "c");
        vg_put_str(&w, "");
        vg_put_u32(&w, 1000);
        bed_command(&d, VG_CMD_DRAIN, &w);
        CHECK(bed_expect_result(&d, "t:3") == 0);
        _cleanup_free_ char *text = bed_read("%s", output);
        CHECK(text && strcmp(text, "one\ntwo\n") == 0);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void a_drain_has_an_end(void) {
        struct bed bed;
        struct bed_daemon d;
        char output[128];
        bed_start_ready(&bed, &d);
        snprintf(output, sizeof output, "%s/output", bed.directory);
        bed_give_birth(
                &d, "t:1",
                (struct bed_birth){.container = "c", .exec = "", .script = "exec sleep 1000", .teardown = "", .output = output});
        bed_expect_created(&d, "t:1", "c");
        bed_address(&d, VG_CMD_START, "t:2", "c", NULL);
        bed_expect_started(&d, "c", "");
        CHECK(bed_expect_result(&d, "t:2") == 0);
        struct vg_writer w = {0};
        vg_put_str(&w, "t:3");
        vg_put_str(&w, "c");
        vg_put_str(&w, "");
        vg_put_u32(&w, 50);
        bed_command(&d, VG_CMD_DRAIN, &w);
        CHECK(bed_expect_result(&d, "t:3") == -ETIMEDOUT);
        bed_signal(&d, "t:4", "c", "", SIGKILL);
        CHECK(bed_expect_result(&d, "t:4") == 0);
        bed_expect_exited(&d, "c", "", true);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void facts_are_told_again_until_a_commit_covers_them(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        bed_give_birth(&d, "t:1", (struct bed_birth){.container = "c", .exec = "", .script = "exit 5", .teardown = ""});
        bed_expect_created(&d, "t:1", "c");
        bed_daemon_kill(&d);
        reborn(&bed, &d);
        bed_record_done(&(struct bed_record){.payload = bed_expect(&d, VG_REC_FACT).payload});
        synced(&d);
        struct vg_writer w = {0};
        vg_put_str(&w, "f:1");
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u64(&w, 1); /* through the first fact */
        vg_put_u8(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u8(&w, 1);
        bed_command(&d, VG_CMD_COMMIT, &w);
        bed_record_done(&(struct bed_record){.payload = bed_expect(&d, VG_REC_COMMITTED).payload});
        bed_address(&d, VG_CMD_START, "t:2", "c", NULL);
        bed_expect_started(&d, "c", "");
        CHECK(bed_expect_result(&d, "t:2") == 0);
        CHECK(bed_expect_exited(&d, "c", "", true) == 5);
        bed_daemon_kill(&d);
        reborn(&bed, &d);
        for (uint64_t seq = 2; seq <= 3; seq++) {
                _cleanup_record_ struct bed_record fact = bed_expect(&d, VG_REC_FACT);
                CHECK(vg_get_u64(&fact.reader) == seq);
        }
        synced(&d);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void orphans_of_containers_are_reaped(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        bed_give_birth(&d, "t:1",
                       (struct bed_birth){.container = "c",
                                          .exec = "",
                                          .teardown = "",
                                          .script = "i=0; while [ $i -lt 300 ]; do (true &); i=$((i+1)); done; exit 9"});
        bed_expect_created(&d, "t:1", "c");
        bed_address(&d, VG_CMD_START, "t:2", "c", NULL);
        bed_expect_started(&d, "c", "");
        CHECK(bed_expect_result(&d, "t:2") == 0);
        CHECK(bed_expect_exited(&d, "c", "", true) == 9);
        for (uint64_t end = bed_now_ms() + 3000; bed_now_ms() < end; poll(NULL, 0, 5)) {
                char alone[16];
                snprintf(alone, sizeof alone, "%d ", (int)d.pid);
                _cleanup_free_ char *children = bed_read("/proc/%d/task/%d/children", (int)bed.core, (int)bed.core);
                if (children && strcmp(children, alone) == 0) {
                        bed_daemon_gone(&d);
                        bed_end(&bed);
                        return;
                }
        }
        CHECK(!"only the daemon is left");
}

int main(int argc, char **argv) {
        bed_roles(argc, argv);
        static void (*const tests[])(void) = {
                hello_says_who_the_core_is,
                another_epoch_is_refused,
                the_life_of_a_container,
                execs_live_in_a_container,
                an_exec_that_dies_with_its_init_is_told_of_first,
                a_death_before_start_is_a_fact,
                a_program_that_cannot_run_fails_start,
                scripts_say_which_op_failed,
                a_command_is_done_once_a_key,
                a_command_outlives_its_daemon,
                a_helper_that_is_killed_fails_its_birth,
                a_failed_birth_leaves_nothing,
                output_is_kept_while_no_daemon_lives,
                a_drain_has_an_end,
                facts_are_told_again_until_a_commit_covers_them,
                orphans_of_containers_are_reaped,
        };
        return argc > 1 ? bed_run(tests, VG_COUNT(tests), argc, argv) : bed_run_together(tests, VG_COUNT(tests));
}
