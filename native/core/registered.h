/* Containers that a `start` has registered for the group and whose Create has not come. */
#ifndef VG_REGISTERED_H
#define VG_REGISTERED_H

#include <stdbool.h>

struct vg_core;

/* True while one may still come. To be asked under the group's lock. */
bool vg_registered_but_unseen(struct vg_core *core);
/* True while any container of the group is registered, come or not. */
bool vg_registered_any(struct vg_core *core);
void vg_registered_done(struct vg_core *core);

#endif
