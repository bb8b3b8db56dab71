/* The child of a birth: it becomes the container's process by carrying out child ops in order. */
#ifndef VG_RUNTIME_CHILD_H
#define VG_RUNTIME_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/failure.h"
#include "runtime/ops.h"
#include "runtime/runtime.h"

struct vg_child {
        const struct vg_birth *birth;
        uint32_t first_op; /* index of the first child op: host ops are counted before */
        int channel;       /* to the core */
        int helper;        /* private socket to the helper, who undoes; -1 once it has nothing to undo any more */
        int init_pidfd;    /* an exec: of the container's init; else -1 */
        int proc;          /* root of the host's /proc */
        int root;          /* where paths of the container begin */
        int stdio[3];      /* to become 0, 1, 2; -1: null device */
        int null;          /* O_PATH on the null device of the container, once it was needed */
        mode_t umask;
        bool umask_settled;
        bool cgroup_namespace;
        bool joined;            /* the namespaces that exist have been entered before it was made */
        bool in_user_namespace; /* root of one: host privileges are the helper's alone */
        bool unprivileged;      /* ... which has none either */
};

_Noreturn void vg_child_run(struct vg_child *child);

/* A user namespace of its own, or joined by path. */
bool vg_birth_has_user_namespace(const struct vg_birth *birth);
/* Enters the namespaces that the plan gives by path; `pid`: those of pids, too, which hold for children made later. */
int vg_join_paths(const struct vg_birth *birth, bool pid, struct vg_failure *failure);
/* Enters the namespaces of the container's init that an exec shares; `not`: without those. */
int vg_join_init(const struct vg_child *child, uint64_t not, struct vg_failure *failure);
/* Enters the namespaces of the plan that are not made by clone3 and not the pid namespace. */
int vg_child_join(struct vg_child *child, struct vg_failure *failure);
/* An O_PATH descriptor on what is at a path of the host, in the child's mount namespace. */
int vg_child_open_host(struct vg_child *child, const char *path, int flags, int *ret_fd);
/* From here on the helper has nothing to undo: it ends, and the child speaks for itself. `tag` is 'r' or 'x'. */
int vg_child_release_helper(struct vg_child *child, char tag);
/* The umask of the container, after the last file that the plan makes. */
void vg_child_settle_umask(struct vg_child *child);

/* Handlers of the ops, by file. */
#define VG_CHILD_OP(name) int name(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f)
VG_CHILD_OP(vg_child_rootfs); /* pivot.c */
VG_CHILD_OP(vg_child_root_propagation);
VG_CHILD_OP(vg_child_pivot);
VG_CHILD_OP(vg_child_root);
VG_CHILD_OP(vg_child_chroot);
VG_CHILD_OP(vg_child_mount);            /* child_mount.c */
VG_CHILD_OP(vg_child_mount_attributes); /* mount_attributes.c */
VG_CHILD_OP(vg_child_tmpfs_copy);       /* tmpfs_copy.c */
VG_CHILD_OP(vg_child_idmap_bind);       /* idmap.c */
VG_CHILD_OP(vg_child_cgroup_mount);     /* cgroup_mount.c */
VG_CHILD_OP(vg_child_device);           /* device.c */
VG_CHILD_OP(vg_child_symlink);
VG_CHILD_OP(vg_child_console); /* console.c */
VG_CHILD_OP(vg_child_mask);    /* paths.c */
VG_CHILD_OP(vg_child_readonly_path);
VG_CHILD_OP(vg_child_readonly_root);
VG_CHILD_OP(vg_child_user);     /* ids.c */
VG_CHILD_OP(vg_child_user_map); /* user_namespace.c */
VG_CHILD_OP(vg_child_user_map_unprivileged);
VG_CHILD_OP(vg_child_user_root);
VG_CHILD_OP(vg_child_capabilities);   /* capabilities.c */
VG_CHILD_OP(vg_child_time_namespace); /* time_namespace.c */
VG_CHILD_OP(vg_child_unshare_cgroup); /* settings.c */
VG_CHILD_OP(vg_child_hostname);
VG_CHILD_OP(vg_child_domainname);
VG_CHILD_OP(vg_child_sysctl);
VG_CHILD_OP(vg_child_rlimit);
VG_CHILD_OP(vg_child_oom_score_adj);
VG_CHILD_OP(vg_child_new_keyring);
VG_CHILD_OP(vg_child_umask);
VG_CHILD_OP(vg_child_no_new_privs);
VG_CHILD_OP(vg_child_loopback);
VG_CHILD_OP(vg_child_cwd); /* exec.c */
VG_CHILD_OP(vg_child_wait_start);
VG_CHILD_OP(vg_child_find);
VG_CHILD_OP(vg_child_exec);
VG_CHILD_OP(vg_child_runtime_hook); /* hook_ops.c */
VG_CHILD_OP(vg_child_container_hook);
VG_CHILD_OP(vg_child_scheduler); /* scheduling.c */
VG_CHILD_OP(vg_child_io_priority);
VG_CHILD_OP(vg_child_personality);
VG_CHILD_OP(vg_child_memory_policy);
VG_CHILD_OP(vg_child_cpu_affinity);
VG_CHILD_OP(vg_child_label); /* label.c */
VG_CHILD_OP(vg_child_file_label);
VG_CHILD_OP(vg_child_seccomp); /* seccomp.c */
VG_CHILD_OP(vg_child_seccomp_notify);

#endif
