/* What the tests of the OOM watch share: readings decoded, and processes that eat memory in a cgroup. */
#ifndef VG_TEST_OOM_H
#define VG_TEST_OOM_H

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "oom/watch.h"
#include "test/test_loop.h"

struct vg_test_readings {
        unsigned count;
        uint64_t kills, total;
        bool last;
        uint64_t at[512];      /* when each one came */
        char held[4096];       /* of the last one: "PATH|BEFORE|AFTER\n" */
        char snapshot[4096];   /* "PATH|TEXT\n" */
        char lines[32768];     /* one a line */
        char all_lines[65536]; /* of all readings */
};

static inline size_t vg_test_take(struct vg_reader *r, char *into, size_t room, size_t at, const char *stop) {
        struct vg_bytes b = vg_get_bytes(r);
        CHECK(at + b.size + 2 < room);
        memcpy(into + at, b.data, b.size);
        strcpy(into + at + b.size, stop);
        return at + b.size + 1;
}

static inline void vg_test_killed(void *owner, const struct vg_oom_reading *reading) {
        struct vg_test_readings *readings = owner;
        CHECK(!readings->last);
        CHECK(reading->kills > 0 || reading->last);
        if (readings->count < 512)
                readings->at[readings->count] = vg_now_mono();
        readings->count++;
        readings->kills += reading->kills;
        readings->total = reading->total;
        readings->last = reading->last;
        CHECK_EQ(readings->kills, readings->total);
        CHECK(reading->mono <= vg_now_mono() && reading->mono + 5000000000u > vg_now_mono());
        CHECK(reading->real <= vg_now_real() && reading->real + 5000000000u > vg_now_real());
        struct vg_reader r = vg_reader_of(reading->held.data, reading->held.size);
        size_t at = 0;
        for (uint32_t n = vg_get_u32(&r); n; n--) {
                at = vg_test_take(&r, readings->held, sizeof readings->held, at, "|");
                at = vg_test_take(&r, readings->held, sizeof readings->held, at, "|");
                at = vg_test_take(&r, readings->held, sizeof readings->held, at, "\n");
        }
        CHECK_EQ(vg_reader_end(&r), 0);
        r = vg_reader_of(reading->snapshot.data, reading->snapshot.size);
        at = 0;
        for (uint32_t n = vg_get_u32(&r); n; n--) {
                at = vg_test_take(&r, readings->snapshot, sizeof readings->snapshot, at, "|");
                at = vg_test_take(&r, readings->snapshot, sizeof readings->snapshot, at, "\n");
        }
        CHECK_EQ(vg_reader_end(&r), 0);
        r = vg_reader_of(reading->lines.data, reading->lines.size);
        at = 0;
        readings->lines[0] = 0;
        for (uint32_t n = vg_get_u32(&r); n; n--)
                at = vg_test_take(&r, readings->lines, sizeof readings->lines, at, "\n");
        CHECK_EQ(vg_reader_end(&r), 0);
        if (strlen(readings->all_lines) + strlen(readings->lines) < sizeof readings->all_lines)
                strcat(readings->all_lines, readings->lines);
}

static inline void vg_test_write(const char *directory, const char *file, const char *text) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", directory, file);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
                fprintf(stderr, "%s: %s\n", path, strerror(errno));
                exit(1);
        }
        close(fd);
}

/* For a child: joins the cgroup. */
static inline void vg_test_join(const char *cgroup) {
        char path[512];
        snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, "0", 1) != 1)
                _exit(99);
        close(fd);
}

/* For a child: until it is killed, or has as much as that. */
static inline void vg_test_eat(size_t size) {
        for (size_t n = 0; n < size; n += 1 << 20) {
                char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                if (memory == MAP_FAILED)
                        _exit(98);
                for (size_t i = 0; i < 1 << 20; i += 4096)
                        ((volatile char *)memory)[i] = 1;
        }
}

static inline pid_t vg_test_eater(const char *cgroup) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid)
                return pid;
        vg_test_join(cgroup);
        vg_test_eat((size_t)1 << 32);
        _exit(97);
}

static inline bool vg_test_is_dead(void *pid) {
        siginfo_t info = {0};
        CHECK(waitid(P_PID, (id_t) * (pid_t *)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
        return info.si_pid != 0;
}

static inline void vg_test_reap(pid_t pid, int signal) {
        int status;
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK_EQ(WIFSIGNALED(status) ? WTERMSIG(status) : 1000 + WEXITSTATUS(status), signal);
}

static inline bool vg_test_has_reading(void *readings) {
        return ((struct vg_test_readings *)readings)->count > 0;
}

static inline void vg_test_rmdir(const char *path) {
        /* A process that was just reaped may still count for a moment. */
        for (unsigned n = 0; rmdir(path) < 0 && errno != ENOENT; n++) {
                CHECK(errno == EBUSY && n < 1000);
                usleep(1000);
        }
}

#endif
