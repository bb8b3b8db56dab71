#include "runtime/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/deadline.h"

void vg_pids_done(struct vg_pids *pids) {
        free(pids->at);
        *pids = (struct vg_pids){0};
}

bool vg_pids_have(const struct vg_pids *pids, pid_t pid) {
        for (size_t i = 0; i < pids->count; i++)
                if (pids->at[i] == pid)
                        return true;
        return false;
}

int vg_pids_add(struct vg_pids *pids, pid_t pid) {
        if (pids->count == pids->room) {
                size_t room = pids->room ? 2 * pids->room : 64;
                pid_t *at = reallocarray(pids->at, room, sizeof *at);
                if (!at)
                        return -ENOMEM;
                pids->at = at;
                pids->room = room;
        }
        pids->at[pids->count++] = pid;
        return 0;
}

static int open_file(const char *path, const char *file, int flags) {
        _cleanup_close_ int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        int fd = directory < 0 ? -1 : openat(directory, file, flags | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int vg_cgroup_write(const char *path, const char *file, const char *value) {
        _cleanup_close_ int fd = open_file(path, file, O_WRONLY);
        if (fd < 0)
                return fd;
        ssize_t size;
        do
                size = write(fd, value, strlen(value));
        while (size < 0 && errno == EINTR);
        return size < 0 ? -errno : 0;
}

int vg_cgroup_read(const char *path, const char *file, char *into, size_t size) {
        _cleanup_close_ int fd = open_file(path, file, O_RDONLY);
        if (fd < 0)
                return fd;
        ssize_t got = read(fd, into, size - 1);
        if (got < 0)
                return -errno;
        while (got > 0 && into[got - 1] == '\n')
                got--;
        into[got] = 0;
        return 0;
}

int vg_cgroup_each_child(const char *path, int (*each)(const char *child, void *data), void *data) {
        _cleanup_closedir_ DIR *directory = opendir(path);
        if (!directory)
                return -errno;
        for (struct dirent *entry; (errno = 0, entry = readdir(directory));) {
                if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
                        continue;
                _cleanup_free_ char *child = NULL;
                if (asprintf(&child, "%s/%s", path, entry->d_name) < 0)
                        return -ENOMEM;
                int status = each(child, data);
                if (status < 0)
                        return status;
        }
        return -errno;
}

static bool is_gone(int status) {
        /* ENODEV: a file of a cgroup that was removed while it was open. */
        return status == -ENOENT || status == -ENODEV;
}

static int read_pids(const char *path, const char *file, struct vg_pids *pids) {
        int fd = open_file(path, file, O_RDONLY);
        if (fd < 0)
                return fd;
        _cleanup_fclose_ FILE *stream = fdopen(fd, "re");
        if (!stream) {
                close(fd);
                return -ENOMEM;
        }
        int pid;
        while (errno = 0, fscanf(stream, "%d", &pid) == 1) {
                int status = pid > 0 ? vg_pids_add(pids, pid) : 0; /* 0: a process of an outer pid namespace */
                if (status < 0)
                        return status;
        }
        return ferror(stream) ? -errno : 0;
}

static int add_child(const char *child, void *pids) {
        return vg_cgroup_pids(child, pids);
}

int vg_cgroup_pids(const char *path, struct vg_pids *pids) {
        int status = read_pids(path, "cgroup.procs", pids);
        /* A threaded cgroup of v2 lists its threads only: cgroup-v2, Threads. */
        if (status == -EOPNOTSUPP)
                status = read_pids(path, "cgroup.threads", pids);
        if (status == 0)
                status = vg_cgroup_each_child(path, add_child, pids);
        return is_gone(status) ? 0 : status;
}

int vg_cgroup_rmdir(const char *path, uint32_t timeout_ms) {
        uint64_t deadline = vg_deadline(timeout_ms);
        _cleanup_close_ int events = open_file(path, "cgroup.events", O_RDONLY);
        for (;;) {
                if (rmdir(path) == 0 || errno == ENOENT)
                        return 0;
                int left = vg_time_left_ms(deadline);
                if (errno != EBUSY || left == 0)
                        return -errno;
                /* v2 tells when it is no longer populated; reading arms the notification. The short limit is for what it does not
                 * tell (a child's removal), and for v1, which tells nothing. */
                char text[128];
                struct pollfd wait = {.fd = events, .events = POLLPRI};
                if (events >= 0 && pread(events, text, sizeof text, 0) < 0)
                        vg_closep(&events);
                if (poll(&wait, 1, left < 10 ? left : 10) < 0 && errno != EINTR)
                        return -errno;
        }
}
