/* What host ops have made, so that a failed birth takes it away again, last first. */
#ifndef VG_RUNTIME_UNDO_H
#define VG_RUNTIME_UNDO_H

struct vg_undo_step;

struct vg_undo {
        struct vg_undo_step *last;
};

/* The path is copied. */
int vg_undo_remember_directory(struct vg_undo *undo, const char *path);
/* Takes the descriptor over: O_PATH on the root of a new mount. */
int vg_undo_remember_mount(struct vg_undo *undo, int mounted);
/* Undoes everything. A directory that is in use by now stays: somebody else has put something there. */
void vg_undo_run(struct vg_undo *undo, int proc);
void vg_undo_done(struct vg_undo *undo);

#endif
