#include "runtime/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "runtime/cgroup.h"
#include "runtime/deadline.h"
#include "runtime/hygiene.h"
#include "runtime/message.h"
#include "runtime/sys.h"

#define KILL_TIMEOUT_MS 10000
#define REAPED_LOOK_MS 5 /* before Linux 6.9 the reaping of a process raises nothing on its pidfd */

/* A pid namespace is entered by the children of who joins it. */
static int join_pid_namespace(const struct vg_child *child, bool *ret_joined, struct vg_failure *failure) {
        const struct vg_birth *birth = child->birth;
        for (uint32_t i = 0; i < birth->n_joins; i++) {
                if (!(birth->joins[i].flag & CLONE_NEWPID))
                        continue;
                _cleanup_close_ int fd = open(birth->joins[i].path, O_RDONLY | O_CLOEXEC);
                if (fd < 0 || setns(fd, CLONE_NEWPID) < 0)
                        return vg_fail(failure, -errno, "join pid namespace %s", birth->joins[i].path);
                *ret_joined = true;
        }
        return 0;
}

/* What the helper makes after the child, its hooks, belongs into its own pid namespace again. */
static int leave_pid_namespace(const struct vg_child *child, struct vg_failure *failure) {
        _cleanup_close_ int fd = openat(child->proc, "self/ns/pid", O_RDONLY | O_CLOEXEC);
        return fd < 0 || setns(fd, CLONE_NEWPID) < 0 ? vg_fail(failure, -errno, "return to the pid namespace of the helper") : 0;
}

static uint64_t clone_namespaces(const struct vg_birth *birth) {
        /* The child makes the cgroup namespace, once it is in its cgroup, and in a user namespace the IPC namespace, once it is root
         * there: the files of its message queues belong to their maker. */
        uint64_t later = CLONE_NEWCGROUP | (vg_birth_has_user_namespace(birth) ? CLONE_NEWIPC : 0);
        return birth->clone_flags & ~later;
}

static int write_pid(const char *directory, pid_t pid, struct vg_failure *failure) {
        char text[16];
        snprintf(text, sizeof text, "%d", (int)pid);
        int status = vg_cgroup_write(directory, "cgroup.procs", text);
        return status < 0 ? vg_fail(failure, status, "put the process into cgroup %s", directory) : 0;
}

static int clone_child(const struct vg_birth *birth, int cgroup, int *ret_pidfd) {
        struct clone_args args = {
                /* exit_signal stays 0, as CLONE_PARENT demands: the child takes the helper's own, SIGCHLD to the core. */
                .flags = CLONE_PARENT | CLONE_PIDFD | clone_namespaces(birth),
                .pidfd = (uint64_t)(uintptr_t)ret_pidfd,
        };
        if (cgroup >= 0) {
                args.flags |= CLONE_INTO_CGROUP;
                args.cgroup = (uint64_t)cgroup;
        }
        return vg_clone3(&args);
}

/* New namespaces belong to the user namespace of their maker (user_namespaces(7)), so one that is joined has to be entered before
 * the clone, and others have to be joined before one that is new. The helper cannot: it would lose the privileges to undo.
 * An exec's child must have left the host when it comes into the container's pid namespace, where everybody may see it: a process
 * with CAP_SYS_PTRACE could go through its root and its descriptors (CVE-2016-9962). */
static bool needs_step(const struct vg_birth *birth) {
        return birth->init_namespaces != 0 || (birth->n_joins > 0 && vg_birth_has_user_namespace(birth));
}

/* Into the container's namespaces, with nothing of the host's. In a user namespace of its own the container has no power over the
 * child's memory and descriptors, and may not mount a /proc besides the one it has: there the host's stays open. */
static int leave_host(struct vg_child *child, int theirs, struct vg_failure *failure) {
        uint64_t flags = child->birth->init_namespaces;
        if (!flags)
                return 0;
        int status = vg_join_init(child, 0, failure);
        if (status < 0)
                return status;
        if (!(flags & CLONE_NEWUSER))
                vg_closep(&child->proc);
        const int keep[] = {child->channel, theirs, child->proc, child->stdio[0], child->stdio[1], child->stdio[2]};
        status = vg_close_others(3 + child->birth->preserved, keep, VG_COUNT(keep));
        return status < 0 ? vg_fail(failure, status, "close inherited descriptors") : 0;
}

static _Noreturn void step(struct vg_child *child, int mine, int theirs) {
        struct vg_failure failure = {0};
        if (child->birth->init_namespaces)
                vg_closep(&mine);
        int pidfd = -1, status = vg_join_paths(child->birth, true, &failure);
        if (status == 0)
                status = leave_host(child, theirs, &failure);
        /* Before the child is there: it would have a moment in which others of its user namespace could reach into it. */
        if (status == 0 && prctl(PR_SET_DUMPABLE, 0) < 0)
                status = vg_fail(&failure, -errno, "make a process in new namespaces");
        pid_t pid = status < 0 ? status : clone_child(child->birth, -1, &pidfd);
        if (pid == 0) {
                vg_closep(&mine);
                child->helper = theirs;
                child->joined = true;
                vg_child_run(child);
        }
        if (status == 0 && pid < 0)
                vg_fail(&failure, pid, "make a process in new namespaces");
        /* Its end shall say nothing to the core. */
        close(child->channel);
        char report[sizeof failure.message + sizeof pid];
        memcpy(report, &pid, sizeof pid);
        memcpy(report + sizeof pid, failure.message, sizeof failure.message);
        status = vg_message_send(theirs, report, sizeof report, &pidfd, pid > 0 ? 1 : 0);
        _exit(status == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* The child's pid, or -errno with a failure. */
static pid_t spawn_by_step(struct vg_child *child, int mine, int *theirs, int *ret_pidfd, struct vg_failure *failure) {
        struct clone_args args = {.flags = CLONE_PARENT};
        pid_t pid = vg_clone3(&args);
        if (pid == 0)
                step(child, mine, *theirs);
        /* So that the end of its other holders ends the waiting below. */
        vg_closep(theirs);
        if (pid < 0)
                return vg_fail(failure, pid, "make a process that joins namespaces");
        char report[sizeof failure->message + sizeof pid];
        size_t size = sizeof report;
        int status = vg_message_take(mine, report, &size, ret_pidfd);
        if (status < 0 || size != sizeof report)
                return vg_fail(failure, status < 0 ? status : -EPROTO, "make a process that joins namespaces");
        memcpy(&pid, report, sizeof pid);
        return pid < 0 ? vg_fail_words(failure, pid, "%s", report + sizeof pid) : pid;
}

static pid_t spawn_directly(struct vg_child *child, int mine, int theirs, int cgroup, bool *ret_inside, int *ret_pidfd,
                            struct vg_failure *failure) {
        bool inside = cgroup >= 0;
        pid_t pid = clone_child(child->birth, cgroup, ret_pidfd);
        if (inside && (pid == -ENOSYS || pid == -EINVAL || pid == -E2BIG)) {
                /* CLONE_INTO_CGROUP is Linux 5.7. */
                inside = false;
                pid = clone_child(child->birth, -1, ret_pidfd);
        }
        if (pid < 0 && inside)
                return vg_fail(failure, pid, "make a process in cgroup %s", child->birth->cgroup_directories[0]);
        if (pid < 0)
                return vg_fail(failure, pid, "make a process in new namespaces");
        if (pid == 0) {
                close(mine);
                child->helper = theirs;
                vg_child_run(child);
        }
        *ret_inside = inside;
        return pid;
}

int vg_spawn(struct vg_child *child, struct vg_spawned *ret_spawned, struct vg_failure *failure) {
        const struct vg_birth *birth = child->birth;
        bool by_step = needs_step(birth), inside = false, joined = false;
        int ends[2], status = by_step ? 0 : join_pid_namespace(child, &joined, failure);
        if (status < 0)
                return status;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return vg_fail(failure, -errno, "make a socket");
        _cleanup_close_ int mine = ends[0], theirs = ends[1], cgroup = -1;
        if (birth->cgroup == 2 && !by_step) {
                cgroup = open(birth->cgroup_directories[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (cgroup < 0)
                        return vg_fail(failure, -errno, "open cgroup %s", birth->cgroup_directories[0]);
        }
        int pidfd = -1;
        pid_t pid = by_step ? spawn_by_step(child, mine, &theirs, &pidfd, failure)
                            : spawn_directly(child, mine, theirs, cgroup, &inside, &pidfd, failure);
        if (pid < 0)
                return pid;
        struct vg_spawned spawned = {pid, pidfd, TAKE_FD(mine)};
        for (char **directory = birth->cgroup_directories; *directory && status == 0 && !inside; directory++)
                status = write_pid(*directory, pid, failure);
        if (status == 0 && joined)
                status = leave_pid_namespace(child, failure);
        if (status < 0) {
                vg_spawned_kill(&spawned);
                close(spawned.pidfd);
                close(spawned.talk);
                return status;
        }
        *ret_spawned = spawned;
        return 0;
}

void vg_spawned_kill(const struct vg_spawned *spawned) {
        (void)vg_pidfd_signal(spawned->pidfd, SIGKILL); /* ESRCH: dead and reaped */
        vg_spawned_wait(spawned, false, KILL_TIMEOUT_MS);
}

void vg_spawned_wait(const struct vg_spawned *spawned, bool reaped, uint32_t timeout_ms) {
        uint64_t deadline = vg_deadline(timeout_ms);
        struct pollfd wait = {.fd = spawned->pidfd, .events = POLLIN};
        while (vg_time_left_ms(deadline) > 0 && poll(&wait, 1, vg_time_left_ms(deadline)) < 0 && errno == EINTR)
                ;
        /* Reaped: POLLHUP since Linux 6.9; a signal to it finds nobody on every kernel. */
        wait.events = 0;
        while (reaped && vg_time_left_ms(deadline) > 0 && vg_pidfd_signal(spawned->pidfd, 0) != -ESRCH)
                if (poll(&wait, 1, REAPED_LOOK_MS) < 0 && errno != EINTR)
                        return;
}
