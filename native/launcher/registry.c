#include "launcher/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/proc.h"

static int path_in(char *ret_path, size_t room, const char *run_dir, const char *name_space, const char *tail) {
        int n = snprintf(ret_path, room, "%s/cores/%s/%s", run_dir, name_space, tail);
        return n < 0 || (size_t)n >= room ? -ENAMETOOLONG : 0;
}

static int make_directories(const char *path) {
        char partial[PATH_MAX];
        snprintf(partial, sizeof partial, "%s", path);
        for (char *slash = partial + 1;; slash++) {
                slash = strchr(slash, '/');
                if (slash)
                        *slash = 0;
                if (mkdir(partial, 0700) < 0 && errno != EEXIST)
                        return -errno;
                if (!slash)
                        return 0;
                *slash = '/';
        }
}

int vg_group_lock(const char *run_dir, const char *name_space, const char *group, int *ret_fd) {
        char directory[PATH_MAX], path[PATH_MAX];
        int r = path_in(directory, sizeof directory, run_dir, name_space, "");
        if (r < 0)
                return r;
        directory[strlen(directory) - 1] = 0;
        for (;;) {
                r = make_directories(directory);
                if (r < 0)
                        return r;
                if (snprintf(path, sizeof path, "%s/%s.lock", directory, group) >= (int)sizeof path)
                        return -ENAMETOOLONG;
                _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
                if (fd < 0) {
                        if (errno == ENOENT) /* a leaving core or `delete` removed the emptied directory: make it again */
                                continue;
                        return -errno;
                }
                while (flock(fd, LOCK_EX) < 0)
                        if (errno != EINTR)
                                return -errno;
                /* Whoever leaves the group last unlinks the file with the lock held: a lock on that name is what counts. */
                struct stat mine, named;
                if (fstat(fd, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino &&
                    mine.st_dev == named.st_dev) {
                        *ret_fd = TAKE_FD(fd);
                        return 0;
                }
        }
}

int vg_registration_write(const char *run_dir, const char *name_space, const char *id, const struct vg_registration *reg) {
        char directory[PATH_MAX], path[PATH_MAX + 8], fresh[PATH_MAX + 8];
        int r = path_in(directory, sizeof directory, run_dir, name_space, id);
        if (r == 0)
                r = make_directories(directory);
        if (r < 0)
                return r;
        snprintf(path, sizeof path, "%s/shim", directory);
        snprintf(fresh, sizeof fresh, "%s/.shim", directory);
        _cleanup_fclose_ FILE *f = fopen(fresh, "we");
        if (!f)
                return -errno;
        if (fprintf(f, "group=%s\nsocket=%s\nbundle=%s\n", reg->group, reg->socket, reg->bundle) < 0 || fflush(f) != 0)
                return -errno;
        return rename(fresh, path) < 0 ? -errno : 0;
}

/* Calls `line(owner, key, value)` for each "key=value". */
static int read_lines(const char *path, void (*line)(void *owner, const char *key, const char *value), void *owner) {
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        if (!f)
                return -errno;
        char text[PATH_MAX + 64];
        while (fgets(text, sizeof text, f)) {
                text[strcspn(text, "\n")] = 0;
                char *equals = strchr(text, '=');
                if (equals) {
                        *equals = 0;
                        line(owner, text, equals + 1);
                }
        }
        return 0;
}

static void registration_line(void *owner, const char *key, const char *value) {
        struct vg_registration *reg = owner;
        if (strcmp(key, "group") == 0)
                snprintf(reg->group, sizeof reg->group, "%s", value);
        else if (strcmp(key, "socket") == 0)
                snprintf(reg->socket, sizeof reg->socket, "%s", value);
        else if (strcmp(key, "bundle") == 0)
                snprintf(reg->bundle, sizeof reg->bundle, "%s", value);
}

int vg_registration_read(const char *run_dir, const char *name_space, const char *id, struct vg_registration *ret) {
        char directory[PATH_MAX], path[PATH_MAX + 8];
        int r = path_in(directory, sizeof directory, run_dir, name_space, id);
        if (r < 0)
                return r;
        snprintf(path, sizeof path, "%s/shim", directory);
        struct vg_registration reg = {0};
        r = read_lines(path, registration_line, &reg);
        if (r == 0)
                *ret = reg;
        return r;
}

int vg_registration_remove(const char *run_dir, const char *name_space, const char *id) {
        /* A dotted one is the next version of the file that a killed writer did not finish. */
        static const char *const files[] = {"shim", ".shim", "teardown", ".teardown"};
        char directory[PATH_MAX], path[PATH_MAX + 16];
        int r = path_in(directory, sizeof directory, run_dir, name_space, id);
        if (r < 0)
                return r;
        for (size_t i = 0; i < VG_COUNT(files); i++) {
                snprintf(path, sizeof path, "%s/%s", directory, files[i]);
                if (unlink(path) < 0 && errno != ENOENT)
                        return -errno;
        }
        return rmdir(directory) < 0 && errno != ENOENT && errno != ENOTEMPTY ? -errno : 0;
}

int vg_group_members(const char *run_dir, const char *name_space, const char *group, const char *except, unsigned *ret_count) {
        char directory[PATH_MAX];
        int r = path_in(directory, sizeof directory, run_dir, name_space, "");
        if (r < 0)
                return r;
        _cleanup_closedir_ DIR *d = opendir(directory);
        if (!d)
                return -errno;
        unsigned count = 0;
        for (struct dirent *entry; (entry = readdir(d));) {
                struct vg_registration reg;
                if (entry->d_name[0] == '.' || strcmp(entry->d_name, except) == 0)
                        continue;
                if (vg_registration_read(run_dir, name_space, entry->d_name, &reg) == 0 && strcmp(reg.group, group) == 0)
                        count++;
        }
        *ret_count = count;
        return 0;
}

void vg_group_remove(const char *run_dir, const char *name_space, const char *group) {
        char path[PATH_MAX];
        /* Whatever of it is already gone, or still in use by another group, stays as it is. */
        if (snprintf(path, sizeof path, "%s/cores/%s/%s.lock", run_dir, name_space, group) >= (int)sizeof path)
                return;
        unlink(path);
        for (int up = 0; up < 2; up++) {
                *strrchr(path, '/') = 0;
                rmdir(path);
        }
}

static void core_line(void *owner, const char *key, const char *value) {
        struct vg_core_entry *core = owner;
        if (strcmp(key, "pid") == 0)
                core->pid = (pid_t)strtol(value, NULL, 10);
        else if (strcmp(key, "start") == 0)
                core->start = strtoull(value, NULL, 10);
        else if (strcmp(key, "socket") == 0)
                snprintf(core->socket, sizeof core->socket, "%s", value);
        else if (strcmp(key, "state") == 0)
                snprintf(core->state, sizeof core->state, "%s", value);
}

int vg_core_entry_read(const char *run_dir, const char *name_space, const char *group, struct vg_core_entry *ret) {
        char directory[PATH_MAX], path[PATH_MAX + 8];
        int r = path_in(directory, sizeof directory, run_dir, name_space, group);
        if (r < 0)
                return r;
        snprintf(path, sizeof path, "%s/core", directory);
        struct vg_core_entry core = {0};
        r = read_lines(path, core_line, &core);
        if (r == 0 && core.pid <= 0)
                r = -ENODATA;
        if (r == 0)
                *ret = core;
        return r;
}

bool vg_core_alive(const struct vg_core_entry *core) {
        uint64_t start;
        return vg_proc_start_time(core->pid, &start) == 0 && start == core->start && !vg_proc_is_exiting(core->pid);
}
