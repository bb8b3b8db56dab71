/* Labels of the security modules: what the next execve gives the process, its keys, and files without a mount option for it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/mount.h"
#include "runtime/root.h"

static int write_attribute(const struct vg_child *c, const char *name, const char *value) {
        char path[128];
        if (snprintf(path, sizeof path, "self/attr/%s", name) >= (int)sizeof path)
                return -ENAMETOOLONG;
        /* The host's proc, and nothing that an image or a mount of the plan put into its place: the write would go elsewhere, and
         * the process would run without its label (CVE-2019-16884, CVE-2019-19921). */
        return vg_proc_write(c->proc, path, value);
}

int vg_child_label(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const char *name = a->at[0].string, *older = a->at[1].string, *value = a->at[2].string;
        int status = write_attribute(c, name, value);
        /* A module has a directory of its own since Linux 5.1. */
        if (status == -ENOENT && older[0])
                status = write_attribute(c, older, value);
        return status < 0 ? vg_fail(f, status, "write \"%s\" to the security attribute %s", value, name) : 0;
}

int vg_child_file_label(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        const char *path = a->at[0].string, *label = a->at[1].string;
        _cleanup_close_ int fd = -1;
        int status = vg_root_open(c->root, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, &fd);
        if (status == 0 && fsetxattr(fd, "security.selinux", label, strlen(label) + 1, 0) < 0)
                status = -errno;
        return status < 0 ? vg_fail(f, status, "label %s as %s", path, label) : 0;
}
