/* Signals to all processes of cgroups: VG_OP_CGROUP_KILL, VG_OP_CGROUP_SIGNAL. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/cgroup.h"
#include "runtime/deadline.h"
#include "runtime/host.h"
#include "runtime/sys.h"

#define KILL_TIMEOUT_MS 10000
#define SIGNAL_ROUNDS_MAX 100 /* a fork bomb may answer a milder signal with new processes for ever */
#define UNSEEN_LOOK_MS 2      /* between two looks at processes that no pidfd can be had of */
#define WAIT_AT_ONCE 64       /* processes waited for at once: descriptors are limited, and the others die meanwhile */

static int signal_pid(pid_t pid, int number) {
        _cleanup_close_ int pidfd = vg_pidfd_open(pid);
        /* A threaded cgroup lists threads, which a pidfd cannot name; kill(2) then reaches the whole process. */
        if (pidfd == -EINVAL || pidfd == -ENOENT)
                return kill(pid, number) < 0 && errno != ESRCH ? -errno : 0;
        if (pidfd < 0)
                return pidfd == -ESRCH ? 0 : pidfd;
        int status = vg_pidfd_signal(pidfd, number);
        return status == -ESRCH ? 0 : status;
}

/* Recursive by itself, and sure against forks: Linux 5.14, v2. */
static bool kill_by_kernel(const char *path) {
        return vg_cgroup_write(path, "cgroup.kill", "1") == 0;
}

static int thaw(const char *path, void *data) {
        /* v1: a frozen process does not die before it is thawed. Not there: not the freezer's hierarchy. The state is inherited, so
         * the children come after their parent. */
        (void)vg_cgroup_write(path, "freezer.state", "THAWED");
        (void)vg_cgroup_each_child(path, thaw, data);
        return 0;
}

static int kill_listed(char *const *paths, struct vg_pids *pids) {
        for (char *const *path = paths; *path; path++) {
                int status = vg_cgroup_pids(*path, pids);
                if (status < 0)
                        return status;
        }
        for (size_t i = 0; i < pids->count; i++) {
                int status = signal_pid(pids->at[i], SIGKILL);
                if (status < 0)
                        return status;
        }
        return 0;
}

/* Waits for the death (not the reaping) of some of them. */
static int wait_for(const struct vg_pids *pids, uint64_t deadline) {
        struct pollfd waits[WAIT_AT_ONCE];
        size_t count = 0;
        int status = 0;
        for (size_t i = 0; i < pids->count && count < WAIT_AT_ONCE; i++) {
                int pidfd = vg_pidfd_open(pids->at[i]);
                if (pidfd >= 0)
                        waits[count++] = (struct pollfd){.fd = pidfd, .events = POLLIN};
        }
        if (count == 0 && poll(NULL, 0, UNSEEN_LOOK_MS) < 0 && errno != EINTR)
                status = -errno;
        for (size_t i = 0; i < count && status == 0; i++) {
                int left = vg_time_left_ms(deadline);
                int dead = poll(&waits[i], 1, left);
                if (dead < 0 && errno != EINTR)
                        status = -errno;
                else if (dead == 0)
                        status = -ETIMEDOUT;
        }
        for (size_t i = 0; i < count; i++)
                close(waits[i].fd);
        return status;
}

int vg_host_cgroup_kill(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        char *const *paths = a->at[0].strings;
        uint64_t deadline = vg_deadline(KILL_TIMEOUT_MS);
        for (;;) {
                for (char *const *path = paths; *path; path++)
                        (void)kill_by_kernel(*path); /* where there is no such file the list does it */
                _cleanup_pids_ struct vg_pids pids = {0};
                int status = kill_listed(paths, &pids);
                if (status == 0 && pids.count == 0)
                        return 0;
                for (char *const *path = paths; *path; path++)
                        (void)thaw(*path, NULL);
                if (status == 0)
                        status = wait_for(&pids, deadline);
                if (status == 0 && vg_time_left_ms(deadline) == 0)
                        status = -ETIMEDOUT;
                if (status == -ETIMEDOUT)
                        return vg_fail(f, status, "kill cgroup %s: %zu processes left, process %d among them", paths[0], pids.count,
                                       (int)pids.at[0]);
                if (status < 0)
                        return vg_fail(f, status, "kill cgroup %s", paths[0]);
        }
}

int vg_host_cgroup_signal(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        const char *path = a->at[0].string;
        int number = (int)a->at[1].number;
        _cleanup_pids_ struct vg_pids done = {0};
        for (unsigned round = 0; round < SIGNAL_ROUNDS_MAX; round++) {
                _cleanup_pids_ struct vg_pids pids = {0};
                bool fresh = false;
                int status = vg_cgroup_pids(path, &pids);
                for (size_t i = 0; i < pids.count && status == 0; i++) {
                        if (vg_pids_have(&done, pids.at[i]))
                                continue;
                        fresh = true;
                        status = signal_pid(pids.at[i], number);
                        if (status == 0)
                                status = vg_pids_add(&done, pids.at[i]);
                }
                if (status < 0)
                        return vg_fail(f, status, "send signal %d to cgroup %s", number, path);
                if (!fresh)
                        return 0;
        }
        return vg_fail(f, -EAGAIN, "send signal %d to cgroup %s: new processes keep appearing", number, path);
}
