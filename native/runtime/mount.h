/* mount(2) on descriptors. The paths are "self/fd/N" below a handle on the host's /proc that was taken before any namespace was
 * entered: it works without a /proc in the container, and a container's own /proc cannot lie to it. */
#ifndef VG_RUNTIME_MOUNT_H
#define VG_RUNTIME_MOUNT_H

#include <stdint.h>

/* The flags that change a propagation type, mount_namespaces(7). */
#define VG_MOUNT_PROPAGATION (MS_PRIVATE | MS_SLAVE | MS_SHARED | MS_UNBINDABLE)

/* A handle on the root of /proc, which must be proc. */
int vg_proc_open(int *ret_proc);
/* The same on a /proc of the caller's own pid namespace, which leads nowhere out of it. Linux 5.2, and CAP_SYS_ADMIN. */
int vg_proc_mount_own(int *ret_proc);
/* Writes a file below /proc ("self/oom_score_adj", "sys/..."); -ELOOP if a link or a mount of something else is in the way. */
int vg_proc_write(int proc, const char *path, const char *value);

/* The source is `source_fd`, or the text `source` when that is -1. Leaves the working directory at /. */
int vg_mount_on(int proc, const char *source, int source_fd, int target, const char *type, uint64_t flags, const char *data);
/* The same in a process of the host, which has /proc where it belongs: relative paths in `data` begin at `directory` (-1: at /). */
int vg_mount_from(int directory, const char *source, int target, const char *type, uint64_t flags, const char *data);
int vg_unmount_from(int proc, int target, int flags);
struct statvfs;
/* The MS_... flags of a mount, out of statvfs(3). */
uint64_t vg_mount_flags_of(const struct statvfs *fs);
/* Gives the mount that `target` is on its flags. Flags that are locked stay, unless `clear` has them: then -EPERM. */
int vg_mount_flags(int proc, int target, uint64_t flags, uint64_t clear);
/* MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE, each with MS_REC if that is in; slave and shared can be had together. */
int vg_mount_propagation(int proc, int target, uint64_t propagation);

#endif
