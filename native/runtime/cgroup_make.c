/* Making cgroups: VG_OP_CGROUP_MKDIR, VG_OP_CGROUP_INHERIT, VG_OP_CGROUP_EMPTY. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "runtime/cgroup.h"
#include "runtime/host.h"

/* The part of `path` below `root`; NULL if it is not below it or goes up. */
static const char *below(const char *root, const char *path) {
        size_t length = strlen(root);
        while (length > 0 && root[length - 1] == '/')
                length--;
        const char *rest = path;
        if (path[0] == '/') {
                if (strncmp(path, root, length) != 0 || (path[length] != '/' && path[length] != 0))
                        return NULL;
                rest = path + length;
        }
        for (const char *at = rest; *at;) {
                at += strspn(at, "/");
                size_t name = strcspn(at, "/");
                if (name == 2 && memcmp(at, "..", 2) == 0)
                        return NULL;
                at += name;
        }
        return rest;
}

/* Walks from root to path; `at_level` sees each directory below root, its parent's path and its own. */
static int each_level(const char *root, const char *path, int (*at_level)(const char *parent, const char *here, void *data),
                      void *data) {
        const char *rest = below(root, path);
        if (!rest)
                return -EINVAL;
        _cleanup_free_ char *parent = strdup(root);
        if (!parent)
                return -ENOMEM;
        for (;;) {
                rest += strspn(rest, "/");
                size_t length = strcspn(rest, "/");
                if (length == 0)
                        return 0;
                char *here;
                if (asprintf(&here, "%s/%.*s", parent, (int)length, rest) < 0)
                        return -ENOMEM;
                int status = at_level(parent, here, data);
                free(parent);
                parent = here;
                if (status < 0)
                        return status;
                rest += length;
        }
}

struct making {
        struct vg_undo *undo;
        struct vg_failure *f;
};

static int make_level(const char *parent, const char *here, void *data) {
        (void)parent;
        struct making *making = data;
        if (mkdir(here, 0755) < 0)
                return errno == EEXIST ? 0 : vg_fail(making->f, -errno, "make cgroup %s", here);
        int status = vg_undo_remember_directory(making->undo, here);
        if (status < 0) {
                (void)rmdir(here);
                return vg_fail(making->f, status, "make cgroup %s", here);
        }
        return 0;
}

int vg_host_cgroup_mkdir(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        struct making making = {&h->undo, f};
        const char *root = a->at[0].string, *path = a->at[1].string;
        if (!below(root, path))
                return vg_fail_words(f, -EINVAL, "make cgroup %s: it is not below %s", path, root);
        return each_level(root, path, make_level, &making);
}

struct inheriting {
        const char *file;
        struct vg_failure *f;
};

static int inherit_level(const char *parent, const char *here, void *data) {
        struct inheriting *inheriting = data;
        const char *file = inheriting->file;
        /* Lists of CPUs and nodes: "0-3,8"; a page holds any. */
        char text[4096];
        int status = vg_cgroup_read(here, file, text, sizeof text);
        if (status < 0)
                return vg_fail(inheriting->f, status, "read %s/%s", here, file);
        if (text[strspn(text, " \n")])
                return 0;
        status = vg_cgroup_read(parent, file, text, sizeof text);
        if (status < 0)
                return vg_fail(inheriting->f, status, "read %s/%s", parent, file);
        status = vg_cgroup_write(here, file, text);
        return status < 0 ? vg_fail(inheriting->f, status, "write \"%s\" to %s/%s", text, here, file) : 0;
}

int vg_host_cgroup_inherit(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        struct inheriting inheriting = {a->at[2].string, f};
        const char *root = a->at[0].string, *path = a->at[1].string;
        if (!below(root, path) || strchr(inheriting.file, '/'))
                return vg_fail_words(f, -EINVAL, "inherit %s in %s: not a file of a cgroup below %s", inheriting.file, path, root);
        return each_level(root, path, inherit_level, &inheriting);
}

int vg_host_cgroup_empty(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        const char *path = a->at[0].string;
        _cleanup_pids_ struct vg_pids pids = {0};
        int status = vg_cgroup_pids(path, &pids);
        if (status < 0)
                return vg_fail(f, status, "look into cgroup %s", path);
        if (pids.count > 0)
                return vg_fail_words(f, -EBUSY, "cgroup %s is not empty: process %d is in it", path, (int)pids.at[0]);
        return 0;
}
