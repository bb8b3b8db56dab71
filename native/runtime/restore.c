#include "runtime/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/adoption.h"
#include "runtime/criu.h"
#include "runtime/root.h"

static int make_mount_points(int root, char *const *paths, enum vg_missing missing, struct vg_failure *f) {
        for (; *paths; paths++) {
                _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
                int status = vg_root_find_target(root, *paths, missing, &found);
                if (status < 0)
                        return vg_fail(f, status, "make mount point %s", *paths);
        }
        return 0;
}

/* CRIU's --root must be a mount point. This one is nobody else's and goes with CRIU. */
static int prepare_root(const struct vg_restore *r, struct vg_failure *f) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0 ||
            mount(r->root, r->root, NULL, MS_BIND | MS_REC, NULL) < 0)
                return vg_fail(f, -errno, "bind %s for CRIU", r->root);
        _cleanup_close_ int root = open(r->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return vg_fail(f, -errno, "open %s", r->root);
        int status = make_mount_points(root, r->directories, VG_MISSING_DIRECTORY, f);
        return status < 0 ? status : make_mount_points(root, r->files, VG_MISSING_FILE, f);
}

static int run(const struct vg_birth *birth, struct vg_streams *streams, int channel, int proc, pid_t *ret_pid,
               struct vg_failure *f) {
        const struct vg_restore *r = birth->restore;
        struct vg_criu_restore restore = {.names = r->inherited, .fds = streams->container, .count = 3, .channel = channel};
        _cleanup_close_ int mounts = openat(proc, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
        if (mounts < 0)
                return vg_fail(f, -errno, "open the mount namespace");
        int status = prepare_root(r, f);
        if (status == 0)
                status = vg_criu_run(&r->criu, &restore, f);
        /* What has to be undone is in the other one. */
        if (setns(mounts, CLONE_NEWNS) < 0 && status == 0)
                status = vg_fail(f, -errno, "return to the mount namespace");
        /* Only the container may hold its ends of the pipes. */
        for (int i = 0; i < 3; i++)
                vg_closep(&streams->container[i]);
        if (status == 0)
                status = vg_adoption_check(restore.pid, f);
        if (status == 0)
                *ret_pid = restore.pid;
        return status;
}

int vg_restore_birth(const struct vg_birth *birth, struct vg_streams *streams, int channel, struct vg_host *host,
                     struct vg_failure *f) {
        pid_t pid = 0;
        int status = run(birth, streams, channel, host->proc, &pid, f);
        if (status == 0)
                status = vg_adoption(birth, channel, pid, f);
        if (status < 0) {
                uint32_t count;
                struct vg_failure ignored = {0}; /* what failed first is told */
                (void)vg_host_run(host, birth->restore->undo, &count, &ignored);
        }
        return status;
}
