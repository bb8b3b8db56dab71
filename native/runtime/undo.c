#include "runtime/undo.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/cgroup.h"
#include "runtime/mount.h"

#define BUSY_TIMEOUT_MS 1000 /* the last process of a cgroup is on its way out */

struct vg_undo_step {
        struct vg_undo_step *before;
        int mounted;
        char *directory; /* NULL: a mount */
};

static int remember(struct vg_undo *undo, int mounted, char *directory) {
        struct vg_undo_step *step = malloc(sizeof *step);
        if (!step)
                return -ENOMEM;
        *step = (struct vg_undo_step){.before = undo->last, .mounted = mounted, .directory = directory};
        undo->last = step;
        return 0;
}

int vg_undo_remember_directory(struct vg_undo *undo, const char *path) {
        _cleanup_free_ char *copy = strdup(path);
        if (!copy)
                return -ENOMEM;
        int status = remember(undo, -1, copy);
        if (status == 0)
                (void)TAKE_PTR(copy);
        return status;
}

int vg_undo_remember_mount(struct vg_undo *undo, int mounted) {
        int status = remember(undo, mounted, NULL);
        if (status < 0)
                close(mounted);
        return status;
}

static struct vg_undo_step *pop(struct vg_undo *undo) {
        struct vg_undo_step *step = undo->last;
        if (step)
                undo->last = step->before;
        return step;
}

static void step_free(struct vg_undo_step *step) {
        vg_closep(&step->mounted);
        free(step->directory);
        free(step);
}

void vg_undo_run(struct vg_undo *undo, int proc) {
        for (struct vg_undo_step *step; (step = pop(undo)); step_free(step)) {
                /* Neither failure has anybody to be told to: the first failure is the one that counts, and the teardown record
                 * names the same paths once more. */
                if (step->directory)
                        (void)vg_cgroup_rmdir(step->directory, BUSY_TIMEOUT_MS);
                else
                        (void)vg_unmount_from(proc, step->mounted, MNT_DETACH);
        }
}

void vg_undo_done(struct vg_undo *undo) {
        for (struct vg_undo_step *step; (step = pop(undo));)
                step_free(step);
}
