#include "runtime/root.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "lib/cleanup.h"
#include "runtime/sys.h"

#define SYMLINKS_MAX 40 /* as the kernel's own limit, path_resolution(7) */
#define RACES_MAX 128   /* openat2(2): EAGAIN and a vanishing component are worth another try, not for ever */

void vg_found_done(struct vg_found *found) {
        vg_closep(&found->fd);
        free(found->path);
        found->path = NULL;
}

static int open_in(int root, const char *path, int flags, uint64_t resolve) {
        int fd = -EAGAIN;
        for (unsigned i = 0; i < RACES_MAX && (fd == -EAGAIN || fd == -EINTR); i++)
                fd = vg_openat2(root, path[0] ? path : ".", (uint64_t)flags | O_CLOEXEC, 0,
                                RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve);
        return fd;
}

int vg_root_open(int root, const char *path, int flags, int *ret_fd) {
        int fd = open_in(root, path, flags, 0);
        if (fd < 0)
                return fd;
        *ret_fd = fd;
        return 0;
}

/* The walk: `done` is where it stands (no symbolic links in it), `rest` what is still to go. */
struct walk {
        int root;
        char *done, *rest;
        unsigned symlinks, races;
        bool made;
};

static void walk_done(struct walk *walk) {
        free(walk->done);
        free(walk->rest);
}

static char *join(const char *a, const char *b) {
        char *joined;
        return asprintf(&joined, "%s%s%s", a, a[0] && b[0] ? "/" : "", b) < 0 ? NULL : joined;
}

static int follow(struct walk *walk, int link, const char *after) {
        char target[PATH_MAX];
        ssize_t size = readlinkat(link, "", target, sizeof target - 1);
        if (size < 0)
                return -errno;
        target[size] = 0;
        if (++walk->symlinks > SYMLINKS_MAX)
                return -ELOOP;
        char *rest = join(target, after);
        if (!rest)
                return -ENOMEM;
        free(walk->rest);
        walk->rest = rest;
        if (target[0] == '/')
                walk->done[0] = 0;
        return 0;
}

static int make_component(struct walk *walk, const char *name, bool file) {
        _cleanup_close_ int parent = open_in(walk->root, walk->done, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
        if (parent < 0)
                return parent;
        if (file) {
                _cleanup_close_ int fd = openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDONLY | O_CLOEXEC, 0644);
                if (fd < 0)
                        return -errno;
        } else if (mkdirat(parent, name, 0755) < 0)
                return -errno;
        walk->made = true;
        return 0;
}

/* One component further. 1: there is more to do. */
static int step(struct walk *walk, enum vg_missing missing) {
        const char *name = walk->rest + strspn(walk->rest, "/");
        if (!name[0])
                return 0;
        size_t length = strcspn(name, "/");
        const char *after = name + length + strspn(name + length, "/");
        walk->made = false;
        if (length == 2 && memcmp(name, "..", 2) == 0) {
                /* `done` has no symbolic links, so its text is its place; above the root is the root. */
                char *slash = strrchr(walk->done, '/');
                *(slash ? slash : walk->done) = 0;
        } else if (length != 1 || name[0] != '.') {
                _cleanup_free_ char *component = strndup(name, length);
                _cleanup_free_ char *here = component ? join(walk->done, component) : NULL;
                if (!here)
                        return -ENOMEM;
                _cleanup_close_ int fd = open_in(walk->root, here, O_PATH | O_NOFOLLOW, 0);
                struct stat st;
                if (fd == -ENOENT && missing != VG_MISSING_IS_ERROR) {
                        int status = make_component(walk, component, missing == VG_MISSING_FILE && !after[0]);
                        /* Somebody else was faster, or removed the parent: look again. */
                        if (status == -EEXIST || status == -ENOENT)
                                return ++walk->races > RACES_MAX ? status : 1;
                        if (status < 0)
                                return status;
                } else if (fd < 0)
                        return fd;
                else if (fstat(fd, &st) < 0)
                        return -errno;
                else if (S_ISLNK(st.st_mode)) {
                        int status = follow(walk, fd, after);
                        return status < 0 ? status : 1;
                }
                free(walk->done);
                walk->done = TAKE_PTR(here);
        }
        memmove(walk->rest, after, strlen(after) + 1);
        return 1;
}

int vg_root_find(int root, const char *path, enum vg_missing missing, struct vg_found *ret_found) {
        __attribute__((cleanup(walk_done))) struct walk walk = {.root = root, .done = strdup(""), .rest = strdup(path)};
        if (!walk.done || !walk.rest)
                return -ENOMEM;
        int status;
        bool made = false;
        while ((status = step(&walk, missing)) > 0)
                made = walk.made;
        if (status < 0)
                return status;
        int fd = open_in(root, walk.done, O_PATH, RESOLVE_NO_SYMLINKS);
        if (fd < 0)
                return fd;
        *ret_found = (struct vg_found){.fd = fd, .path = TAKE_PTR(walk.done), .made = made, .by_symlink = walk.symlinks > 0};
        return 0;
}

int vg_root_find_target(int root, const char *path, enum vg_missing missing, struct vg_found *ret_found) {
        _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
        int status = vg_root_find(root, path, missing, &found);
        if (status < 0)
                return status;
        struct statfs fs;
        if (fstatfs(found.fd, &fs) < 0)
                return -errno;
        if (found.by_symlink && fs.f_type == PROC_SUPER_MAGIC)
                return -ELOOP;
        *ret_found = found;
        found = VG_FOUND_NONE;
        return 0;
}

int vg_root_find_parent(int root, const char *path, struct vg_found *ret_parent, char **ret_name) {
        size_t end = strlen(path);
        while (end > 0 && path[end - 1] == '/')
                end--;
        size_t start = end;
        while (start > 0 && path[start - 1] != '/')
                start--;
        _cleanup_free_ char *name = strndup(path + start, end - start);
        _cleanup_free_ char *parent = strndup(path, start);
        if (!name || !parent)
                return -ENOMEM;
        if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                return -EINVAL;
        int status = vg_root_find(root, parent, VG_MISSING_DIRECTORY, ret_parent);
        if (status < 0)
                return status;
        *ret_name = TAKE_PTR(name);
        return 0;
}

int vg_root_find_mounted(int root, const struct vg_found *found, int *ret_fd) {
        _cleanup_close_ int fd = open_in(root, found->path, O_PATH, RESOLVE_NO_SYMLINKS);
        if (fd < 0)
                return fd;
        struct statx before, after;
        if (statx(found->fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &before) < 0 ||
            statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &after) < 0)
                return -errno;
        /* Linux 5.8; before it a path that was exchanged meanwhile goes unnoticed, though it still is inside of the root. */
        if ((after.stx_mask & STATX_MNT_ID) && before.stx_mnt_id == after.stx_mnt_id)
                return -ESTALE;
        *ret_fd = TAKE_FD(fd);
        return 0;
}
