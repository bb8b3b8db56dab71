#include "oom/groups.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "oom/held.h"

#define DEPTH_MAX 16

/* The inode number is the identity: a cgroup can be renamed. On kernfs it is not used again. */
struct vg_group {
        ino_t inode;
        char *path; /* below the container's cgroup */
        int oom_control;
        uint64_t kills, baseline;
        struct vg_notify notify;
        struct vg_group *next;
};

int vg_groups_register(int events, int directory, int oom_control) {
        char line[32];
        _cleanup_close_ int control = openat(directory, "cgroup.event_control", O_WRONLY | O_CLOEXEC);
        if (control < 0)
                return -errno;
        int size = snprintf(line, sizeof line, "%d %d", events, oom_control);
        return write(control, line, (size_t)size) < 0 ? -errno : 0;
}

static bool group_read(struct vg_group *group) {
        char text[256];
        uint64_t kills;
        ssize_t size = pread(group->oom_control, text, sizeof text, 0);
        if (size <= 0)
                return false;
        if (vg_counter_find(text, (size_t)size, "oom_kill", &kills) && kills > group->kills)
                group->kills = kills;
        return true;
}

static void group_free(struct vg_groups *groups, struct vg_group *group) {
        vg_notify_remove(groups->inotify, &group->notify);
        vg_closep(&group->oom_control);
        free(group->path);
        free(group);
}

static void group_seen(struct vg_notify *notify, uint32_t mask, const char *name) {
        struct vg_groups *groups = notify->owner;
        (void)name;
        if (mask & (IN_ISDIR | IN_Q_OVERFLOW))
                groups->changed(groups->owner);
}

static int group_subscribe(struct vg_groups *groups, struct vg_notify *notify, int directory) {
        notify->mask = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_ONLYDIR;
        notify->seen = group_seen;
        notify->owner = groups;
        return vg_notify_add(groups->inotify, notify, directory);
}

/* Takes over the path. A cgroup that cannot be held (removed meanwhile, no descriptors left) is tried again by the next scan. */
static struct vg_group *group_add(struct vg_groups *groups, int directory, ino_t inode, char *path, bool from_now) {
        _cleanup_free_ char *own_path = path;
        _cleanup_close_ int oom_control = openat(directory, "memory.oom_control", O_RDONLY | O_CLOEXEC);
        struct vg_group *group = oom_control < 0 ? NULL : calloc(1, sizeof *group);
        if (!group)
                return NULL;
        *group =
                (struct vg_group){.inode = inode, .path = TAKE_PTR(own_path), .oom_control = TAKE_FD(oom_control), .notify.wd = -1};
        bool told = groups->events >= 0 && vg_groups_register(groups->events, directory, group->oom_control) == 0 &&
                    group_subscribe(groups, &group->notify, directory) == 0;
        if (group_read(group) && !told)
                groups->untold = true;
        if (from_now)
                group->baseline = group->kills;
        group->next = groups->first;
        groups->first = group;
        groups->count++;
        return group;
}

static struct vg_group *group_find(struct vg_groups *groups, ino_t inode) {
        for (struct vg_group *group = groups->first; group; group = group->next)
                if (group->inode == inode)
                        return group;
        return NULL;
}

/* Takes over the directory's descriptor. */
static void scan(struct vg_groups *groups, int fd, const char *path, unsigned depth, bool from_now) {
        _cleanup_closedir_ DIR *entries = fdopendir(fd);
        if (!entries) {
                close(fd);
                return;
        }
        for (struct dirent *entry; (entry = readdir(entries));) {
                struct stat st;
                char *below;
                if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                _cleanup_close_ int child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (child < 0 || fstat(child, &st) < 0 || asprintf(&below, "%s%s/", path, entry->d_name) < 0)
                        continue;
                struct vg_group *group = group_find(groups, st.st_ino);
                if (group) {
                        free(group->path);
                        group->path = below;
                } else if (groups->count == VG_GROUPS_MAX) {
                        groups->crowded = true;
                        free(below);
                } else {
                        group = group_add(groups, child, st.st_ino, below, from_now);
                }
                if (group && depth < DEPTH_MAX)
                        scan(groups, TAKE_FD(child), group->path, depth + 1, from_now);
        }
}

static void scan_all(struct vg_groups *groups, bool from_now) {
        int fd = openat(groups->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        groups->crowded = false;
        if (fd >= 0)
                scan(groups, fd, "", 0, from_now);
}

/* Two links of a directory are its own, one more is each directory in it: told without reading any. */
static bool all_are_known(const struct vg_groups *groups) {
        struct stat st;
        if (fstat(groups->directory, &st) < 0 || st.st_nlink == 0)
                return true; /* removed */
        uint64_t below = st.st_nlink - 2;
        for (const struct vg_group *group = groups->first; group; group = group->next) {
                if (fstatat(groups->directory, group->path, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != group->inode)
                        return false;
                below += st.st_nlink - 2;
        }
        return below == groups->count;
}

void vg_groups_open(struct vg_groups *groups) {
        groups->notify.wd = -1;
        if (group_subscribe(groups, &groups->notify, groups->directory) < 0)
                groups->untold = true;
        scan_all(groups, true);
}

uint64_t vg_groups_kills(struct vg_groups *groups, bool thoroughly) {
        uint64_t kills = 0;
        for (struct vg_group **at = &groups->first, *group; (group = *at);) {
                if (group_read(group)) {
                        at = &group->next;
                        continue;
                }
                /* ENODEV: what was read last stays in the sum. */
                groups->removed += group->kills - group->baseline;
                groups->count--;
                *at = group->next;
                group_free(groups, group);
        }
        if (thoroughly || (!groups->crowded && !all_are_known(groups)))
                scan_all(groups, false);
        for (const struct vg_group *group = groups->first; group; group = group->next)
                kills += group->kills - group->baseline;
        return groups->removed + kills;
}

void vg_groups_close(struct vg_groups *groups) {
        if (groups->inotify)
                vg_notify_remove(groups->inotify, &groups->notify);
        while (groups->first) {
                struct vg_group *group = groups->first;
                groups->first = group->next;
                group_free(groups, group);
        }
}
