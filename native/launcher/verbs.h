/* The launcher's actions. Each returns the exit status of the process; on failure one line on stderr says what is wrong. */
#ifndef VG_VERBS_H
#define VG_VERBS_H

#include "launcher/args.h"
#include "launcher/settings.h"

/* Prints the bootstrap reply when the socket listens (containerd reads stdout and stderr as one). */
int vg_start(const struct vg_args *args, const struct vg_settings *settings);
/* Ends what a container left and prints a serialized DeleteResponse. Succeeds when there is nothing left to end. */
int vg_delete(const struct vg_args *args, const struct vg_settings *settings);
/* Prints a serialized containerd.types.RuntimeInfo. */
int vg_info(const struct vg_settings *settings);

#endif
