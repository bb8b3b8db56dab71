/* VG_OP_CGROUP_MOUNT: the container's view of its cgroups. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/mount.h"
#include "runtime/root.h"

#define OWN_FLAGS(flags) ((flags) & ~(uint64_t)(MS_REC | MS_BIND | VG_MOUNT_PROPAGATION))

struct hierarchy {
        const char *name, *host, *options;
};

static struct hierarchy hierarchy_at(char *const *triples, uint32_t index) {
        return (struct hierarchy){triples[3 * index], triples[3 * index + 1], triples[3 * index + 2]};
}

/* `found` was found in `root`. */
static int bind_from_host(struct vg_child *c, const char *host, int root, const struct vg_found *found, uint64_t flags) {
        _cleanup_close_ int source = -1, mounted = -1;
        int status = vg_child_open_host(c, host, O_DIRECTORY, &source);
        if (status == 0)
                status = vg_mount_on(c->proc, NULL, source, found->fd, NULL, MS_BIND | MS_REC, NULL);
        if (status == 0)
                status = vg_root_find_mounted(root, found, &mounted);
        return status < 0 ? status : vg_mount_flags(c->proc, mounted, OWN_FLAGS(flags), 0);
}

/* A mount of its own in a cgroup namespace, whose root is then the container's cgroup; otherwise a bind of that cgroup. */
static int mount_hierarchy(struct vg_child *c, const struct hierarchy *from, int root, const struct vg_found *found,
                           uint64_t flags) {
        if (!c->cgroup_namespace)
                return bind_from_host(c, from->host, root, found, flags);
        if (strcmp(from->options, "cgroup2") == 0)
                return vg_mount_on(c->proc, "cgroup2", -1, found->fd, "cgroup2", OWN_FLAGS(flags), NULL);
        return vg_mount_on(c->proc, "cgroup", -1, found->fd, "cgroup", OWN_FLAGS(flags), from->options);
}

static int mount_v2(struct vg_child *c, const char *target, uint64_t flags, char *const *triples, struct vg_failure *f) {
        _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
        int status = vg_root_find_target(c->root, target, VG_MISSING_DIRECTORY, &found);
        if (status < 0)
                return vg_fail(f, status, "mount cgroup2 at %s: target", target);
        struct hierarchy from = triples[0] ? hierarchy_at(triples, 0) : (struct hierarchy){"", "", ""};
        /* Also without a cgroup namespace: the whole tree is what the specification's type "cgroup" has meant on v2 so far. */
        status = vg_mount_on(c->proc, "cgroup2", -1, found.fd, "cgroup2", OWN_FLAGS(flags), from.options);
        /* In a user namespace, or where the tree may not be mounted again: bind it. */
        if ((status == -EPERM || status == -EBUSY) && from.host[0])
                status = bind_from_host(c, from.host, c->root, &found, flags);
        return status < 0 ? vg_fail(f, status, "mount cgroup2 at %s", target) : 0;
}

/* "cpu,cpuacct": programs look for "cpu" and for "cpuacct", too. */
static int link_parts(int top, const char *name) {
        if (!strchr(name, ','))
                return 0;
        _cleanup_free_ char *parts = strdup(name);
        if (!parts)
                return -ENOMEM;
        char *rest = parts;
        for (char *part; (part = strsep(&rest, ","));)
                if (part[0] && symlinkat(name, top, part) < 0 && errno != EEXIST)
                        return -errno;
        return 0;
}

static int mount_v1(struct vg_child *c, const char *target, uint64_t flags, char *const *triples, struct vg_failure *f) {
        _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
        _cleanup_close_ int top = -1;
        int status = vg_root_find_target(c->root, target, VG_MISSING_DIRECTORY, &found);
        if (status == 0)
                status = vg_mount_on(c->proc, "tmpfs", -1, found.fd, "tmpfs", OWN_FLAGS(flags) & ~(uint64_t)MS_RDONLY, "mode=755");
        if (status == 0)
                status = vg_root_find_mounted(c->root, &found, &top);
        if (status < 0)
                return vg_fail(f, status, "mount tmpfs at %s", target);
        for (uint32_t i = 0; triples[3 * i]; i++) {
                struct hierarchy from = hierarchy_at(triples, i);
                _cleanup_found_ struct vg_found place = VG_FOUND_NONE;
                status = vg_root_find(top, from.name, VG_MISSING_DIRECTORY, &place);
                if (status == 0)
                        status = mount_hierarchy(c, &from, top, &place, flags);
                if (status == 0)
                        status = link_parts(top, from.name);
                if (status < 0)
                        return vg_fail(f, status, "mount cgroup %s at %s", from.name, target);
        }
        if (flags & MS_RDONLY)
                status = vg_mount_flags(c->proc, top, OWN_FLAGS(flags), 0);
        return status < 0 ? vg_fail(f, status, "make %s read-only", target) : 0;
}

int vg_child_cgroup_mount(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const char *target = a->at[1].string;
        uint64_t flags = a->at[2].number;
        char *const *triples = a->at[3].strings;
        return a->at[0].number == 2 ? mount_v2(c, target, flags, triples, f) : mount_v1(c, target, flags, triples, f);
}
