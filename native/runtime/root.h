/* Paths of a container, looked up so that nothing in its root file system leads outside: openat2(2) with RESOLVE_IN_ROOT
 * and RESOLVE_NO_MAGICLINKS, and descriptors instead of paths from there on. */
#ifndef VG_RUNTIME_ROOT_H
#define VG_RUNTIME_ROOT_H

#include <stdbool.h>

enum vg_missing {
        VG_MISSING_IS_ERROR,
        VG_MISSING_DIRECTORY, /* made, 0755, as are its parents */
        VG_MISSING_FILE,      /* made, empty, 0644; its parents are directories */
};

struct vg_found {
        int fd;          /* O_PATH */
        char *path;      /* where in the root it really is, without leading slash; "" is the root */
        bool made;       /* the last component was missing */
        bool by_symlink; /* a symbolic link was followed on the way */
};

void vg_found_done(struct vg_found *found);
#define _cleanup_found_ __attribute__((cleanup(vg_found_done)))
#define VG_FOUND_NONE ((struct vg_found){.fd = -1})

/* An open(2) in the root. Symbolic links are followed inside of it. */
int vg_root_open(int root, const char *path, int flags, int *ret_fd);
/* Follows symbolic links, dangling ones too: what they point to is then made. */
int vg_root_find(int root, const char *path, enum vg_missing missing, struct vg_found *ret_found);
/* For a mount: refuses (-ELOOP) a symbolic link of the image that leads into /proc, where a mount would hide from the kernel's
 * own files (CVE-2019-16884). A plan that itself names a path in /proc means it. */
int vg_root_find_target(int root, const char *path, enum vg_missing missing, struct vg_found *ret_found);
/* The directory that `path` is in, made if missing, and the last component's name, which may exist or not. */
int vg_root_find_parent(int root, const char *path, struct vg_found *ret_parent, char **ret_name);
/* After something was mounted on `found`: what is there now. -ESTALE if it is not another mount. */
int vg_root_find_mounted(int root, const struct vg_found *found, int *ret_fd);

#endif
