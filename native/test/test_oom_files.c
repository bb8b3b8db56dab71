/* The watch on files that behave as the kernel's do, where the kernel's cannot be made to: counters without a memory
 * controller, a log with chosen records, notifications that do not come. */
#include <limits.h>
#include <sys/inotify.h>
#include <time.h>

#include "oom/held.h"
#include "oom/kmsg.h"
#include "oom/notify.h"
#include "test/test_oom.h"

static struct vg_loop *loop;
static struct vg_oom_host *host;
static char root[64], cgroup[128];

static const char *in(const char *name) {
        static char path[4][256];
        static unsigned next;
        char *into = path[next++ % 4];
        snprintf(into, sizeof path[0], "%s/%s", root, name);
        return into;
}

/* As long as before: nobody reads half of it. */
static void set_events(const char *name, uint64_t max, uint64_t oom_kill) {
        char text[256];
        int size = snprintf(text, sizeof text, "low 0\nhigh 0\nmax %08llu\noom 0\noom_kill %08llu\noom_group_kill 0\n",
                            (unsigned long long)max, (unsigned long long)oom_kill);
        int fd = open(in(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && pwrite(fd, text, (size_t)size, 0) == size);
        close(fd);
}

/* A change that nobody is told: what is written through a mapping makes no inotify event (inotify(7)). */
static void set_silently(const char *name, const char *key, char last_digit) {
        int fd = open(in(name), O_RDWR | O_CLOEXEC);
        char *text = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHECK(fd >= 0 && text != MAP_FAILED);
        char *at = strstr(text, key);
        CHECK(at);
        at[strlen(key) + 7] = last_digit;
        munmap(text, 4096);
        close(fd);
}

/* What a removed cgroup's file reads like: nothing. */
static void remove_events(const char *name) {
        CHECK(truncate(in(name), 0) == 0);
}

static struct vg_oom_watch *watch_new(struct vg_test_readings *readings, bool with_parent) {
        *readings = (struct vg_test_readings){0};
        set_events("pod/memory.events", 7, 40);
        set_events("pod/container/memory.events", 0, 10);
        char *held[] = {strdup(in("pod/container/memory.events")), with_parent ? strdup(in("pod/memory.events")) : NULL, NULL};
        struct vg_oom_spec spec = {.version = 2, .cgroup = cgroup, .held = held, .host = host};
        struct vg_oom_watch *watch;
        CHECK_EQ(vg_oom_watch_new(loop, &spec, vg_test_killed, readings, &watch), 0);
        free(held[0]);
        free(held[1]);
        return watch;
}

static void run(unsigned ms) {
        vg_test_run(loop, ms, NULL, NULL);
}

static void numbers_are_read_as_the_kernel_writes_them(void) {
        static const struct {
                const char *text, *key;
                bool found;
                uint64_t value;
        } rows[] = {
                {"low 0\nhigh 0\nmax 35\noom 1\noom_kill 1\noom_group_kill 0\n", "oom_kill", true, 1},
                {"low 0\nhigh 0\nmax 35\noom 2\noom_kill 1\n", "oom", true, 2},
                {"oom_kill_disable 0\nunder_oom 1\noom_kill 5\n", "oom_kill", true, 5},
                {"oom_kill_disable 0\nunder_oom 1\n", "oom_kill", false, 0},
                {"oom_kill 18446744073709551615", "oom_kill", true, UINT64_MAX},
                {"oom_kill 18446744073709551616\n", "oom_kill", false, 0},
                {"oom_kill -1\n", "oom_kill", false, 0},
                {"oom_kill 1x\n", "oom_kill", false, 0},
                {"oom_kill \n", "oom_kill", false, 0},
                {"oom_kill\n", "oom_kill", false, 0},
                {"sock_throttled 3\noom_kill 4\nlow 0\n", "oom_kill", true, 4},
                {"", "oom_kill", false, 0},
        };
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                uint64_t value = 0;
                char *copy = strdup(rows[i].text); /* its end is guarded by the sanitizer */
                CHECK_EQ(vg_counter_find(copy, strlen(copy), rows[i].key, &value), rows[i].found);
                CHECK(value == rows[i].value);
                free(copy);
        }
}

static void a_kill_is_told_with_the_texts_around_it(void) {
        static struct vg_test_readings readings;
        struct vg_oom_watch *watch = watch_new(&readings, true);
        CHECK_EQ(vg_oom_watch_mode(watch), VG_OOM_NOTIFIED);
        set_events("pod/memory.events", 8, 41);
        set_events("pod/container/memory.events", 3, 11);
        CHECK(vg_test_await(loop, vg_test_has_reading, &readings));
        CHECK_EQ(readings.kills, 1);
        const char *own = strstr(readings.held, "max 00000000\noom 0\noom_kill 00000010\n");
        const char *after = strstr(readings.held, "max 00000003\noom 0\noom_kill 00000011\n");
        const char *parent = strstr(readings.held, "oom_kill 00000040\n"), *then = strstr(readings.held, "oom_kill 00000041\n");
        CHECK(own && after && parent && then && own < after && after < parent && parent < then);
        /* Within the next 100 ms: one reading with the sum, and its "before" is the last one's "after". */
        set_events("pod/container/memory.events", 4, 12);
        run(1);
        set_events("pod/container/memory.events", 5, 15);
        run(1);
        CHECK_EQ(readings.count, 1);
        CHECK_EQ(vg_oom_watch_total(watch), 5);
        run(100);
        CHECK_EQ(readings.count, 2);
        CHECK_EQ(readings.kills, 5);
        CHECK(strstr(readings.held, "oom_kill 00000011\n") && strstr(readings.held, "oom_kill 00000015\n"));
        CHECK(!strstr(readings.held, "oom_kill 00000010\n") && !strstr(readings.held, "oom_kill 00000040\n"));
        /* Before the exit of a process is told, nothing is held back. */
        set_events("pod/container/memory.events", 5, 16);
        vg_oom_watch_settle(watch);
        CHECK_EQ(readings.count, 3);
        CHECK_EQ(readings.kills, 6);
        /* What is folded when the end comes is told with it. */
        set_events("pod/container/memory.events", 5, 17);
        run(10);
        CHECK_EQ(readings.count, 3);
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.kills, 7);
        CHECK(readings.last);
        vg_oom_watch_free(watch);
}

static void a_counter_that_falls_is_no_kill(void) {
        static struct vg_test_readings readings;
        struct vg_oom_watch *watch = watch_new(&readings, true);
        set_events("pod/container/memory.events", 0, 4);
        run(10);
        vg_oom_watch_poke(watch);
        set_events("pod/container/memory.events", 0, 10);
        run(10);
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.count, 0);
        vg_oom_watch_free(watch);
}

/* The first movement of "max" makes it look in short steps: the kill is seen although nobody tells it. */
static void the_run_up_starts_short_steps(void) {
        static struct vg_test_readings readings;
        struct vg_oom_watch *watch = watch_new(&readings, true);
        set_silently("pod/container/memory.events", "oom_kill ", '1');
        run(50);
        CHECK_EQ(readings.count, 0);
        set_events("pod/container/memory.events", 1, 10);
        run(5);
        set_silently("pod/container/memory.events", "oom_kill ", '2');
        CHECK(vg_test_await(loop, vg_test_has_reading, &readings));
        CHECK_EQ(readings.kills, 2);
        run(50);
        CHECK(vg_test_count_sleeps(loop, 300) <= 3);
        vg_oom_watch_free(watch);
}

/* A container that lives at its limit: "max" moves for seconds and nobody dies. */
static void a_storm_without_kills_costs_little(void) {
        static struct vg_test_readings readings;
        struct vg_oom_watch *watch = watch_new(&readings, true);
        pid_t storm = fork();
        CHECK(storm >= 0);
        if (storm == 0)
                for (uint64_t max = 1;; max++) {
                        set_events("pod/container/memory.events", max, max < 3200 ? 10 : 11);
                        usleep(1000);
                }
        struct timespec a, b;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
        vg_test_count_sleeps(loop, 2500);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
        long ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
        printf("2.5 s of storm: %ld ms of CPU (sanitizers included)\n", ms);
        long sleeps = vg_test_count_sleeps(loop, 500);
        printf("then %ld sleeps in 0.5 s\n", sleeps);
        CHECK(sleeps <= 8);
        CHECK_EQ(readings.count, 0);
        /* It is still seen, later than usual; and the storm's end is seen, too. */
        CHECK(vg_test_await(loop, vg_test_has_reading, &readings));
        kill(storm, SIGKILL);
        vg_test_reap(storm, SIGKILL);
        set_events("pod/container/memory.events", 90000, 11);
        run(1400);
        set_events("pod/container/memory.events", 90000, 12);
        run(20);
        CHECK_EQ(readings.kills, 2);
        vg_oom_watch_free(watch);
}

static void without_inotify_it_looks_by_the_clock(void) {
        static struct vg_test_readings readings;
        struct vg_oom_watch *watch = watch_new(&readings, true);
        CHECK_EQ(vg_oom_watch_mode(watch), VG_OOM_POLLED);
        set_events("pod/container/memory.events", 0, 11);
        CHECK(vg_test_await(loop, vg_test_has_reading, &readings));
        CHECK_EQ(readings.kills, 1);
        vg_oom_watch_free(watch);
}

/* ... and is asked about at the end: the last sample counts, then the ancestors, and doubt is said. */
static void the_cgroup_is_gone_before_the_last_look(void) {
        static struct vg_test_readings readings;
        struct vg_oom_watch *watch = watch_new(&readings, true);
        remove_events("pod/container/memory.events");
        run(10);
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.count, 0); /* the pod's count did not move: nobody was killed */
        vg_oom_watch_free(watch);

        watch = watch_new(&readings, true);
        remove_events("pod/container/memory.events");
        set_events("pod/memory.events", 9, 41);
        run(10);
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.count, 1);
        CHECK_EQ(readings.kills, 0);
        CHECK(readings.last && strstr(readings.held, "oom_kill 00000040\n") && strstr(readings.held, "oom_kill 00000041\n"));
        vg_oom_watch_free(watch);

        watch = watch_new(&readings, false);
        remove_events("pod/container/memory.events");
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.count, 1);
        CHECK(readings.kills == 0 && readings.last);
        vg_oom_watch_free(watch);

        /* Seen, folded, and then it went. */
        watch = watch_new(&readings, true);
        set_events("pod/container/memory.events", 1, 11);
        vg_oom_watch_poke(watch);
        set_events("pod/container/memory.events", 1, 13);
        vg_oom_watch_poke(watch);
        CHECK_EQ(readings.kills, 1);
        remove_events("pod/container/memory.events");
        run(150);
        CHECK_EQ(readings.kills, 3);
        CHECK(strstr(readings.held, "oom_kill 00000013\n"));
        vg_oom_watch_free(watch);
}

struct subscriber {
        struct vg_notify notify;
        unsigned seen;
        char name[NAME_MAX + 1];
};

static void subscriber_seen(struct vg_notify *notify, uint32_t mask, const char *name) {
        struct subscriber *subscriber = notify->owner;
        CHECK(mask & IN_CREATE);
        subscriber->seen++;
        strcpy(subscriber->name, name);
}

static void subscribers_share_a_directory(void) {
        struct vg_inotify inotify;
        struct subscriber subscribers[2] = {0};
        CHECK_EQ(vg_inotify_open(&inotify, loop), 0);
        int directory = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (unsigned i = 0; i < 2; i++) {
                subscribers[i].notify = (struct vg_notify){.mask = IN_CREATE, .seen = subscriber_seen, .owner = &subscribers[i]};
                CHECK_EQ(vg_notify_add(&inotify, &subscribers[i].notify, directory), 0);
        }
        close(directory);
        CHECK(mkdir(in("a"), 0700) == 0);
        run(5);
        CHECK(subscribers[0].seen == 1 && subscribers[1].seen == 1 && strcmp(subscribers[0].name, "a") == 0);
        vg_notify_remove(&inotify, &subscribers[0].notify);
        CHECK(mkdir(in("b"), 0700) == 0);
        run(5);
        CHECK(subscribers[0].seen == 1 && subscribers[1].seen == 2 && strcmp(subscribers[1].name, "b") == 0);
        vg_notify_remove(&inotify, &subscribers[1].notify);
        vg_notify_remove(&inotify, &subscribers[1].notify);
        CHECK(rmdir(in("a")) == 0 && rmdir(in("b")) == 0);
        run(5);
        vg_inotify_close(&inotify);
}

/* A pipe of packets stands for /dev/kmsg: a record a read. */
static int log_new(struct vg_kmsg *kmsg) {
        int ends[2];
        CHECK(pipe2(ends, O_DIRECT | O_NONBLOCK | O_CLOEXEC) == 0);
        vg_kmsg_init(kmsg, ends[0]);
        return ends[1];
}

static void log_line(int log, const char *record) {
        CHECK(write(log, record, strlen(record)) == (ssize_t)strlen(record));
}

static void expect_lines(struct vg_kmsg *kmsg, uint64_t since, const char *const *expected, uint32_t count) {
        struct vg_writer w = {0};
        CHECK(vg_kmsg_drain(kmsg, UINT64_MAX));
        vg_kmsg_put(kmsg, since, &w);
        CHECK_EQ(w.error, 0);
        struct vg_reader r = vg_reader_of(w.data, w.size);
        CHECK_EQ(vg_get_u32(&r), count);
        for (uint32_t i = 0; i < count; i++) {
                char *line = vg_get_str(&r);
                CHECK(line && (!expected || strcmp(line, expected[i]) == 0));
                free(line);
        }
        CHECK_EQ(vg_reader_end(&r), 0);
        vg_writer_done(&w);
}

static void the_log_keeps_what_speaks_of_kills(void) {
        static const char *const kept[] = {
                "4,901,5012345,-;stress invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
                "6,902,5012350,-;memory: usage 20480kB, limit 20480kB, failcnt 35",
                "6,903,5012351,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
                "oom_memcg=/pod/c,task_memcg=/pod/c,task=stress,pid=4242,uid=0",
                "3,904,5012360,-;Memory cgroup out of memory: Killed process 4242 (stress) total-vm:30kB, anon-rss:20kB, "
                "file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:80kB oom_score_adj:0",
                "6,905,5012361,-;Tasks in /pod/c are going to be killed due to memory.oom.group set",
        };
        struct vg_kmsg kmsg;
        int log = log_new(&kmsg);
        log_line(log, "6,900,5000000,-;eth0: link up\n SUBSYSTEM=net\n DEVICE=n2\n");
        for (size_t i = 0; i < 5; i++)
                log_line(log, kept[i]);
        log_line(log, "6,906,5012400,-;Memory cgroup stats for /pod/c:\n");
        /* Written by a process: facility 1 (user), or without a header. */
        log_line(log, "12,907,5012500,-;Memory cgroup out of memory: Killed process 1 (init) total-vm:0kB\n");
        log_line(log, "Killed process 1 (init)");
        expect_lines(&kmsg, 0, kept, 5);
        CHECK(vg_kmsg_tells_kill(&kmsg, 0));
        CHECK(vg_kmsg_tells_kill(&kmsg, 3));
        CHECK(!vg_kmsg_tells_kill(&kmsg, 4));
        expect_lines(&kmsg, 3, kept + 3, 2);
        expect_lines(&kmsg, 5, NULL, 0);
        /* The newest 64, and of those the newest 16 KiB. */
        for (unsigned n = 0; n < 100; n++) {
                char record[256];
                snprintf(record, sizeof record, "6,%u,1,-;Killed process %u (x)", n, n);
                log_line(log, record);
                if (n % 10 == 0)
                        vg_kmsg_drain(&kmsg, UINT64_MAX);
        }
        expect_lines(&kmsg, 0, NULL, 64);
        char record[1000] = "6,1,1,-;Killed process 1 ";
        memset(record + strlen(record), 'x', sizeof record - 1 - strlen(record));
        for (unsigned n = 0; n < 20; n++) {
                log_line(log, record);
                vg_kmsg_drain(&kmsg, UINT64_MAX);
        }
        expect_lines(&kmsg, 0, NULL, 16);
        /* A kill is not told later because others have much to say. */
        for (unsigned n = 0; n < 16; n++)
                log_line(log, "6,1,1,-;noise");
        CHECK(!vg_kmsg_drain(&kmsg, 0));
        CHECK(vg_kmsg_drain(&kmsg, UINT64_MAX));
        close(log);
        vg_kmsg_done(&kmsg);
        vg_kmsg_init(&kmsg, -1);
        expect_lines(&kmsg, 0, NULL, 0);
        vg_kmsg_done(&kmsg);
}

int main(void) {
        snprintf(root, sizeof root, "/tmp/vigil-test-oom-XXXXXX");
        CHECK(mkdtemp(root));
        snprintf(cgroup, sizeof cgroup, "%s/pod/container", root);
        CHECK(mkdir(in("pod"), 0700) == 0 && mkdir(cgroup, 0700) == 0);
        CHECK_EQ(vg_loop_new(&loop), 0);
        unsigned files = vg_test_open_files();
        numbers_are_read_as_the_kernel_writes_them();
        subscribers_share_a_directory();
        the_log_keeps_what_speaks_of_kills();

        CHECK_EQ(vg_oom_host_new(loop, VG_OOM_WITHOUT_KMSG, &host), 0);
        a_kill_is_told_with_the_texts_around_it();
        a_counter_that_falls_is_no_kill();
        the_run_up_starts_short_steps();
        a_storm_without_kills_costs_little();
        the_cgroup_is_gone_before_the_last_look();
        vg_oom_host_free(host);

        CHECK_EQ(vg_oom_host_new(loop, VG_OOM_WITHOUT_INOTIFY | VG_OOM_WITHOUT_KMSG, &host), 0);
        without_inotify_it_looks_by_the_clock();
        the_cgroup_is_gone_before_the_last_look();
        vg_oom_host_free(host);

        CHECK_EQ(vg_test_open_files(), files);
        vg_loop_free(loop);
        CHECK(unlink(in("pod/container/memory.events")) == 0 && unlink(in("pod/memory.events")) == 0);
        CHECK(rmdir(cgroup) == 0 && rmdir(in("pod")) == 0 && rmdir(root) == 0);
        return 0;
}
