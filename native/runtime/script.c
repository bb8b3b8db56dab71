#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/host.h"
#include "runtime/hygiene.h"
#include "runtime/message.h"
#include "runtime/mount.h"
#include "runtime/runtime.h"
#include "vigil.h"

static int (*handler_of(uint16_t code))(struct vg_host *, const struct vg_op_args *, struct vg_failure *) {
        static const struct {
                uint16_t code;
                int (*handler)(struct vg_host *, const struct vg_op_args *, struct vg_failure *);
        } table[] = {
                {VG_OP_CGROUP_MKDIR, vg_host_cgroup_mkdir},
                {VG_OP_CGROUP_INHERIT, vg_host_cgroup_inherit},
                {VG_OP_CGROUP_EMPTY, vg_host_cgroup_empty},
                {VG_OP_WRITE, vg_host_write},
                {VG_OP_CGROUP_KILL, vg_host_cgroup_kill},
                {VG_OP_CGROUP_SIGNAL, vg_host_cgroup_signal},
                {VG_OP_CGROUP_FREEZE, vg_host_cgroup_freeze},
                {VG_OP_CGROUP_REMOVE, vg_host_cgroup_remove},
                {VG_OP_MOUNT, vg_host_mount},
                {VG_OP_UMOUNT_TREE, vg_host_umount_tree},
                {VG_OP_MKDIR, vg_host_mkdir},
                {VG_OP_UNLINK, vg_host_unlink},
                {VG_OP_SIGNAL_PROCESS, vg_host_signal},
                {VG_OP_CGROUP_DEVICES, vg_host_cgroup_devices},
                {VG_OP_HOOK, vg_host_hook},
                {VG_OP_INITIAL_CPU_AFFINITY, vg_host_cpu_affinity},
                {VG_OP_RUN, vg_host_run_program},
                {VG_OP_SWEEP, vg_host_sweep},
                {VG_OP_FILE, vg_host_file},
                {VG_OP_CRIU, vg_host_criu},
                {VG_OP_OWN_OOM_SCORE, vg_host_oom_score_adj},
                {VG_OP_AWAIT_END, vg_host_await_end},
                {VG_OP_DETACH, vg_host_detach},
        };
        for (size_t i = 0; i < VG_COUNT(table); i++)
                if (table[i].code == code)
                        return table[i].handler;
        return NULL;
}

static int run_op(struct vg_host *host, const struct vg_op *op, struct vg_failure *failure) {
        const struct vg_op_shape *shape = vg_op_shape_host(op->code);
        if (!shape)
                return vg_fail_words(failure, -EOPNOTSUPP, "there is no operation %u", op->code);
        _cleanup_op_args_ struct vg_op_args args = {0};
        int status = vg_op_args_decode(shape->signature, op->payload, &args);
        if (status < 0)
                return vg_fail(failure, status, "%s: arguments", shape->name);
        failure->status = 0;
        status = handler_of(op->code)(host, &args, failure);
        if (status < 0 && failure->status == 0)
                vg_fail(failure, status, "%s", shape->name);
        return (op->flags & VG_OP_OPTIONAL) ? 0 : status;
}

int vg_host_run(struct vg_host *host, struct vg_bytes ops, uint32_t *ret_count, struct vg_failure *failure) {
        struct vg_reader r = vg_reader_of(ops.data, ops.size);
        struct vg_op op;
        int status = 0;
        uint32_t count = 0;
        for (; vg_op_next(&r, &op); count++) {
                if (status < 0)
                        continue;
                status = run_op(host, &op, failure);
                if (status < 0)
                        failure->op = count;
        }
        if (status == 0 && r.error)
                status = vg_fail(failure, r.error, "list of operations");
        *ret_count = count;
        return status;
}

_Noreturn void vg_script_run(struct vg_bytes ops, bool undo, int channel) {
        struct vg_failure failure = {0};
        struct vg_host host = {.proc = -1};
        uint32_t count;
        vg_reset_signals();
        umask(0);
        int status = vg_close_others(3, &channel, 1);
        if (status == 0)
                status = vg_fill_stdio();
        if (status == 0)
                status = vg_proc_open(&host.proc);
        if (status < 0)
                vg_fail(&failure, status, "prepare helper");
        else
                status = vg_host_run(&host, ops, &count, &failure);
        if (status == 0)
                _exit(EXIT_SUCCESS);
        if (undo)
                vg_undo_run(&host.undo, host.proc);
        (void)vg_message_send_failure(channel, &failure); /* not heard: the core is dead */
        _exit(EXIT_FAILURE);
}
