/* The shim's listening socket: its name, its making, and whether somebody answers on it already. */
#ifndef VG_SHIM_SOCKET_H
#define VG_SHIM_SOCKET_H

#include <stddef.h>

#define VG_SOCKET_PATH_MAX 106 /* bytes, as containerd's shims limit it (sun_path has 108) */

/* DIRECTORY/sha256(ADDRESS/NAMESPACE/GROUP): where containerd's own shims listen, and where its tests look. */
int vg_shim_socket_path(const char *directory, const char *address, const char *name_space, const char *group,
                        char ret_path[VG_SOCKET_PATH_MAX + 1]);

/* Directory 0700, socket 0600, listening. -EADDRINUSE: somebody answers there; a dead socket is replaced. */
int vg_shim_socket_listen(const char *path, int *ret_fd);

#endif
