#include "runtime/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/hygiene.h"
#include "runtime/message.h"
#include "runtime/mount.h"
#include "vigil.h"

static int (*handler_of(uint16_t code))(struct vg_child *, const struct vg_op_args *, struct vg_failure *) {
        static const struct {
                uint16_t code;
                int (*handler)(struct vg_child *, const struct vg_op_args *, struct vg_failure *);
        } table[] = {
                {VG_OP_UNSHARE_CGROUP, vg_child_unshare_cgroup},
                {VG_OP_HOSTNAME, vg_child_hostname},
                {VG_OP_DOMAINNAME, vg_child_domainname},
                {VG_OP_SYSCTL, vg_child_sysctl},
                {VG_OP_ROOT_PROPAGATION, vg_child_root_propagation},
                {VG_OP_ROOTFS, vg_child_rootfs},
                {VG_OP_BIND_OR_MOUNT, vg_child_mount},
                {VG_OP_CGROUP_MOUNT, vg_child_cgroup_mount},
                {VG_OP_DEVICE, vg_child_device},
                {VG_OP_SYMLINK, vg_child_symlink},
                {VG_OP_CONSOLE, vg_child_console},
                {VG_OP_PIVOT, vg_child_pivot},
                {VG_OP_READONLY_ROOT, vg_child_readonly_root},
                {VG_OP_MASK, vg_child_mask},
                {VG_OP_READONLY_PATH, vg_child_readonly_path},
                {VG_OP_RLIMIT, vg_child_rlimit},
                {VG_OP_OOM_SCORE_ADJ, vg_child_oom_score_adj},
                {VG_OP_NEW_KEYRING, vg_child_new_keyring},
                {VG_OP_UMASK, vg_child_umask},
                {VG_OP_USER, vg_child_user},
                {VG_OP_CAPABILITIES, vg_child_capabilities},
                {VG_OP_NO_NEW_PRIVS, vg_child_no_new_privs},
                {VG_OP_SECCOMP, vg_child_seccomp},
                {VG_OP_CWD, vg_child_cwd},
                {VG_OP_WAIT_START, vg_child_wait_start},
                {VG_OP_EXEC, vg_child_exec},
                {VG_OP_FIND, vg_child_find},
                {VG_OP_BRING_UP_LOOPBACK, vg_child_loopback},
                {VG_OP_RUNTIME_HOOK, vg_child_runtime_hook},
                {VG_OP_CONTAINER_HOOK, vg_child_container_hook},
                {VG_OP_SCHEDULER, vg_child_scheduler},
                {VG_OP_IO_PRIORITY, vg_child_io_priority},
                {VG_OP_PERSONALITY, vg_child_personality},
                {VG_OP_MEMORY_POLICY, vg_child_memory_policy},
                {VG_OP_CPU_AFFINITY, vg_child_cpu_affinity},
                {VG_OP_USER_MAP, vg_child_user_map},
                {VG_OP_USER_ROOT, vg_child_user_root},
                {VG_OP_MOUNT_ATTRIBUTES, vg_child_mount_attributes},
                {VG_OP_TMPFS_COPY, vg_child_tmpfs_copy},
                {VG_OP_IDMAP_BIND, vg_child_idmap_bind},
                {VG_OP_TIME_NAMESPACE, vg_child_time_namespace},
                {VG_OP_LABEL, vg_child_label},
                {VG_OP_FILE_LABEL, vg_child_file_label},
                {VG_OP_SECCOMP_NOTIFY, vg_child_seccomp_notify},
                {VG_OP_USER_MAP_UNPRIVILEGED, vg_child_user_map_unprivileged},
                {VG_OP_ROOT, vg_child_root},
                {VG_OP_CHROOT, vg_child_chroot},
        };
        for (size_t i = 0; i < VG_COUNT(table); i++)
                if (table[i].code == code)
                        return table[i].handler;
        return NULL;
}

int vg_child_release_helper(struct vg_child *c, char tag) {
        if (c->helper < 0)
                return 0;
        char unexpected;
        int status = vg_message_send_tag(c->helper, tag);
        /* The helper closes its end of the channel, then of this socket: after this EOF what the core reads from the
         * channel, its EOF included, comes from this process alone. */
        if (status == 0)
                status = vg_message_receive(c->helper, &unexpected, NULL);
        vg_closep(&c->helper);
        return status == -ECONNRESET ? 0 : status;
}

void vg_child_settle_umask(struct vg_child *c) {
        if (!c->umask_settled)
                umask(c->umask);
        c->umask_settled = true;
}

static _Noreturn void report(struct vg_child *c, const struct vg_failure *failure) {
        /* If neither is there to hear it the core is dead, and this process is about to be. */
        (void)vg_message_send_failure(c->helper >= 0 ? c->helper : c->channel, failure);
        _exit(EXIT_FAILURE);
}

static int run_op(struct vg_child *c, const struct vg_op *op, struct vg_failure *failure) {
        const struct vg_op_shape *shape = vg_op_shape_child(op->code);
        if (!shape)
                return vg_fail_words(failure, -EOPNOTSUPP, "there is no operation %u", op->code);
        _cleanup_op_args_ struct vg_op_args args = {0};
        int status = vg_op_args_decode(shape->signature, op->payload, &args);
        if (status < 0)
                return vg_fail(failure, status, "%s: arguments", shape->name);
        failure->status = 0;
        status = handler_of(op->code)(c, &args, failure);
        if (status < 0 && failure->status == 0)
                vg_fail(failure, status, "%s", shape->name);
        return (op->flags & VG_OP_OPTIONAL) ? 0 : status;
}

static int begin(struct vg_child *c, struct vg_failure *failure) {
        char go;
        vg_reset_signals();
        (void)prctl(PR_SET_NAME, VG_COMM_BEFORE_EXEC);
        /* The parent is the core (CLONE_PARENT). Not dumpable until execve: a process of the container that is in the same pid
         * namespace could otherwise open our descriptors and our executable through /proc (CVE-2016-9962, CVE-2019-5736). */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
                return vg_fail(failure, -errno, "prepare child");
        /* Until the helper has put it into its cgroup nothing may be done that costs memory. Without helper: the core's end. */
        if (vg_message_receive(c->helper, &go, NULL) < 0)
                _exit(EXIT_FAILURE);
        for (int i = 0; i < 3; i++)
                if (dup2(c->stdio[i], i) < 0)
                        return vg_fail(failure, -errno, "put standard streams in place");
        int status = vg_child_join(c, failure);
        if (status < 0)
                return status;
        if (c->proc < 0 && (status = vg_proc_mount_own(&c->proc)) < 0)
                return vg_fail(failure, status, "open a /proc of the container's");
        if (setsid() < 0)
                return vg_fail(failure, -errno, "begin session");
        const int keep[] = {c->channel, c->helper, c->proc, c->birth->listener};
        status = vg_close_others(3 + c->birth->preserved, keep, VG_COUNT(keep));
        if (status < 0)
                return vg_fail(failure, status, "close inherited descriptors");
        c->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (c->root < 0)
                return vg_fail(failure, -errno, "open /");
        umask(0); /* modes of the plan are meant as they are */
        return 0;
}

_Noreturn void vg_child_run(struct vg_child *c) {
        struct vg_failure failure = {0};
        c->root = c->null = -1;
        c->umask = 022;
        if (begin(c, &failure) < 0)
                report(c, &failure);
        struct vg_reader r = vg_reader_of(c->birth->ops.data, c->birth->ops.size);
        struct vg_op op;
        for (uint32_t index = c->first_op; vg_op_next(&r, &op); index++)
                if (run_op(c, &op, &failure) < 0) {
                        failure.op = index;
                        report(c, &failure);
                }
        vg_fail_words(&failure, -EBADMSG, "the plan ends without an exec");
        report(c, &failure);
}
