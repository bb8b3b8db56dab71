/* What a core has written down can be read whatever happened to it: each entry whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/journal.h"
#include "lib/crc32c.h"
#include "lib/journal_read.h"
#include "test/core_bed.h"

struct seen {
        unsigned facts, states, outbox, inits;
        uint64_t last_fact, last_outbox;
        char state[64]; /* the last one of "c" */
        struct vg_journal_init init;
};

static int see_fact(void *owner, uint64_t seq, uint8_t kind, struct vg_bytes payload) {
        struct seen *seen = owner;
        CHECK(seq > seen->last_fact && kind > 0 && payload.size >= 9);
        seen->last_fact = seq;
        seen->facts++;
        return 0;
}

static int see_state(void *owner, const char *container, bool present, struct vg_bytes blob) {
        struct seen *seen = owner;
        if (strcmp(container, "c") == 0)
                snprintf(seen->state, sizeof seen->state, "%.*s", present ? (int)(blob.size < 60 ? blob.size : 60) : 0,
                         (const char *)blob.data);
        seen->states++;
        return 0;
}

static int see_outbox(void *owner, uint64_t seq, uint64_t fact, struct vg_bytes entry) {
        struct seen *seen = owner;
        (void)fact;
        CHECK(seq > seen->last_outbox && entry.size > 0);
        seen->last_outbox = seq;
        seen->outbox++;
        return 0;
}

static int see_init(void *owner, const struct vg_journal_init *init) {
        struct seen *seen = owner;
        seen->init = *init;
        seen->init.container = NULL;
        seen->inits++;
        return 0;
}

static int look(const char *path, struct seen *ret_seen, struct vg_journal_summary *ret_summary) {
        *ret_seen = (struct seen){0};
        const struct vg_journal_visitor visitor = {
                .owner = ret_seen, .fact = see_fact, .state = see_state, .outbox = see_outbox, .init = see_init};
        return vg_journal_read(path, &visitor, ret_summary);
}

static struct vg_bytes bytes_of(const struct vg_writer *w) {
        CHECK(!w->error);
        return (struct vg_bytes){w->data, w->size};
}

static void append(struct vg_journal *j, enum vg_journal_type type, struct vg_writer *w) {
        CHECK(vg_journal_append(j, type, bytes_of(w), type == VG_JOURNAL_FACT) == 0);
        vg_writer_done(w);
}

static void put_fact(struct vg_journal *j, uint64_t seq) {
        struct vg_writer w = {0};
        vg_put_u64(&w, seq);
        vg_put_u8(&w, VG_FACT_CREATED);
        vg_put_str(&w, "c");
        append(j, VG_JOURNAL_FACT, &w);
}

static void put_commit(struct vg_journal *j, const char *state, uint64_t through, uint64_t seq) {
        struct vg_writer w = {0};
        vg_put_str(&w, "t:1");
        vg_put_u64(&w, through);
        vg_put_u64(&w, seq);
        vg_put_u32(&w, 1);
        vg_put_str(&w, "c");
        vg_put_u8(&w, 1);
        vg_put_str(&w, state);
        vg_put_u32(&w, 1);
        vg_put_u64(&w, seq);
        vg_put_u64(&w, 0);
        vg_put_str(&w, "event");
        vg_put_u8(&w, 1);
        append(j, VG_JOURNAL_COMMIT, &w);
}

static void put_header(struct vg_journal *j) {
        struct vg_writer w = {0};
        vg_put_u32(&w, VG_JOURNAL_VERSION);
        vg_put_str(&w, "boot");
        vg_put_str(&w, "ns");
        vg_put_str(&w, "group");
        vg_put_u64(&w, 123);
        for (int i = 0; i < 4; i++)
                vg_put_u64(&w, 0);
        append(j, VG_JOURNAL_HEADER, &w);
}

static void write_copy(const char *path, const uint8_t *data, size_t size) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
        close(fd);
}

/* The state after each entry: facts, outbox entries and the state that a reader must see. */
static const struct {
        unsigned facts, outbox;
        const char *state;
} steps[] = {{0, 0, ""}, {1, 0, ""}, {2, 0, ""}, {1, 1, "one"}, {1, 2, "two"}, {1, 1, "two"}, {0, 2, "three"}};

static void cut_anywhere_it_is_as_of_the_last_whole_entry(void) {
        char directory[] = "/tmp/vigil-test-XXXXXX", path[64], cut[64];
        CHECK(mkdtemp(directory));
        snprintf(path, sizeof path, "%s/journal", directory);
        snprintf(cut, sizeof cut, "%s/cut", directory);
        int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct vg_journal j;
        uint64_t ends[VG_COUNT(steps)];
        CHECK(vg_journal_create(dir, "journal", &j) == 0);
        CHECK(vg_journal_create(dir, "journal", &j) == -EEXIST);
        put_header(&j);
        ends[0] = j.used;
        put_fact(&j, 1);
        ends[1] = j.used;
        put_fact(&j, 2);
        ends[2] = j.used;
        put_commit(&j, "one", 1, 1);
        ends[3] = j.used;
        put_commit(&j, "two", 0, 2);
        ends[4] = j.used;
        struct vg_writer w = {0};
        vg_put_u64(&w, 1);
        append(&j, VG_JOURNAL_DELIVERED, &w);
        ends[5] = j.used;
        put_commit(&j, "three", 2, 3);
        ends[6] = j.used;

        struct stat st;
        CHECK(stat(path, &st) == 0 && (uint64_t)st.st_size == j.allocated && st.st_blocks * 512 >= st.st_size);
        _cleanup_free_ uint8_t *data = malloc(j.used + 64);
        CHECK(data && pread(j.fd, data, j.used + 64, 0) == (ssize_t)j.used + 64);
        struct seen seen;
        struct vg_journal_summary summary;
        for (uint64_t size = 0; size <= j.used + 64; size++) {
                size_t step = VG_COUNT(steps);
                while (step > 0 && ends[step - 1] > size)
                        step--;
                write_copy(cut, data, size);
                int r = look(cut, &seen, &summary);
                if (step == 0) {
                        CHECK(r == -EBADMSG);
                        continue;
                }
                step--;
                CHECK(r == 0 && seen.facts == steps[step].facts && seen.outbox == steps[step].outbox);
                CHECK(strcmp(seen.state, steps[step].state) == 0 && summary.birth_real == 123 && summary.size == ends[step]);
        }
        /* A flipped bit ends it there too. */
        for (uint64_t at = 0; at < j.used; at++) {
                size_t step = 0;
                while (ends[step] <= at)
                        step++;
                data[at] ^= 0x10;
                write_copy(cut, data, j.used);
                int r = look(cut, &seen, NULL);
                data[at] ^= 0x10;
                CHECK(step == 0 ? r == -EBADMSG : r == 0 && seen.facts == steps[step - 1].facts);
        }
        vg_journal_done(&j);
        unlink(path);
        unlink(cut);
        rmdir(directory);
        close(dir);
}

static void commit(struct bed_daemon *d, const char *key, const char *state, size_t size, uint64_t fact, const char *event,
                   uint64_t through) {
        struct vg_writer w = {0};
        _cleanup_free_ char *blob = calloc(1, size + strlen(state) + 1);
        CHECK(blob);
        strcpy(blob, state);
        vg_put_str(&w, key);
        vg_put_u32(&w, 1);
        vg_put_str(&w, "c");
        vg_put_u8(&w, 1);
        vg_put_bytes(&w, blob, size + strlen(state));
        vg_put_u32(&w, event ? 1 : 0);
        if (event) {
                vg_put_u64(&w, fact);
                vg_put_str(&w, event);
        }
        vg_put_u64(&w, through);
        vg_put_u8(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u8(&w, 1);
        bed_command(d, VG_CMD_COMMIT, &w);
}

static uint64_t committed(struct bed_daemon *d, const char *key) {
        _cleanup_record_ struct bed_record r = bed_expect(d, VG_REC_COMMITTED);
        _cleanup_free_ char *its = vg_get_str(&r.reader);
        CHECK(strcmp(its, key) == 0);
        return vg_get_u64(&r.reader);
}

static void delivered(struct bed_daemon *d, uint64_t seq) {
        struct vg_writer w = {0};
        vg_put_u64(&w, seq);
        bed_command(d, VG_CMD_DELIVERED, &w);
}

static char *journal_of(const struct bed *bed) {
        char directory[128], *path;
        snprintf(directory, sizeof directory, "%s/ns", bed->state);
        _cleanup_free_ char *own = bed_find(directory, "group-");
        CHECK(own && asprintf(&path, "%s/journal", own) > 0);
        return path;
}

static void run_container(struct bed_daemon *d) {
        bed_give_birth(d, "t:1", (struct bed_birth){.container = "c", .exec = "", .script = "exit 7", .teardown = ""});
        bed_expect_created(d, "t:1", "c");
        bed_address(d, VG_CMD_START, "t:2", "c", NULL);
        bed_expect_started(d, "c", "");
        CHECK(bed_expect_result(d, "t:2") == 0);
        CHECK(bed_expect_exited(d, "c", "", true) == 7);
}

static void kill_core(struct bed *bed) {
        CHECK(kill(bed->core, SIGKILL) == 0);
        bed_core_wait(bed);
}

static void a_dead_core_has_left_what_it_owes(void) {
        struct bed bed;
        struct bed_daemon d;
        struct seen seen;
        struct vg_journal_summary summary;
        bed_start_ready(&bed, &d);
        run_container(&d);
        commit(&d, "f:1", "created", 0, 1, "TaskCreate", 1);
        CHECK(committed(&d, "f:1") == 1);
        commit(&d, "f:2", "running", 0, 2, "TaskStart", 2);
        CHECK(committed(&d, "f:2") == 2);
        delivered(&d, 1);
        /* The death of the core follows the answer at once. */
        commit(&d, "g:last", "paused", 0, 0, "TaskPaused", 0);
        CHECK(committed(&d, "g:last") == 3);
        _cleanup_free_ char *path = journal_of(&bed);
        kill_core(&bed);
        CHECK(look(path, &seen, &summary) == 0);
        CHECK(seen.facts == 1 && seen.last_fact == 3); /* the exit */
        CHECK(seen.outbox == 2 && seen.last_outbox == 3);
        CHECK(strcmp(seen.state, "paused") == 0);
        CHECK(seen.init.present && seen.init.exited && seen.init.exit_status == 7 && seen.init.pid > 1 &&
              seen.init.exited_real > 0);
        CHECK(summary.facts_through == 2 && summary.delivered_through == 1 && summary.last_fact == 3 && summary.last_outbox == 3);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void commits_are_handed_over(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        run_container(&d);
        commit(&d, "f:1", "state", 0, 1, "event of fact 1", 0);
        CHECK(committed(&d, "f:1") == 1);
        struct vg_writer w = {0};
        vg_put_str(&w, "g:kept");
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u64(&w, 0);
        vg_put_u8(&w, 1);
        vg_put_str(&w, "the reply");
        vg_put_u8(&w, 1);
        bed_command(&d, VG_CMD_COMMIT, &w);
        committed(&d, "g:kept");
        bed_daemon_kill(&d);

        bed_daemon_accept(&bed, &d);
        struct bed_record r = bed_expect(&d, VG_REC_HELLO);
        d.epoch = r.header.epoch;
        bed_record_done(&r);
        r = bed_expect(&d, VG_REC_STATE);
        _cleanup_free_ char *container = vg_get_str(&r.reader), *blob = vg_get_str(&r.reader);
        CHECK(strcmp(container, "c") == 0 && strcmp(blob, "state") == 0);
        bed_record_done(&r);
        r = bed_expect(&d, VG_REC_KEPT);
        _cleanup_free_ char *key = vg_get_str(&r.reader), *reply = vg_get_str(&r.reader);
        CHECK(strcmp(key, "g:kept") == 0 && strcmp(reply, "the reply") == 0);
        bed_record_done(&r);
        r = bed_expect(&d, VG_REC_OUTBOX);
        CHECK(vg_get_u64(&r.reader) == 1 && vg_get_u64(&r.reader) == 1);
        _cleanup_free_ char *event = vg_get_str(&r.reader);
        CHECK(strcmp(event, "event of fact 1") == 0);
        bed_record_done(&r);
        for (int i = 0; i < 3; i++) { /* none is covered */
                r = bed_expect(&d, VG_REC_FACT);
                bed_record_done(&r);
        }
        r = bed_expect(&d, VG_REC_SYNCED);
        bed_record_done(&r);
        bed_say_ready(&d);

        /* This daemon announces fact 1 once more: its number is passed over, the event is not there twice. */
        commit(&d, "f:1", "state", 0, 1, "event of fact 1", 3);
        CHECK(committed(&d, "f:1") == 2);
        commit(&d, "t:9", "other", 0, 0, "another", 0);
        CHECK(committed(&d, "t:9") == 3);
        commit(&d, "t:10", "other", 0, 99, "of no fact", 0);
        CHECK(bed_expect_result(&d, "t:10") == -EINVAL);
        bed_daemon_kill(&d);
        bed_daemon_accept(&bed, &d);
        static const enum vg_record order[] = {VG_REC_HELLO,  VG_REC_STATE,  VG_REC_KEPT,
                                               VG_REC_OUTBOX, VG_REC_OUTBOX, VG_REC_SYNCED};
        static const uint64_t seqs[] = {0, 0, 0, 1, 3, 0};
        for (size_t i = 0; i < VG_COUNT(order); i++) {
                r = bed_expect(&d, order[i]);
                if (order[i] == VG_REC_OUTBOX)
                        CHECK(vg_get_u64(&r.reader) == seqs[i]);
                bed_record_done(&r);
        }
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void the_journal_does_not_grow_for_ever(void) {
        struct bed bed;
        struct bed_daemon d;
        struct seen seen;
        struct stat st;
        char key[32];
        bed_start_ready(&bed, &d);
        run_container(&d);
        commit(&d, "f:1", "", 0, 1, "first", 2);
        committed(&d, "f:1");
        _cleanup_free_ char *path = journal_of(&bed);
        for (int i = 0; i < 200; i++) {
                char state[32];
                snprintf(key, sizeof key, "t:%d", i + 10);
                snprintf(state, sizeof state, "state %d", i);
                commit(&d, key, state, 60000, 0, "event", 0);
                uint64_t seq = committed(&d, key);
                if (i < 190)
                        delivered(&d, seq);
                if (i % 20 == 0)
                        bed_receipt(&d);
        }
        CHECK(stat(path, &st) == 0 && st.st_size < 3 << 20);
        kill_core(&bed);
        struct vg_journal_summary summary;
        CHECK(look(path, &seen, &summary) == 0);
        CHECK(strcmp(seen.state, "state 199") == 0 && seen.outbox == 10);
        CHECK(seen.facts == 1 && seen.init.exit_status == 7 && summary.last_fact == 3 && summary.facts_through == 2);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

/* A disk with room for the journal's first blocks and hardly more. */
static void a_full_disk_refuses_commits_and_keeps_facts(void) {
        struct bed bed;
        struct bed_daemon d;
        struct seen seen;
        char big[128], key[32];
        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
                printf("skipped: a full disk: no file system can be mounted here\n");
                return;
        }
        bed_prepare(&bed);
        CHECK(mkdir(bed.state, 0700) == 0 && mount("tmpfs", bed.state, "tmpfs", 0, "size=600k") == 0);
        bed_go(&bed);
        bed_daemon_accept(&bed, &d);
        bed_ready(&d);
        /* What is left of it. */
        snprintf(big, sizeof big, "%s/big", bed.state);
        int fd = open(big, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        char page[4096] = {1};
        while (write(fd, page, sizeof page) > 0)
                ;
        close(fd);
        int refused = 0;
        unsigned done = 0;
        for (unsigned i = 0; i < 20 && !refused; i++) {
                snprintf(key, sizeof key, "t:%u", i);
                commit(&d, key, key, 30000, 0, "event", 0);
                struct bed_record r = {0};
                bed_next(&d, &r);
                if (r.header.type == VG_REC_COMMITTED) {
                        done = i;
                } else {
                        CHECK(r.header.type == VG_REC_RESULT);
                        free(vg_get_str(&r.reader));
                        CHECK((int32_t)vg_get_u32(&r.reader) == -ENOSPC);
                        refused = 1;
                }
                bed_record_done(&r);
        }
        CHECK(refused && done > 0);
        run_container(&d); /* its facts have their own room */
        bed_daemon_kill(&d);
        bed_daemon_accept(&bed, &d);
        struct bed_record r = bed_expect(&d, VG_REC_HELLO);
        d.epoch = r.header.epoch;
        bed_record_done(&r);
        r = bed_expect(&d, VG_REC_STATE); /* of the last commit that was done, not of the one that was refused */
        free(vg_get_str(&r.reader));
        struct vg_bytes blob = vg_get_bytes(&r.reader);
        snprintf(key, sizeof key, "t:%u", done);
        CHECK(strcmp((const char *)blob.data, key) == 0);
        bed_record_done(&r);
        _cleanup_free_ char *path = journal_of(&bed);
        kill_core(&bed);
        CHECK(look(path, &seen, NULL) == 0 && seen.facts == 3 && strcmp(seen.state, key) == 0);
        bed_daemon_gone(&d);
        umount2(bed.state, MNT_DETACH);
        bed_end(&bed);
}

static void a_core_without_a_disk_says_so(void) {
        struct bed bed;
        bed_prepare(&bed);
        int fd = open(bed.state, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); /* a file where the directory should be */
        close(fd);
        bed_go(&bed);
        int client = bed_connect(&bed);
        bed_send_frame(client, 1, 1, 0, "create");
        bed_expect_status(client, 1, 14, "cannot keep its state");
        close(client);
        bed_end(&bed);
}

int main(int argc, char **argv) {
        bed_roles(argc, argv);
        CHECK(vg_crc32c(0, "123456789", 9) == 0xe3069283); /* RFC 3720's check value */
        static void (*const tests[])(void) = {
                cut_anywhere_it_is_as_of_the_last_whole_entry,
                a_dead_core_has_left_what_it_owes,
                commits_are_handed_over,
                the_journal_does_not_grow_for_ever,
                a_full_disk_refuses_commits_and_keeps_facts,
                a_core_without_a_disk_says_so,
        };
        return bed_run(tests, VG_COUNT(tests), argc, argv);
}
