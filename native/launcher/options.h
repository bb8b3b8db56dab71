/* What the runtime options say, as far as a launcher needs to know. */
#ifndef VG_LAUNCHER_OPTIONS_H
#define VG_LAUNCHER_OPTIONS_H

#include "lib/wire.h"

/* The OCI runtime that a serialized google.protobuf.Any of options names; *ret_name is NULL where none is named, else the caller's.
 * -EBADMSG, or why the file that the options name cannot be read. */
int vg_options_binary_name(struct vg_bytes any, char **ret_name);

#endif
