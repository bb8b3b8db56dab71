/* Real kills under cgroup v1: each in exactly one reading. */
#include <stdio.h>

#include "test/test_oom.h"

static struct vg_loop *loop;
static struct vg_oom_host *host;
static char root[128]; /* of everything this test makes */
static char cgroup[256];

#define LIMIT "20971520"

static const char *below(const char *directory, const char *name) {
        static char path[4][512];
        static unsigned next;
        char *into = path[next++ % 4];
        snprintf(into, sizeof path[0], "%s/%s", directory, name);
        return into;
}

static void find_controller(void) {
        char device[64], where[128], type[64], options[256];
        FILE *mounts = fopen("/proc/self/mounts", "re");
        CHECK(mounts);
        while (fscanf(mounts, "%63s %127s %63s %255s %*d %*d\n", device, where, type, options) == 4)
                if (strcmp(type, "cgroup") == 0 && strstr(options, "memory"))
                        snprintf(root, sizeof root, "%.64s/vigil-test-%d", where, getpid());
        fclose(mounts);
        if (!root[0])
                SKIP("no cgroup v1 hierarchy with the memory controller is mounted");
        if (mkdir(root, 0755) < 0)
                SKIP("cgroups cannot be made here");
}

static void cgroup_new(void) {
        snprintf(cgroup, sizeof cgroup, "%s/container", root);
        CHECK(mkdir(cgroup, 0755) == 0);
        vg_test_write(cgroup, "memory.limit_in_bytes", LIMIT);
}

static struct vg_oom_watch *watch_new(struct vg_test_readings *readings) {
        *readings = (struct vg_test_readings){0};
        char *held[] = {strdup(below(cgroup, "memory.oom_control")), strdup(below(cgroup, "memory.failcnt")),
                        strdup(below(cgroup, "memory.not_there")), NULL};
        char *snapshot[] = {strdup(below(cgroup, "memory.usage_in_bytes")), strdup(below(cgroup, "memory.nor_this")),
                            strdup(below(cgroup, "memory.limit_in_bytes")), NULL};
        struct vg_oom_spec spec = {.version = 1, .cgroup = cgroup, .held = held, .snapshot = snapshot, .host = host};
        struct vg_oom_watch *watch;
        CHECK_EQ(vg_oom_watch_new(loop, &spec, vg_test_killed, readings, &watch), 0);
        for (unsigned i = 0; i < 3; i++) {
                free(held[i]);
                free(snapshot[i]);
        }
        return watch;
}

static void run(unsigned ms) {
        vg_test_run(loop, ms, NULL, NULL);
}

/* The readings must be there without anybody asking for them. */
static void expect(struct vg_oom_watch *watch, struct vg_test_readings *readings, unsigned kills) {
        for (unsigned n = 0; readings->kills < kills && n < 400; n++)
                run(1);
        run(5);
        CHECK_EQ(readings->kills, kills);
        CHECK_EQ(vg_oom_watch_total(watch), kills);
}

static void each_of_thirty_kills_is_told_once(void) {
        static struct vg_test_readings readings;
        cgroup_new();
        struct vg_oom_watch *watch = watch_new(&readings);
        CHECK_EQ(vg_oom_watch_mode(watch), VG_OOM_NOTIFIED);
        unsigned with_line = 0;
        for (unsigned n = 1; n <= 30; n++) {
                char line[64];
                pid_t pid = vg_test_eater(cgroup);
                CHECK(vg_test_await(loop, vg_test_is_dead, &pid));
                expect(watch, &readings, n);
                snprintf(line, sizeof line, "Killed process %d (", pid);
                with_line += strstr(readings.all_lines, line) != NULL;
                vg_test_reap(pid, SIGKILL);
        }
        if (access("/dev/kmsg", R_OK) == 0 && with_line < 29) {
                fprintf(stderr, "only %u of 30 kills came with their kernel log line\n", with_line);
                exit(1);
        }
        CHECK(!readings.last);
        char expected[1024];
        snprintf(expected, sizeof expected, "%s/memory.oom_control|oom_kill_disable 0\nunder_oom 0\noom_kill 29\n", cgroup);
        CHECK(strncmp(readings.held, expected, strlen(expected)) == 0);
        CHECK(strstr(readings.held, "oom_kill 30\n"));
        CHECK(strstr(readings.held, "/memory.failcnt|") && !strstr(readings.held, "not_there"));
        CHECK(strstr(readings.snapshot, "/memory.limit_in_bytes|" LIMIT "\n\n") && !strstr(readings.snapshot, "nor_this"));
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.kills, 30);
        CHECK(!readings.last); /* there was nothing to tell any more */
        vg_oom_watch_free(watch);
        vg_test_rmdir(cgroup);
}

/* The cgroup was used before: what it counted then is not this container's. */
static void earlier_kills_are_not_counted(void) {
        static struct vg_test_readings readings;
        cgroup_new();
        vg_test_reap(vg_test_eater(cgroup), SIGKILL);
        CHECK(mkdir(below(cgroup, "sub"), 0755) == 0);
        vg_test_write(below(cgroup, "sub"), "memory.limit_in_bytes", "8388608");
        vg_test_reap(vg_test_eater(below(cgroup, "sub")), SIGKILL);
        struct vg_oom_watch *watch = watch_new(&readings);
        run(120);
        vg_oom_watch_poke(watch);
        CHECK_EQ(readings.count, 0);
        pid_t pid = vg_test_eater(cgroup);
        CHECK(vg_test_await(loop, vg_test_is_dead, &pid));
        expect(watch, &readings, 1);
        CHECK(strstr(readings.held, "oom_kill 1\n|oom_kill_disable 0\n"));
        vg_test_reap(pid, SIGKILL);
        vg_oom_watch_final(watch);
        vg_oom_watch_free(watch);
        CHECK_EQ(readings.kills, 1);
        vg_test_rmdir(below(cgroup, "sub"));
        vg_test_rmdir(cgroup);
}

/* Between the death of the init and its reap, without the loop having run at all. */
static void the_last_look_is_in_time(void) {
        static struct vg_test_readings readings;
        for (unsigned n = 0; n < 5; n++) {
                cgroup_new();
                struct vg_oom_watch *watch = watch_new(&readings);
                siginfo_t info;
                pid_t pid = vg_test_eater(cgroup);
                CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
                vg_oom_watch_final(watch);
                CHECK_EQ(readings.count, 1);
                CHECK_EQ(readings.kills, 1);
                CHECK(readings.last);
                vg_test_reap(pid, SIGKILL);
                vg_oom_watch_poke(watch);
                vg_oom_watch_final(watch);
                run(5);
                CHECK_EQ(readings.count, 1);
                vg_oom_watch_free(watch);
                vg_test_rmdir(cgroup);
        }
}

/* The init lives on; the grandchild is nobody's child here. */
static void a_child_is_killed_and_the_init_is_not(void) {
        static struct vg_test_readings readings;
        cgroup_new();
        struct vg_oom_watch *watch = watch_new(&readings);
        pid_t init = fork();
        CHECK(init >= 0);
        if (init == 0) {
                vg_test_join(cgroup);
                for (unsigned n = 0; n < 3; n++) {
                        pid_t pid = fork();
                        if (pid == 0) {
                                int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
                                if (write(score, "1000", 4) != 4)
                                        _exit(1);
                                vg_test_eat((size_t)1 << 32);
                        }
                        int status;
                        if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
                                _exit(1);
                }
                _exit(0);
        }
        CHECK(vg_test_await(loop, vg_test_is_dead, &init));
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.kills, 3);
        vg_test_reap(init, 1000);
        vg_oom_watch_free(watch);
        vg_test_rmdir(cgroup);
}

/* A cgroup of the container's own making, made after the watch began: its kill is in no other counter. */
static void a_kill_below_is_found(bool deeper, unsigned until_found_ms) {
        static struct vg_test_readings readings;
        cgroup_new();
        struct vg_oom_watch *watch = watch_new(&readings);
        char sub[512];
        snprintf(sub, sizeof sub, "%s/sub", cgroup);
        CHECK(mkdir(sub, 0755) == 0);
        if (deeper) {
                strcat(sub, "/deeper");
                CHECK(mkdir(sub, 0755) == 0);
        }
        vg_test_write(sub, "memory.limit_in_bytes", "8388608");
        run(until_found_ms);
        pid_t pid = vg_test_eater(sub);
        CHECK(vg_test_await(loop, vg_test_is_dead, &pid));
        expect(watch, &readings, 1);
        vg_test_reap(pid, SIGKILL);
        /* Its own limit was hit: it knows; the container's limit: both know, and it is one kill. */
        vg_test_write(sub, "memory.limit_in_bytes", "-1");
        pid = vg_test_eater(sub);
        CHECK(vg_test_await(loop, vg_test_is_dead, &pid));
        expect(watch, &readings, 2);
        vg_test_reap(pid, SIGKILL);
        /* What is gone stays in the sum. */
        vg_test_rmdir(sub);
        run(20);
        vg_oom_watch_poke(watch);
        CHECK_EQ(vg_oom_watch_total(watch), 2);
        pid = vg_test_eater(cgroup);
        CHECK(vg_test_await(loop, vg_test_is_dead, &pid));
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.kills, 3);
        vg_test_reap(pid, SIGKILL);
        vg_oom_watch_free(watch);
        if (deeper)
                vg_test_rmdir(below(cgroup, "sub"));
        vg_test_rmdir(cgroup);
}

/* Made, used up and dead before the loop ran once: the last look still finds it. */
static void a_kill_below_is_found_at_the_end(void) {
        static struct vg_test_readings readings;
        cgroup_new();
        struct vg_oom_watch *watch = watch_new(&readings);
        CHECK(mkdir(below(cgroup, "sub"), 0755) == 0);
        vg_test_write(below(cgroup, "sub"), "memory.limit_in_bytes", "8388608");
        vg_test_reap(vg_test_eater(below(cgroup, "sub")), SIGKILL);
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.kills, 1);
        CHECK(readings.last);
        vg_oom_watch_free(watch);
        vg_test_rmdir(below(cgroup, "sub"));
        vg_test_rmdir(cgroup);
}

/* A renamed cgroup is the same one. */
static void a_renamed_cgroup_is_not_counted_twice(void) {
        static struct vg_test_readings readings;
        cgroup_new();
        struct vg_oom_watch *watch = watch_new(&readings);
        CHECK(mkdir(below(cgroup, "sub"), 0755) == 0);
        vg_test_write(below(cgroup, "sub"), "memory.limit_in_bytes", "8388608");
        run(10);
        pid_t pid = vg_test_eater(below(cgroup, "sub"));
        CHECK(vg_test_await(loop, vg_test_is_dead, &pid));
        vg_test_reap(pid, SIGKILL);
        vg_oom_watch_poke(watch);
        run(110);
        CHECK_EQ(readings.kills, 1);
        CHECK(rename(below(cgroup, "sub"), below(cgroup, "other")) == 0);
        run(10);
        vg_oom_watch_poke(watch);
        CHECK_EQ(vg_oom_watch_total(watch), 1);
        vg_oom_watch_final(watch);
        vg_oom_watch_free(watch);
        CHECK_EQ(readings.kills, 1);
        vg_test_rmdir(below(cgroup, "other"));
        vg_test_rmdir(cgroup);
}

/* v1 signals it to every cgroup below the one that ran out. */
static void a_neighbour_is_not_blamed(void) {
        static struct vg_test_readings readings, other_readings;
        char neighbour[256];
        vg_test_write(root, "memory.limit_in_bytes", LIMIT);
        cgroup_new();
        vg_test_write(cgroup, "memory.limit_in_bytes", "-1");
        struct vg_oom_watch *watch = watch_new(&readings);
        strcpy(neighbour, cgroup);
        snprintf(cgroup, sizeof cgroup, "%s/other", root);
        CHECK(mkdir(cgroup, 0755) == 0);
        struct vg_oom_watch *other = watch_new(&other_readings);
        pid_t pid = vg_test_eater(cgroup);
        CHECK(vg_test_await(loop, vg_test_is_dead, &pid));
        expect(other, &other_readings, 1);
        run(150);
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.count, 0);
        vg_test_reap(pid, SIGKILL);
        vg_oom_watch_free(watch);
        vg_oom_watch_free(other);
        vg_test_rmdir(cgroup);
        vg_test_rmdir(neighbour);
        vg_test_write(root, "memory.limit_in_bytes", "-1");
}

/* systemd removes a scope as soon as it is empty. What was seen stays; without a look in time nobody knows. */
static void the_cgroup_is_removed_under_the_watch(bool looked) {
        static struct vg_test_readings readings;
        cgroup_new();
        struct vg_oom_watch *watch = watch_new(&readings);
        pid_t pid = vg_test_eater(cgroup);
        if (looked) {
                CHECK(vg_test_await(loop, vg_test_is_dead, &pid));
                expect(watch, &readings, 1);
        }
        vg_test_reap(pid, SIGKILL);
        vg_test_rmdir(cgroup);
        if (looked) {
                run(120);
                vg_oom_watch_poke(watch);
                CHECK_EQ(readings.count, 1);
        }
        vg_oom_watch_final(watch);
        CHECK(readings.last);
        CHECK_EQ(readings.count, looked ? 2 : 1);
        CHECK_EQ(readings.kills, looked ? 1 : 0);
        /* Its "after" is empty. */
        CHECK(strncmp(readings.held, cgroup, strlen(cgroup)) == 0 && strstr(readings.held, "\n|\n"));
        vg_oom_watch_free(watch);
}

/* Kills one after the other: the first at once, the others at most each 100 ms, none lost. */
static void a_storm_is_folded(void) {
        static struct vg_test_readings readings;
        cgroup_new();
        vg_test_write(cgroup, "memory.limit_in_bytes", "4194304");
        struct vg_oom_watch *watch = watch_new(&readings);
        pid_t parent = fork();
        CHECK(parent >= 0);
        if (parent == 0) {
                for (unsigned n = 0; n < 50; n++) {
                        pid_t pid = vg_test_eater(cgroup);
                        int status;
                        if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
                                _exit(1);
                }
                _exit(0);
        }
        uint64_t began = vg_now_mono();
        CHECK(vg_test_await(loop, vg_test_is_dead, &parent));
        uint64_t took = vg_now_mono() - began;
        vg_test_reap(parent, 1000);
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.kills, 50);
        CHECK(readings.count <= took / 100000000 + 3);
        vg_oom_watch_free(watch);
        vg_test_rmdir(cgroup);
}

static void no_kills_no_wakes(void) {
        static struct vg_test_readings readings;
        cgroup_new();
        struct vg_oom_watch *watch = watch_new(&readings);
        unsigned files = vg_test_open_files();
        run(5);
        CHECK(vg_test_count_sleeps(loop, 400) <= 3);
        CHECK_EQ(vg_test_open_files(), files);
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.count, 0);
        vg_oom_watch_free(watch);
        vg_test_rmdir(cgroup);
}

struct freed_inside {
        struct vg_oom_watch *watch;
        unsigned readings;
};

static void free_watch(void *owner, const struct vg_oom_reading *reading) {
        struct freed_inside *inside = owner;
        CHECK_EQ(reading->kills, 1);
        vg_oom_watch_free(inside->watch);
        inside->readings++;
}

static bool was_freed(void *inside) {
        return ((struct freed_inside *)inside)->readings > 0;
}

static void the_owner_may_free_it_when_told(void) {
        struct freed_inside inside = {0};
        cgroup_new();
        char *held[] = {strdup(below(cgroup, "memory.oom_control")), NULL};
        struct vg_oom_spec spec = {.version = 1, .cgroup = cgroup, .held = held}; /* with a host of its own */
        CHECK_EQ(vg_oom_watch_new(loop, &spec, free_watch, &inside, &inside.watch), 0);
        free(held[0]);
        pid_t pid = vg_test_eater(cgroup);
        CHECK(vg_test_await(loop, was_freed, &inside));
        vg_test_reap(pid, SIGKILL);
        vg_test_rmdir(cgroup);
}

static void a_spec_that_cannot_be_watched_is_refused(void) {
        struct vg_oom_watch *watch;
        char *missing[] = {strdup(below(root, "no/memory.oom_control")), NULL};
        char *keyless[] = {strdup(below(root, "memory.failcnt")), NULL};
        struct vg_oom_spec spec = {.version = 1, .cgroup = root, .held = missing, .host = host};
        CHECK_EQ(vg_oom_watch_new(loop, &spec, vg_test_killed, NULL, &watch), -ENOENT);
        spec.held = keyless;
        CHECK_EQ(vg_oom_watch_new(loop, &spec, vg_test_killed, NULL, &watch), -ENODATA);
        spec.version = 3;
        CHECK_EQ(vg_oom_watch_new(loop, &spec, vg_test_killed, NULL, &watch), -EINVAL);
        free(missing[0]);
        free(keyless[0]);
}

static void end(void) {
        static const char *const names[] = {"container/sub/deeper", "container/sub", "container/other", "container", "other", ""};
        for (size_t i = 0; root[0] && i < sizeof names / sizeof names[0]; i++)
                rmdir(below(root, names[i]));
}

int main(void) {
        find_controller();
        atexit(end);
        CHECK_EQ(vg_loop_new(&loop), 0);
        unsigned files = vg_test_open_files();

        CHECK_EQ(vg_oom_host_new(loop, 0, &host), 0);
        each_of_thirty_kills_is_told_once();
        earlier_kills_are_not_counted();
        the_last_look_is_in_time();
        a_child_is_killed_and_the_init_is_not();
        a_kill_below_is_found(false, 10);
        a_kill_below_is_found(true, 10);
        a_kill_below_is_found_at_the_end();
        a_renamed_cgroup_is_not_counted_twice();
        a_neighbour_is_not_blamed();
        the_cgroup_is_removed_under_the_watch(true);
        the_cgroup_is_removed_under_the_watch(false);
        a_storm_is_folded();
        no_kills_no_wakes();
        the_owner_may_free_it_when_told();
        a_spec_that_cannot_be_watched_is_refused();
        vg_oom_host_free(host);

        /* No instance to be had (fs.inotify.max_user_instances = 0). */
        CHECK_EQ(vg_oom_host_new(loop, VG_OOM_WITHOUT_INOTIFY | VG_OOM_WITHOUT_KMSG, &host), 0);
        a_kill_below_is_found(true, 1100); /* by the clock */
        a_kill_below_is_found_at_the_end();
        vg_oom_host_free(host);

        /* cgroup.event_control refused (PREEMPT_RT). */
        CHECK_EQ(vg_oom_host_new(loop, VG_OOM_WITHOUT_INOTIFY | VG_OOM_WITHOUT_EVENTS, &host), 0);
        static struct vg_test_readings readings;
        cgroup_new();
        struct vg_oom_watch *watch = watch_new(&readings);
        CHECK_EQ(vg_oom_watch_mode(watch), VG_OOM_POLLED);
        pid_t pid = vg_test_eater(cgroup);
        CHECK(vg_test_await(loop, vg_test_is_dead, &pid));
        expect(watch, &readings, 1);
        vg_test_reap(pid, SIGKILL);
        vg_oom_watch_free(watch);
        vg_test_rmdir(cgroup);
        vg_oom_host_free(host);

        CHECK_EQ(vg_test_open_files(), files);
        vg_loop_free(loop);
        return 0;
}
