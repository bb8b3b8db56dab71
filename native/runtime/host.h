/* Host ops: carried out in a helper process of the core, before a birth or as a script. */
#ifndef VG_RUNTIME_HOST_H
#define VG_RUNTIME_HOST_H

#include "runtime/failure.h"
#include "runtime/ops.h"
#include "runtime/undo.h"

struct vg_host {
        int proc; /* vg_proc_open() */
        struct vg_undo undo;
};

/* Runs all; on failure nothing is undone yet. `ret_count`: how many ops the list has, also when one of them failed. */
int vg_host_run(struct vg_host *host, struct vg_bytes ops, uint32_t *ret_count, struct vg_failure *failure);

#define VG_HOST_OP(name) int name(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f)
VG_HOST_OP(vg_host_cgroup_mkdir); /* cgroup_make.c */
VG_HOST_OP(vg_host_cgroup_inherit);
VG_HOST_OP(vg_host_cgroup_empty);
VG_HOST_OP(vg_host_cgroup_kill); /* cgroup_kill.c */
VG_HOST_OP(vg_host_cgroup_signal);
VG_HOST_OP(vg_host_cgroup_devices); /* cgroup_devices.c */
VG_HOST_OP(vg_host_cgroup_freeze);  /* cgroup_freeze.c */
VG_HOST_OP(vg_host_cgroup_remove);  /* cgroup_remove.c */
VG_HOST_OP(vg_host_mount);          /* host_mount.c */
VG_HOST_OP(vg_host_umount_tree);    /* umount.c */
VG_HOST_OP(vg_host_detach);
VG_HOST_OP(vg_host_write); /* host_files.c */
VG_HOST_OP(vg_host_mkdir);
VG_HOST_OP(vg_host_unlink);
VG_HOST_OP(vg_host_signal); /* host_signal.c */
VG_HOST_OP(vg_host_await_end);
VG_HOST_OP(vg_host_hook);         /* hook_ops.c */
VG_HOST_OP(vg_host_cpu_affinity); /* scheduling.c */
VG_HOST_OP(vg_host_oom_score_adj);
VG_HOST_OP(vg_host_run_program); /* host_program.c */
VG_HOST_OP(vg_host_sweep);
VG_HOST_OP(vg_host_file);
VG_HOST_OP(vg_host_criu); /* criu.c */

#endif
