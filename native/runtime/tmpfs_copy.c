/* VG_OP_TMPFS_COPY: a tmpfs that begins with what the directory under it holds (option "tmpcopyup"). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/mount.h"
#include "runtime/root.h"
#include "runtime/sys.h"

#define DEPTH_MAX 256 /* directories in directories: each holds two descriptors and a stack frame */
#define PIECE ((size_t)1 << 30)

/* Owner first: changing it takes the set-user-ID bits away, chown(2). */
static int dress(int fd, const struct stat *st) {
        const struct timespec times[2] = {st->st_atim, st->st_mtim};
        if (fchown(fd, st->st_uid, st->st_gid) < 0 || fchmod(fd, st->st_mode & 07777) < 0 || futimens(fd, times) < 0)
                return -errno;
        return 0;
}

static int copy_file(int from, int to, const char *name, const struct stat *st) {
        _cleanup_close_ int in = vg_openat2(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0, RESOLVE_NO_XDEV);
        if (in < 0)
                return in;
        _cleanup_close_ int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (out < 0)
                return -errno;
        for (ssize_t size; (size = sendfile(out, in, NULL, PIECE)) != 0;)
                if (size < 0)
                        return -errno;
        return dress(out, st);
}

static int copy_link(int from, int to, const char *name, const struct stat *st) {
        char target[PATH_MAX];
        ssize_t size = readlinkat(from, name, target, sizeof target - 1);
        if (size < 0)
                return -errno;
        target[size] = 0;
        if (symlinkat(target, to, name) < 0 || fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return 0;
}

/* A FIFO, a socket, a device. */
static int copy_node(int to, const char *name, const struct stat *st) {
        if (mknodat(to, name, st->st_mode, st->st_rdev) < 0 || fchownat(to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        return 0;
}

static int copy_directory(int from, int to, unsigned depth, char *place);

static int copy_below(int from, int to, const char *name, const struct stat *st, unsigned depth, char *place) {
        /* What is mounted in there is another file system and stays covered. */
        _cleanup_close_ int in = vg_openat2(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, RESOLVE_NO_XDEV);
        if (in < 0 && in != -EXDEV)
                return in;
        if (mkdirat(to, name, 0700) < 0)
                return -errno;
        _cleanup_close_ int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (out < 0)
                return -errno;
        int status = in < 0 ? 0 : copy_directory(in, out, depth + 1, place);
        return status < 0 ? status : dress(out, st);
}

static int copy_entry(int from, int to, const char *name, unsigned depth, char *place) {
        struct stat st;
        if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return copy_below(from, to, name, &st, depth, place);
        if (S_ISREG(st.st_mode))
                return copy_file(from, to, name, &st);
        return S_ISLNK(st.st_mode) ? copy_link(from, to, name, &st) : copy_node(to, name, &st);
}

/* On failure `place` has the name of what could not be copied. */
static int copy_directory(int from, int to, unsigned depth, char *place) {
        if (depth > DEPTH_MAX)
                return -ELOOP;
        int again = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (again < 0)
                return -errno;
        _cleanup_closedir_ DIR *list = fdopendir(again);
        if (!list) {
                int status = -errno;
                close(again);
                return status;
        }
        for (struct dirent *entry; errno = 0, (entry = readdir(list));) {
                if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                        continue;
                int status = copy_entry(from, to, entry->d_name, depth, place);
                if (status < 0) {
                        if (!place[0])
                                snprintf(place, NAME_MAX + 1, "%s", entry->d_name);
                        return status;
                }
        }
        return -errno;
}

int vg_child_tmpfs_copy(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const char *source = a->at[0].string, *target = a->at[1].string, *data = a->at[4].string;
        uint64_t flags = a->at[2].number & ~(uint64_t)(MS_REC | VG_MOUNT_PROPAGATION);
        char place[NAME_MAX + 1] = "";
        _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
        _cleanup_close_ int mounted = -1, below = -1, above = -1;
        int status = vg_root_find_target(c->root, target, VG_MISSING_DIRECTORY, &found);
        struct stat st;
        if (status == 0) {
                below = openat(found.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                if (below < 0 || fstat(below, &st) < 0)
                        status = -errno;
        }
        if (status < 0)
                return vg_fail(f, status, "mount tmpfs at %s: target", target);
        status = vg_mount_on(c->proc, source, -1, found.fd, "tmpfs", flags, data);
        if (status == 0)
                status = vg_root_find_mounted(c->root, &found, &mounted);
        if (status == 0) {
                above = openat(mounted, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                status = above < 0 ? -errno : copy_directory(below, above, 0, place);
        }
        if (status < 0)
                return vg_fail(f, status, "mount tmpfs at %s: copy %s", target, place[0] ? place : "what is there");
        status = vg_mount_propagation(c->proc, mounted, a->at[3].number);
        return status < 0 ? vg_fail(f, status, "mount tmpfs at %s", target) : 0;
}
