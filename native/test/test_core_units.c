/* The small parts of the core by themselves. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/config.h"
#include "core/core.h"
#include "core/frame.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/map.h"
#include "core/receipts.h"
#include "core/status.h"
#include "core/teardown_file.h"
#include "lib/cleanup.h"
#include "lib/protobuf.h"
#include "lib/teardown.h"
#include "test/check.h"

#define MS VG_MS

/* --- loop --- */

struct step {
        struct vg_timer timer;
        struct vg_loop *loop;
        int number, *order, *count;
        struct vg_timer *cancels;
        bool stops;
};

static void step_fired(struct vg_timer *timer) {
        struct step *s = timer->owner;
        s->order[(*s->count)++] = s->number;
        if (s->cancels)
                vg_timer_cancel(s->cancels);
        if (s->stops)
                vg_loop_stop(s->loop);
}

static void timers_fire_in_order_and_not_when_cancelled(void) {
        struct vg_loop *loop;
        int order[8], count = 0;
        CHECK(vg_loop_new(&loop) == 0);
        struct step steps[5];
        uint64_t now = vg_now_mono();
        static const unsigned after_ms[] = {30, 10, 20, 25, 40};
        for (int i = 0; i < 5; i++) {
                steps[i] = (struct step){.loop = loop, .number = i, .order = order, .count = &count};
                steps[i].timer = (struct vg_timer){.fired = step_fired, .owner = &steps[i]};
                vg_timer_set(loop, &steps[i].timer, now + after_ms[i] * MS);
        }
        steps[2].cancels = &steps[3].timer;
        steps[4].stops = true;
        vg_timer_set(loop, &steps[1].timer, now + 35 * MS); /* moved */
        CHECK(vg_loop_run(loop) == 0);
        CHECK(vg_now_mono() - now >= 40 * MS);
        CHECK(count == 4 && order[0] == 2 && order[1] == 0 && order[2] == 1 && order[3] == 4);
        vg_timer_cancel(&steps[3].timer); /* fine when not set */
        vg_loop_free(loop);
}

static void a_timer_is_exact_below_a_millisecond(void) {
        struct vg_loop *loop;
        int order[1], count = 0;
        CHECK(vg_loop_new(&loop) == 0);
        uint64_t best = UINT64_MAX;
        for (int i = 0; i < 20; i++) {
                struct step s = {.loop = loop, .order = order, .count = &count, .stops = true};
                s.timer = (struct vg_timer){.fired = step_fired, .owner = &s};
                uint64_t due = vg_now_mono() + 300000;
                vg_timer_set(loop, &s.timer, due);
                count = 0;
                CHECK(vg_loop_run(loop) == 0);
                uint64_t now = vg_now_mono();
                CHECK(now >= due);
                if (now - due < best)
                        best = now - due;
        }
        CHECK(best < MS);
        vg_loop_free(loop);
}

struct pair {
        struct vg_source source;
        struct pair *other;
        struct vg_loop *loop;
        int *runs;
};

static void pair_ready(struct vg_source *source, uint32_t events) {
        struct pair *p = source->owner;
        (void)events;
        ++*p->runs;
        vg_source_remove(&p->other->source);
        vg_source_remove(&p->source);
        vg_loop_stop(p->loop);
}

static void a_source_removed_in_its_round_is_not_called(void) {
        struct vg_loop *loop;
        int ends[2], runs = 0;
        CHECK(vg_loop_new(&loop) == 0 && pipe2(ends, O_CLOEXEC) == 0 && write(ends[1], "x", 1) == 1);
        _cleanup_close_ int second = dup(ends[0]);
        struct pair a = {.loop = loop, .runs = &runs}, b = {.loop = loop, .runs = &runs};
        a.source = (struct vg_source){.fd = ends[0], .events = EPOLLIN, .ready = pair_ready, .owner = &a};
        b.source = (struct vg_source){.fd = second, .events = EPOLLIN, .ready = pair_ready, .owner = &b};
        a.other = &b;
        b.other = &a;
        CHECK(vg_source_add(loop, &a.source) == 0 && vg_source_add(loop, &b.source) == 0);
        CHECK(vg_loop_run(loop) == 0 && runs == 1);
        CHECK(vg_source_change(&a.source, EPOLLIN) < 0);
        vg_source_remove(&a.source);
        close(ends[0]);
        close(ends[1]);
        vg_loop_free(loop);
}

/* --- map --- */

struct thing {
        struct vg_map_entry by_name;
        char name[16];
        bool seen;
};

static void a_map_finds_what_is_in_it(void) {
        static struct thing things[1000];
        struct vg_map map = {0};
        CHECK(!vg_map_find(&map, "0") && !vg_map_any(&map));
        for (int i = 0; i < 1000; i++) {
                snprintf(things[i].name, sizeof things[i].name, "%d", i);
                CHECK(vg_map_add(&map, &things[i].by_name, things[i].name) == 0);
        }
        for (int i = 0; i < 1000; i += 2)
                vg_map_remove(&map, &things[i].by_name);
        CHECK(map.count == 500);
        for (int i = 0; i < 1000; i++) {
                char name[16];
                snprintf(name, sizeof name, "%d", i);
                struct vg_map_entry *e = vg_map_find(&map, name);
                CHECK(i % 2 ? e && VG_OWNER(e, struct thing, by_name) == &things[i] : !e);
        }
        int count = 0;
        for (struct vg_map_entry *e = NULL; (e = vg_map_next(&map, e)); count++) {
                struct thing *thing = VG_OWNER(e, struct thing, by_name);
                CHECK(!thing->seen);
                thing->seen = true;
        }
        CHECK(count == 500);
        vg_map_done(&map);
}

/* --- frames --- */

static void frames_are_put_together_from_any_pieces(void) {
        uint8_t wire[4096];
        size_t size = 0;
        for (uint32_t i = 0; i < 20; i++) {
                struct vg_frame frame = {.length = i * 7, .stream = 2 * i + 1, .type = VG_FRAME_REQUEST, .flags = (uint8_t)i};
                vg_frame_header(wire + size, &frame);
                memset(wire + size + VG_FRAME_HEADER, (int)i, frame.length);
                size += VG_FRAME_HEADER + frame.length;
        }
        for (size_t piece = 1; piece < 64; piece++) {
                struct vg_frame_reader reader = {0};
                uint32_t n = 0;
                for (size_t at = 0; at < size; at += piece) {
                        const uint8_t *from = wire + at, *end = wire + (at + piece < size ? at + piece : size);
                        struct vg_frame frame;
                        uint8_t *body;
                        while (vg_frame_take(&reader, &from, end, &frame, &body) == 1) {
                                CHECK(frame.stream == 2 * n + 1 && frame.length == n * 7 && frame.flags == n && body);
                                CHECK(frame.length == 0 || (body[0] == n && body[frame.length - 1] == n));
                                free(body);
                                n++;
                        }
                        CHECK(from == end);
                }
                CHECK(n == 20);
                vg_frame_reader_done(&reader);
        }
}

/* --- status --- */

static void a_status_is_read_as_it_was_written(void) {
        _cleanup_writer_ struct vg_writer w = {0};
        char words[300];
        memset(words, 'w', sizeof words);
        words[299] = 0;
        vg_put_status_response(&w, VG_CODE_UNAVAILABLE, words);
        struct vg_reader outer = vg_reader_of(w.data, w.size);
        struct vg_pb_field field;
        CHECK(vg_pb_next(&outer, &field) && field.number == 1 && field.type == 2);
        struct vg_reader inner = vg_reader_of(field.bytes.data, field.bytes.size);
        CHECK(!vg_pb_next(&outer, &field) && outer.error == 0);
        CHECK(vg_pb_next(&inner, &field) && field.number == 1 && field.value == 14);
        CHECK(vg_pb_next(&inner, &field) && field.number == 2 && field.bytes.size == 299);
        CHECK(!vg_pb_next(&inner, &field) && inner.error == 0);
}

/* --- receipts --- */

static void the_oldest_unacknowledged_record_has_the_clock(void) {
        struct vg_receipts r = {0};
        CHECK(vg_receipts_oldest(&r) == 0);
        vg_receipts_sent(&r, 1, 1000 * MS);
        vg_receipts_sent(&r, 2, 1010 * MS); /* within the span of the first */
        vg_receipts_sent(&r, 3, 1100 * MS);
        CHECK(vg_receipts_oldest(&r) == 1000 * MS);
        vg_receipts_acknowledge(&r, 1);
        CHECK(vg_receipts_oldest(&r) == 1000 * MS); /* 2 is still out */
        vg_receipts_acknowledge(&r, 2);
        CHECK(vg_receipts_oldest(&r) == 1100 * MS);
        vg_receipts_restart(&r, 5000 * MS);
        CHECK(vg_receipts_oldest(&r) == 5000 * MS);
        vg_receipts_acknowledge(&r, 3);
        CHECK(vg_receipts_oldest(&r) == 0);
        /* More spans than there is room for: the last one grows, the oldest is still known. */
        for (uint64_t i = 0; i < 1000; i++)
                vg_receipts_sent(&r, 4 + i, (6000 + 100 * i) * MS);
        CHECK(vg_receipts_oldest(&r) == 6000 * MS);
        vg_receipts_acknowledge(&r, 4);
        CHECK(vg_receipts_oldest(&r) == 6100 * MS);
        vg_receipts_acknowledge(&r, 1002);
        CHECK(vg_receipts_oldest(&r) != 0);
        vg_receipts_acknowledge(&r, 1003);
        CHECK(vg_receipts_oldest(&r) == 0);
}

/* --- teardown record --- */

static char *read_text(const char *path) {
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        CHECK(f);
        char *text = calloc(1, 65536);
        CHECK(text && fread(text, 1, 65535, f) > 0);
        return text;
}

static void the_teardown_record_is_kept_up_to_date(void) {
        char root[] = "/tmp/vigil-test-XXXXXX", path[VG_DIRECTORY_MAX + 64], events[128], text[512], expected[4096];
        CHECK(mkdtemp(root));
        static struct vg_config config;
        snprintf(config.cores, sizeof config.cores, "%s/cores/ns", root);
        snprintf(config.state_dir, sizeof config.state_dir, "%s/state", root);
        snprintf(events, sizeof events, "%s/memory events", root); /* a path may have a space */
        FILE *f = fopen(events, "we");
        CHECK(f && fputs("low 0\noom 3\noom_kill 5\n", f) > 0 && fclose(f) == 0);
        snprintf(text, sizeof text, "vigil-teardown 1\ncgroup 2 /c g\nmemory 2 %s oom_kill 0\nmount /m\n", events);
        struct vg_teardown_file file;
        CHECK(vg_teardown_file_write(&config, "c", text, &file) == 0);
        vg_teardown_file_armed(&file);
        CHECK(file.baseline == 5);
        CHECK(vg_teardown_file_pid(&file, 42, 4242) == 0 && vg_teardown_file_counted(&file, 2, 9) == 0);
        snprintf(path, sizeof path, "%s/c/teardown", config.cores);
        _cleanup_free_ char *record = read_text(path);
        snprintf(expected, sizeof expected,
                 "vigil-teardown 1\ncgroup 2 /c g\nmemory 2 %s oom_kill 7\nmount /m\npid 42 4242\njournal %s/journal\ncounted-fact "
                 "9\n",
                 events, config.state_dir);
        CHECK(strcmp(record, expected) == 0);
        struct vg_teardown read; /* as `delete` reads it */
        CHECK(vg_teardown_read(path, &read) == 0 && read.pid == 42 && read.memory_count == 7 && read.start_time == 4242);
        CHECK(strcmp(read.memory_file, events) == 0 && read.counted_fact == 9);
        vg_teardown_done(&read);
        vg_teardown_file_remove(&file);
        CHECK(access(path, F_OK) < 0);
        CHECK(vg_teardown_file_write(&config, "c", "", &file) == 0 && access(config.cores, F_OK) == 0);
        vg_teardown_file_done(&file);
        unlink(events);
        rmdir(config.cores);
        snprintf(path, sizeof path, "%s/cores", root);
        rmdir(path);
        CHECK(rmdir(root) == 0);
}

/* --- log --- */

static void a_log_line_is_one_line_and_never_waits(void) {
        int ends[2];
        char text[8192], long_value[6000];
        CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
        const struct vg_log log = {.fd = ends[1]};
        vg_log(&log, VG_LOG_WARNING, "daemon died", "how", "said \"no\"\nand went", "key", "t:1", NULL);
        vg_log(&log, VG_LOG_DEBUG, "not wanted", NULL);
        ssize_t n = read(ends[0], text, sizeof text - 1);
        CHECK(n > 0);
        text[n] = 0;
        CHECK(strstr(text, "level=warning msg=\"daemon died\" how=\"said \\\"no\\\" and went\" key=\"t:1\"\n"));
        CHECK(strncmp(text, "time=\"2", 7) == 0 && strchr(text, '\n') == text + n - 1);
        memset(long_value, 'x', sizeof long_value);
        long_value[sizeof long_value - 1] = 0;
        for (int i = 0; i < 100; i++) /* more than a pipe holds */
                vg_log(&log, VG_LOG_ERROR, "long", "value", long_value, NULL);
        n = read(ends[0], text, sizeof text);
        CHECK(n > 4095 && text[4094] == '\n');
        close(ends[0]);
        close(ends[1]);
}

static void names_that_could_leave_a_directory_are_refused(void) {
        static const char *const bad[] = {"", ".", "..", "a/b", "/", "../x"};
        for (size_t i = 0; i < VG_COUNT(bad); i++)
                CHECK(!vg_name_is_valid(bad[i]));
        CHECK(vg_name_is_valid("a.b-c_d") && vg_name_is_valid("...") && vg_name_is_valid("k8s.io"));
}

/* --- idling --- */

static void only_an_idle_core_counts_down(void) {
        static struct vg_core core;
        int ends[2];
        core.log.fd = -1;
        core.config.socket = core.config.group = "none";
        CHECK(vg_loop_new(&core.loop) == 0 && vg_oom_host_new(core.loop, 0, &core.oom_host) == 0);
        vg_core_init(&core);
        CHECK(core.shutdown.idle.loop && core.shutdown.idle.due > vg_now_mono() + 50000 * MS);
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        CHECK(vg_connection_new(&core, ends[0]) == 0);
        CHECK(!core.shutdown.idle.loop);
        close(ends[1]);
        int order[1], count = 0;
        struct step stop = {.loop = core.loop, .order = order, .count = &count, .stops = true};
        stop.timer = (struct vg_timer){.fired = step_fired, .owner = &stop};
        vg_timer_set(core.loop, &stop.timer, vg_now_mono() + 20 * MS);
        CHECK(vg_loop_run(core.loop) == 0);
        CHECK(core.connections.count == 0 && core.shutdown.idle.loop);
        vg_core_done(&core);
}

int main(void) {
        only_an_idle_core_counts_down();
        timers_fire_in_order_and_not_when_cancelled();
        a_timer_is_exact_below_a_millisecond();
        a_source_removed_in_its_round_is_not_called();
        a_map_finds_what_is_in_it();
        frames_are_put_together_from_any_pieces();
        a_status_is_read_as_it_was_written();
        the_oldest_unacknowledged_record_has_the_clock();
        the_teardown_record_is_kept_up_to_date();
        a_log_line_is_one_line_and_never_waits();
        names_that_could_leave_a_directory_are_refused();
        return EXIT_SUCCESS;
}
