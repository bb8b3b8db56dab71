/* Real kills under cgroup v2: each in exactly one reading, also when the cgroup is removed the moment it is empty. */
#include <sched.h>

#include "oom/held.h"
#include "test/test_oom.h"

static struct vg_loop *loop;
static struct vg_oom_host *host;
static char mount_point[128], root[192]; /* root: of everything this test makes, the "pod" */
static char cgroup[256];

#define LIMIT "20971520"

static const char *below(const char *directory, const char *name) {
        static char path[4][512];
        static unsigned next;
        char *into = path[next++ % 4];
        snprintf(into, sizeof path[0], "%s/%s", directory, name);
        return into;
}

static size_t read_text(const char *path, char *text, size_t room) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t size = fd < 0 ? -1 : read(fd, text, room - 1);
        if (fd >= 0)
                close(fd);
        text[size < 0 ? 0 : size] = 0;
        return size < 0 ? 0 : (size_t)size;
}

static uint64_t counter(const char *directory, const char *key) {
        char text[1024];
        uint64_t value = 0;
        size_t size = read_text(below(directory, "memory.events"), text, sizeof text);
        CHECK(vg_counter_find(text, size, key, &value));
        return value;
}

static bool allow_memory(const char *directory) {
        int fd = open(below(directory, "cgroup.subtree_control"), O_WRONLY | O_CLOEXEC);
        bool done = fd >= 0 && write(fd, "+memory", 7) == 7;
        if (fd >= 0)
                close(fd);
        return done;
}

static void limit_memory(const char *directory, const char *limit) {
        vg_test_write(directory, "memory.max", limit);
        if (access(below(directory, "memory.swap.max"), W_OK) == 0)
                vg_test_write(directory, "memory.swap.max", "0");
}

static void find_controller(void) {
        char device[64], where[128], type[64], text[256];
        FILE *mounts = fopen("/proc/self/mounts", "re");
        CHECK(mounts);
        while (fscanf(mounts, "%63s %127s %63s %*s %*d %*d\n", device, where, type) == 3)
                if (strcmp(type, "cgroup2") == 0)
                        strcpy(mount_point, where);
        fclose(mounts);
        if (!mount_point[0])
                SKIP("no cgroup v2 hierarchy is mounted");
        read_text(below(mount_point, "cgroup.controllers"), text, sizeof text);
        if (!strstr(text, "memory"))
                SKIP("the cgroup v2 hierarchy has no memory controller here");
        snprintf(root, sizeof root, "%s/vigil-test-%d", mount_point, getpid());
        if (!allow_memory(mount_point) || mkdir(root, 0755) < 0)
                SKIP("cgroups with the memory controller cannot be made here");
        CHECK(allow_memory(root));
}

static void cgroup_new(void) {
        snprintf(cgroup, sizeof cgroup, "%s/container", root);
        CHECK(mkdir(cgroup, 0755) == 0);
        limit_memory(cgroup, LIMIT);
}

static struct vg_oom_watch *watch_new(struct vg_test_readings *readings) {
        *readings = (struct vg_test_readings){0};
        char *held[] = {strdup(below(cgroup, "memory.events")), strdup(below(cgroup, "memory.events.local")),
                        strdup(below(root, "memory.events")), NULL};
        char *snapshot[] = {strdup(below(cgroup, "memory.max")), strdup(below(cgroup, "memory.current")), NULL};
        struct vg_oom_spec spec = {.version = 2, .cgroup = cgroup, .held = held, .snapshot = snapshot, .host = host};
        struct vg_oom_watch *watch;
        CHECK_EQ(vg_oom_watch_new(loop, &spec, vg_test_killed, readings, &watch), 0);
        for (unsigned i = 0; i < 3; i++)
                free(held[i]);
        for (unsigned i = 0; i < 2; i++)
                free(snapshot[i]);
        return watch;
}

static void run(unsigned ms) {
        vg_test_run(loop, ms, NULL, NULL);
}

static void expect(struct vg_oom_watch *watch, struct vg_test_readings *readings, uint64_t kills) {
        for (unsigned n = 0; readings->kills < kills && n < 600; n++)
                run(1);
        run(5);
        CHECK_EQ(readings->kills, kills);
        CHECK_EQ(vg_oom_watch_total(watch), kills);
}

/* Of a child: when its kill became a reading, against when its death was seen. Folding is kept out by waiting. */
static void each_kill_is_told_once(unsigned kills) {
        static struct vg_test_readings readings;
        cgroup_new();
        struct vg_oom_watch *watch = watch_new(&readings);
        unsigned with_line = 0, late = 0;
        int64_t latest = INT64_MIN;
        for (unsigned n = 1; n <= kills; n++) {
                char line[64];
                run(101);
                pid_t pid = vg_test_eater(cgroup);
                CHECK(vg_test_await(loop, vg_test_is_dead, &pid));
                uint64_t died = vg_now_mono();
                expect(watch, &readings, n);
                int64_t after = (int64_t)(readings.at[readings.count - 1] - died);
                latest = after > latest ? after : latest;
                late += after > 5000000;
                snprintf(line, sizeof line, "Killed process %d (", pid);
                with_line += strstr(readings.all_lines, line) != NULL;
                vg_test_reap(pid, SIGKILL);
        }
        printf("%u kills: %u told more than 5 ms after the death was seen (the latest %.1f ms), %u with their kernel log line\n",
               kills, late, (double)latest / 1e6, with_line);
        CHECK(strstr(readings.snapshot, "/memory.max|" LIMIT "\n\n"));
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.kills, kills);
        CHECK_EQ(counter(cgroup, "oom_kill"), kills);
        vg_oom_watch_free(watch);
        vg_test_rmdir(cgroup);
}

static void the_last_look_is_in_time(void) {
        static struct vg_test_readings readings;
        for (unsigned n = 0; n < 10; n++) {
                cgroup_new();
                vg_test_reap(vg_test_eater(cgroup), SIGKILL); /* not this container's */
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
                run(20);
                CHECK_EQ(readings.count, 1);
                vg_oom_watch_free(watch);
                vg_test_rmdir(cgroup);
        }
}

/* The limit of the pod is hit; who dies is counted, and nobody else. */
static void a_neighbour_is_not_blamed(void) {
        static struct vg_test_readings readings, other_readings;
        char neighbour[256];
        limit_memory(root, LIMIT);
        cgroup_new();
        limit_memory(cgroup, "max");
        struct vg_oom_watch *watch = watch_new(&readings);
        strcpy(neighbour, cgroup);
        snprintf(cgroup, sizeof cgroup, "%s/other", root);
        CHECK(mkdir(cgroup, 0755) == 0);
        struct vg_oom_watch *other = watch_new(&other_readings);
        pid_t pid = vg_test_eater(cgroup);
        CHECK(vg_test_await(loop, vg_test_is_dead, &pid));
        expect(other, &other_readings, 1);
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.count, 0);
        vg_test_reap(pid, SIGKILL);
        vg_oom_watch_free(watch);
        vg_oom_watch_free(other);
        vg_test_rmdir(cgroup);
        vg_test_rmdir(neighbour);
        limit_memory(root, "max");
}

static void a_kill_below_is_counted(void) {
        static struct vg_test_readings readings;
        cgroup_new();
        struct vg_oom_watch *watch = watch_new(&readings);
        CHECK(mkdir(below(cgroup, "sub"), 0755) == 0);
        pid_t pid = vg_test_eater(below(cgroup, "sub"));
        CHECK(vg_test_await(loop, vg_test_is_dead, &pid));
        expect(watch, &readings, 1);
        vg_test_reap(pid, SIGKILL);
        vg_test_rmdir(below(cgroup, "sub"));
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.kills, 1);
        vg_oom_watch_free(watch);
        vg_test_rmdir(cgroup);
}

/* memory.oom.group: the sum is the kernel's, which counts the first victim twice. */
static void a_group_dies_together(void) {
        static struct vg_test_readings readings;
        pid_t pids[4];
        cgroup_new();
        vg_test_write(cgroup, "memory.oom.group", "1");
        struct vg_oom_watch *watch = watch_new(&readings);
        for (unsigned i = 0; i < 4; i++) {
                pids[i] = fork();
                CHECK(pids[i] >= 0);
                if (pids[i] == 0) {
                        vg_test_join(cgroup);
                        if (i == 3)
                                vg_test_eat((size_t)1 << 32);
                        for (;;)
                                pause();
                }
        }
        for (unsigned i = 0; i < 4; i++) {
                CHECK(vg_test_await(loop, vg_test_is_dead, &pids[i]));
                vg_test_reap(pids[i], SIGKILL);
        }
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.kills, counter(cgroup, "oom_kill"));
        CHECK(readings.kills >= 4);
        vg_oom_watch_free(watch);
        vg_test_rmdir(cgroup);
}

static void a_storm_is_folded(void) {
        static struct vg_test_readings readings;
        cgroup_new();
        limit_memory(cgroup, "4194304");
        struct vg_oom_watch *watch = watch_new(&readings);
        pid_t parent = fork();
        CHECK(parent >= 0);
        if (parent == 0) {
                for (unsigned n = 0; n < 30; n++) {
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
        CHECK_EQ(readings.kills, 30);
        CHECK(readings.count <= took / 100000000 + 3);
        vg_oom_watch_free(watch);
        vg_test_rmdir(cgroup);
}

/* As systemd does with a scope, only quicker. */
static pid_t remover(void) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid)
                return pid;
        char text[256];
        do
                if (read_text(below(cgroup, "cgroup.events"), text, sizeof text) == 0)
                        _exit(1);
        while (!strstr(text, "populated 0"));
        while (rmdir(cgroup) < 0)
                if (errno != EBUSY)
                        _exit(1);
        _exit(0);
}

/* Never "no": the kill is counted, or the pod's count is told as the sign of it. */
static void the_cgroup_is_removed_at_once(void) {
        static struct vg_test_readings readings;
        unsigned counted = 0, inferred = 0;
        for (unsigned n = 0; n < 20; n++) {
                int gate[2];
                uint8_t byte = 0;
                cgroup_new();
                struct vg_oom_watch *watch = watch_new(&readings);
                CHECK(pipe2(gate, O_CLOEXEC) == 0);
                pid_t pid = fork();
                CHECK(pid >= 0);
                if (pid == 0) {
                        vg_test_join(cgroup);
                        if (read(gate[0], &byte, 1) != 1)
                                _exit(1);
                        vg_test_eat((size_t)1 << 32);
                }
                char text[256];
                do
                        read_text(below(cgroup, "cgroup.events"), text, sizeof text);
                while (!strstr(text, "populated 1"));
                pid_t other = remover();
                CHECK(write(gate[1], &byte, 1) == 1);
                CHECK(vg_test_await(loop, vg_test_is_dead, &pid));
                vg_oom_watch_final(watch);
                CHECK(readings.kills <= 1 && readings.count >= 1);
                if (readings.kills == 0) {
                        CHECK(readings.last);
                        inferred++;
                } else {
                        counted++;
                }
                vg_test_reap(pid, SIGKILL);
                vg_test_reap(other, 1000);
                vg_oom_watch_free(watch);
                close(gate[0]);
                close(gate[1]);
        }
        printf("cgroup removed at once, 20 kills: %u counted, %u left to the pod's count\n", counted, inferred);
}

static void a_healthy_container_costs_nothing(void) {
        static struct vg_test_readings readings;
        cgroup_new();
        struct vg_oom_watch *watch = watch_new(&readings);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                vg_test_join(cgroup);
                vg_test_eat(8 << 20);
                _exit(0);
        }
        run(5);
        CHECK(vg_test_count_sleeps(loop, 500) <= 3);
        vg_test_reap(pid, 1000);
        vg_oom_watch_final(watch);
        vg_oom_watch_free(watch);
        vg_test_rmdir(cgroup);
        CHECK_EQ(readings.count, 0);
}

/* Memory that the kernel may take back (MADV_FREE): "max" rises all the time and nobody dies. */
static void a_container_at_its_limit_costs_little(void) {
        static struct vg_test_readings readings;
        cgroup_new();
        struct vg_oom_watch *watch = watch_new(&readings);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                enum { STEP = 1 << 20, STEPS = 64 };
                vg_test_join(cgroup);
                char *memory = mmap(NULL, STEP * STEPS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                for (unsigned n = 0;; n = (n + 1) % STEPS) {
                        for (size_t i = 0; i < STEP; i += 4096)
                                ((volatile char *)memory)[n * STEP + i] = 1;
                        madvise(memory + n * STEP, STEP, MADV_FREE);
                }
        }
        vg_test_count_sleeps(loop, 3500);
        uint64_t max = counter(cgroup, "max");
        long sleeps = vg_test_count_sleeps(loop, 1000);
        uint64_t moved = counter(cgroup, "max") - max;
        printf("at its limit for 3.5 s: then %ld sleeps in 1 s while \"max\" rose by %llu\n", sleeps, (unsigned long long)moved);
        CHECK(!vg_test_is_dead(&pid));
        CHECK(moved > 0);
        CHECK(sleeps <= 14);
        kill(pid, SIGKILL);
        vg_test_reap(pid, SIGKILL);
        vg_oom_watch_final(watch);
        CHECK_EQ(readings.count, 0);
        vg_oom_watch_free(watch);
        vg_test_rmdir(cgroup);
}

static void with_a_host(unsigned without, enum vg_oom_mode mode) {
        static struct vg_test_readings readings;
        CHECK_EQ(vg_oom_host_new(loop, without, &host), 0);
        cgroup_new();
        struct vg_oom_watch *watch = watch_new(&readings);
        CHECK_EQ(vg_oom_watch_mode(watch), mode);
        for (unsigned n = 1; n <= 3; n++) {
                pid_t pid = vg_test_eater(cgroup);
                CHECK(vg_test_await(loop, vg_test_is_dead, &pid));
                expect(watch, &readings, n);
                vg_test_reap(pid, SIGKILL);
        }
        vg_oom_watch_free(watch);
        vg_test_rmdir(cgroup);
        vg_oom_host_free(host);
}

static void end(void) {
        static const char *const names[] = {"container/sub", "container", "other", ""};
        for (size_t i = 0; root[0] && i < sizeof names / sizeof names[0]; i++)
                rmdir(below(root, names[i]));
}

int main(void) {
        find_controller();
        atexit(end);
        CHECK_EQ(vg_loop_new(&loop), 0);
        unsigned files = vg_test_open_files();
        CHECK_EQ(vg_oom_host_new(loop, 0, &host), 0);
        each_kill_is_told_once(10);
        the_last_look_is_in_time();
        a_neighbour_is_not_blamed();
        a_kill_below_is_counted();
        a_group_dies_together();
        a_storm_is_folded();
        the_cgroup_is_removed_at_once();
        a_healthy_container_costs_nothing();
        a_container_at_its_limit_costs_little();
        vg_oom_host_free(host);
        with_a_host(VG_OOM_WITHOUT_INOTIFY, VG_OOM_NOTIFIED);
        with_a_host(VG_OOM_WITHOUT_EVENTS, VG_OOM_NOTIFIED); /* inotify alone */
        with_a_host(VG_OOM_WITHOUT_EVENTS | VG_OOM_WITHOUT_INOTIFY | VG_OOM_WITHOUT_KMSG, VG_OOM_POLLED);
        CHECK_EQ(vg_test_open_files(), files);
        vg_loop_free(loop);
        return 0;
}
