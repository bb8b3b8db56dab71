#include "launcher/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum { FD_LISTENER = 3, FD_LOG = 4, FD_OPTIONS = 5, FD_REPORT = 6, FD_FREE = 10 };

#define PR_SCHED_CORE_ 62 /* linux/prctl.h of Linux 5.14; the build machine's headers may be older */
#define PR_SCHED_CORE_CREATE_ 1
#define SCHED_CORE_SCOPE_PROCESS_GROUP 2

static int open_log(const char *bundle) {
        char path[PATH_MAX];
        int n = snprintf(path, sizeof path, "%s/log", bundle);
        /* Read-write: a FIFO without a reader neither blocks nor fails then, and what is written waits for containerd's return. */
        int fd = n > 0 && n < (int)sizeof path ? open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW | O_APPEND) : -1;
        return fd >= 0 ? fd : open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int open_options(struct vg_bytes options) {
        int fd = memfd_create("vigil-options", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (write(fd, options.data, options.size) != (ssize_t)options.size || lseek(fd, 0, SEEK_SET) < 0) {
                int r = errno ? -errno : -EIO;
                close(fd);
                return r;
        }
        return fd;
}

/* containerd expects its shims to be better victims than itself. Not being allowed to say so is no reason to fail. */
static void adjust_oom_score(pid_t parent) {
        char path[64];
        int score;
        snprintf(path, sizeof path, "/proc/%d/oom_score_adj", parent);
        _cleanup_fclose_ FILE *from = fopen(path, "re");
        if (!from || fscanf(from, "%d", &score) != 1)
                return;
        _cleanup_fclose_ FILE *to = fopen("/proc/self/oom_score_adj", "we");
        if (to)
                fprintf(to, "%d", score < 1000 ? score + 1 : 1000);
}

static void export_settings(const struct vg_spawn *s) {
        setenv("TTRPC_ADDRESS", s->ttrpc_address, 1);
        setenv("GRPC_ADDRESS", s->args->address, 1);
        setenv("NAMESPACE", s->args->name_space, 1);
        setenv("VIGIL_RUN", s->settings->run_dir, 1);
        setenv("VIGIL_STATE", s->settings->state_dir, 1);
        if (s->settings->node[0])
                setenv("VIGIL_NODE", s->settings->node, 1);
}

/* Moves the descriptors above the range that they are then placed in, so that none is overwritten before its turn. */
static int place_descriptors(int listener, int log, int options, int report) {
        const int from[] = {listener, log, options, report}, to[] = {FD_LISTENER, FD_LOG, FD_OPTIONS, FD_REPORT};
        int high[VG_COUNT(from)];
        for (size_t i = 0; i < VG_COUNT(from); i++)
                if ((high[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FD_FREE)) < 0)
                        return -errno;
        for (size_t i = 0; i < VG_COUNT(from); i++)
                if (dup3(high[i], to[i], to[i] == FD_REPORT ? O_CLOEXEC : 0) < 0)
                        return -errno;
        int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd <= 2; fd++)
                if (null < 0 || dup2(null, fd) < 0)
                        return -errno;
        return close_range(FD_REPORT + 1, UINT_MAX, 0) < 0 ? -errno : 0;
}

/* What the child could not do, on its way to execve. */
struct refusal {
        int status;
        bool core_scheduling;
};

_Noreturn static void become_core(const struct vg_spawn *s, pid_t parent, int log, int options, int report) {
        char core[PATH_MAX];
        snprintf(core, sizeof core, "%s/vigil-core", s->settings->lib_dir);
        const char *sched_core = getenv("SCHED_CORE");
        bool core_scheduling = false;
        int r = place_descriptors(s->listener, log, options, report);
        if (r == 0)
                report = FD_REPORT;
        setsid();
        signal(SIGPIPE, SIG_IGN);
        /* RLIMIT_FSIZE, or a log file at its limit, is an error of that write and not the end of the core. */
        signal(SIGXFSZ, SIG_IGN);
        adjust_oom_score(parent);
        if (r == 0 && sched_core && strcmp(sched_core, "1") == 0 &&
            prctl(PR_SCHED_CORE_, PR_SCHED_CORE_CREATE_, 0, SCHED_CORE_SCOPE_PROCESS_GROUP, 0) < 0) {
                r = -errno;
                core_scheduling = true;
        }
        if (r == 0 && chdir("/") < 0)
                r = -errno;
        if (r == 0) {
                export_settings(s);
                const char *argv[] = {core,
                                      "-namespace",
                                      s->args->name_space,
                                      "-id",
                                      s->group,
                                      "-address",
                                      s->args->address,
                                      "-publish-binary",
                                      s->args->publish_binary,
                                      "-socket",
                                      s->socket,
                                      "-bundle",
                                      s->bundle,
                                      "-libdir",
                                      s->settings->lib_dir,
                                      s->args->debug ? "-debug" : NULL,
                                      NULL};
                execv(core, (char *const *)argv);
                r = -errno;
        }
        const struct refusal refusal = {r, core_scheduling};
        if (write(report, &refusal, sizeof refusal) < 0)
                _exit(126);
        _exit(127);
}

int vg_spawn_core(const struct vg_spawn *spawn, char ret_message[256]) {
        int report[2];
        if (pipe2(report, O_CLOEXEC) < 0)
                return -errno;
        _cleanup_close_ int read_end = report[0], write_end = report[1];
        _cleanup_close_ int log = open_log(spawn->bundle);
        _cleanup_close_ int options = open_options(spawn->options);
        if (log < 0 || options < 0) {
                snprintf(ret_message, 256, "cannot open the core's descriptors");
                return options < 0 ? options : -errno;
        }
        pid_t parent = getppid();
        pid_t pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                become_core(spawn, parent, log, options, write_end);
        vg_closep(&write_end);

        struct refusal refusal = {0};
        ssize_t n;
        while ((n = read(read_end, &refusal, sizeof refusal)) < 0 && errno == EINTR)
                ;
        if (n == 0) /* closed by a successful execve */
                return 0;
        waitpid(pid, NULL, 0);
        const char *why = strerror(-refusal.status);
        if (refusal.core_scheduling)
                snprintf(ret_message, 256, "core scheduling (SCHED_CORE): %s", why);
        else
                snprintf(ret_message, 256, "cannot start %.180s/vigil-core: %s", spawn->settings->lib_dir, why);
        return n == sizeof refusal && refusal.status < 0 ? refusal.status : -EIO;
}
