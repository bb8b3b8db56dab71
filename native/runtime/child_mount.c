/* VG_OP_BIND_OR_MOUNT: one mount of the plan, at a target that is looked up inside the container's root. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/mount.h"
#include "runtime/root.h"

struct plan {
        const char *type, *source, *target, *data;
        uint64_t flags, clear, propagation;
        bool host_source;
};

/* /proc and /sys must be where their name says: behind a link they would leave the place to files of the image
 * (CVE-2019-19921). */
static int find_target(struct vg_child *c, const struct plan *plan, enum vg_missing missing, struct vg_found *ret_found) {
        int status = vg_root_find_target(c->root, plan->target, missing, ret_found);
        bool fixed = strcmp(plan->type, "proc") == 0 || strcmp(plan->type, "sysfs") == 0;
        return status == 0 && fixed && ret_found->by_symlink ? -ELOOP : status;
}

static int open_source(struct vg_child *c, const struct plan *plan, int *ret_fd) {
        if (!plan->host_source)
                return vg_root_open(c->root, plan->source, O_PATH, ret_fd);
        return vg_child_open_host(c, plan->source, 0, ret_fd);
}

static int bind(struct vg_child *c, const struct plan *plan, struct vg_failure *f) {
        _cleanup_close_ int source = -1, mounted = -1;
        int status = open_source(c, plan, &source);
        struct stat st;
        if (status == 0 && fstat(source, &st) < 0)
                status = -errno;
        if (status < 0)
                return vg_fail(f, status, "mount %s at %s: source", plan->source, plan->target);
        _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
        status = find_target(c, plan, S_ISDIR(st.st_mode) ? VG_MISSING_DIRECTORY : VG_MISSING_FILE, &found);
        if (status < 0)
                return vg_fail(f, status, "mount %s at %s: target", plan->source, plan->target);
        status = vg_mount_on(c->proc, NULL, source, found.fd, NULL, MS_BIND | (plan->flags & MS_REC), NULL);
        if (status == 0)
                status = vg_root_find_mounted(c->root, &found, &mounted);
        uint64_t own = plan->flags & ~(uint64_t)(MS_BIND | MS_REC | VG_MOUNT_PROPAGATION);
        if (status == 0 && (own || plan->clear))
                status = vg_mount_flags(c->proc, mounted, own, plan->clear);
        if (status == 0)
                status = vg_mount_propagation(c->proc, mounted, plan->propagation);
        return status < 0 ? vg_fail(f, status, "mount %s at %s", plan->source, plan->target) : 0;
}

/* A tmpfs takes the place of a directory of the image: /tmp keeps its 1777 unless the plan names a mode. */
static int with_mode(const char *data, int directory, char **ret_data) {
        struct stat st;
        if (fstat(directory, &st) < 0)
                return -errno;
        char *all;
        if (asprintf(&all, "%s%smode=%04o", data, data[0] ? "," : "", st.st_mode & 07777u) < 0)
                return -ENOMEM;
        *ret_data = all;
        return 0;
}

static bool has_mode(const char *data) {
        for (const char *at = data; (at = strstr(at, "mode=")); at++)
                if (at == data || at[-1] == ',')
                        return true;
        return false;
}

static int mount_new(struct vg_child *c, const struct plan *plan, struct vg_failure *f) {
        _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
        _cleanup_close_ int mounted = -1;
        _cleanup_free_ char *data = NULL;
        int status = find_target(c, plan, VG_MISSING_DIRECTORY, &found);
        if (status < 0)
                return vg_fail(f, status, "mount %s at %s: target", plan->type, plan->target);
        if (strcmp(plan->type, "tmpfs") == 0 && !found.made && !has_mode(plan->data))
                status = with_mode(plan->data, found.fd, &data);
        uint64_t flags = plan->flags & ~(uint64_t)(MS_REC | VG_MOUNT_PROPAGATION);
        if (status == 0)
                status = vg_mount_on(c->proc, plan->source, -1, found.fd, plan->type, flags, data ? data : plan->data);
        if (status == 0)
                status = vg_root_find_mounted(c->root, &found, &mounted);
        if (status == 0)
                status = vg_mount_propagation(c->proc, mounted, plan->propagation);
        return status < 0 ? vg_fail(f, status, "mount %s at %s", plan->type, plan->target) : 0;
}

static int remount(struct vg_child *c, const struct plan *plan, struct vg_failure *f) {
        _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
        int status = find_target(c, plan, VG_MISSING_IS_ERROR, &found);
        if (status == 0 && (plan->flags & MS_BIND))
                status = vg_mount_flags(c->proc, found.fd, plan->flags, plan->clear);
        else if (status == 0)
                status = vg_mount_on(c->proc, plan->source, -1, found.fd, plan->type, plan->flags, plan->data);
        if (status == 0)
                status = vg_mount_propagation(c->proc, found.fd, plan->propagation);
        return status < 0 ? vg_fail(f, status, "remount %s", plan->target) : 0;
}

int vg_child_mount(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const struct plan plan = {
                .type = a->at[0].string,
                .source = a->at[1].string,
                .target = a->at[2].string,
                .flags = a->at[3].number,
                .clear = a->at[4].number,
                .propagation = a->at[5].number,
                .data = a->at[6].string,
                .host_source = a->at[7].number,
        };
        if (plan.flags & MS_REMOUNT)
                return remount(c, &plan, f);
        if (strcmp(plan.type, "bind") == 0 || (plan.flags & MS_BIND))
                return bind(c, &plan, f);
        return mount_new(c, &plan, f);
}
