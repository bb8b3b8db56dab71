/* The signature of each op of vigil.h: what its payload must look like, known without running it. */
#include "runtime/ops.h"

#include <stddef.h>

#include "lib/cleanup.h"
#include "vigil.h"

static const struct vg_op_shape host_shapes[] = {
        {VG_OP_CGROUP_MKDIR, "ss", "make cgroup"},
        {VG_OP_CGROUP_INHERIT, "sss", "inherit cgroup file"},
        {VG_OP_CGROUP_EMPTY, "s", "check cgroup"},
        {VG_OP_WRITE, "sb", "write"},
        {VG_OP_CGROUP_KILL, "S", "kill cgroup"},
        {VG_OP_CGROUP_SIGNAL, "s4", "signal cgroup"},
        {VG_OP_CGROUP_FREEZE, "1s14", "freeze cgroup"},
        {VG_OP_CGROUP_REMOVE, "s4", "remove cgroup"},
        {VG_OP_MOUNT, "ssss88s", "mount"},
        {VG_OP_UMOUNT_TREE, "s", "unmount"},
        {VG_OP_MKDIR, "s4", "make directory"},
        {VG_OP_UNLINK, "s", "unlink"},
        {VG_OP_SIGNAL_PROCESS, "484", "signal process"},
        {VG_OP_CGROUP_DEVICES, "sb", "set device rules"},
        {VG_OP_HOOK, "ssSS4ss", "run hook"},
        {VG_OP_INITIAL_CPU_AFFINITY, "b", "set CPU affinity"},
        {VG_OP_RUN, "Sbs4", "run"},
        {VG_OP_SWEEP, "s", "sweep directory"},
        {VG_OP_FILE, "s4b", "make file"},
        {VG_OP_CRIU, "s4bss4", "run CRIU"},
        {VG_OP_OWN_OOM_SCORE, "4", "set oom_score_adj"},
        {VG_OP_AWAIT_END, "484", "wait for process"},
        {VG_OP_DETACH, "s", "detach mount"},
};

static const struct vg_op_shape child_shapes[] = {
        {VG_OP_UNSHARE_CGROUP, "", "new cgroup namespace"},
        {VG_OP_HOSTNAME, "s", "set hostname"},
        {VG_OP_DOMAINNAME, "s", "set domain name"},
        {VG_OP_SYSCTL, "ss", "set sysctl"},
        {VG_OP_ROOT_PROPAGATION, "8", "set propagation of /"},
        {VG_OP_ROOTFS, "s", "prepare root file system"},
        {VG_OP_BIND_OR_MOUNT, "sss888s1", "mount"},
        {VG_OP_CGROUP_MOUNT, "1s8T", "mount cgroups"},
        {VG_OP_DEVICE, "s144444", "make device"},
        {VG_OP_SYMLINK, "ss", "make symbolic link"},
        {VG_OP_CONSOLE, "22", "set up terminal"},
        {VG_OP_PIVOT, "18", "change root"},
        {VG_OP_READONLY_ROOT, "", "make / read-only"},
        {VG_OP_MASK, "s", "mask path"},
        {VG_OP_READONLY_PATH, "s", "make path read-only"},
        {VG_OP_RLIMIT, "488", "set resource limit"},
        {VG_OP_OOM_SCORE_ADJ, "4", "set oom_score_adj"},
        {VG_OP_NEW_KEYRING, "s", "join session keyring"},
        {VG_OP_UMASK, "4", "set umask"},
        {VG_OP_USER, "44N", "set user"},
        {VG_OP_CAPABILITIES, "88888", "set capabilities"},
        {VG_OP_NO_NEW_PRIVS, "", "set no_new_privs"},
        {VG_OP_SECCOMP, "b4", "load seccomp filter"},
        {VG_OP_CWD, "s", "change directory"},
        {VG_OP_WAIT_START, "", "wait for start"},
        {VG_OP_EXEC, "SS", "exec"},
        {VG_OP_FIND, "SS", "find executable"},
        {VG_OP_BRING_UP_LOOPBACK, "", "bring up loopback"},
        {VG_OP_RUNTIME_HOOK, "ssSS4sss", "run hook"},
        {VG_OP_CONTAINER_HOOK, "ssSS4sss", "run hook"},
        {VG_OP_SCHEDULER, "4844888", "set scheduling policy"},
        {VG_OP_IO_PRIORITY, "44", "set I/O priority"},
        {VG_OP_PERSONALITY, "8", "set personality"},
        {VG_OP_MEMORY_POLICY, "4b", "set memory policy"},
        {VG_OP_CPU_AFFINITY, "b", "set CPU affinity"},
        {VG_OP_USER_MAP, "ss", "map users"},
        {VG_OP_USER_ROOT, "", "become root of the user namespace"},
        {VG_OP_MOUNT_ATTRIBUTES, "s88", "set mount attributes"},
        {VG_OP_TMPFS_COPY, "ss88s", "mount a copy"},
        {VG_OP_IDMAP_BIND, "ss888ss1", "mount with other ids"},
        {VG_OP_TIME_NAMESPACE, "s", "new time namespace"},
        {VG_OP_LABEL, "sss", "set label"},
        {VG_OP_FILE_LABEL, "ss", "label file"},
        {VG_OP_SECCOMP_NOTIFY, "b4sS", "load seccomp filter"},
        {VG_OP_USER_MAP_UNPRIVILEGED, "ssss", "map users"},
        {VG_OP_ROOT, "s", "open root file system"},
        {VG_OP_CHROOT, "", "change root"},
};

static const struct vg_op_shape *find_shape(const struct vg_op_shape *shapes, size_t count, uint16_t code) {
        for (size_t i = 0; i < count; i++)
                if (shapes[i].code == code)
                        return &shapes[i];
        return NULL;
}

const struct vg_op_shape *vg_op_shape_host(uint16_t code) {
        return find_shape(host_shapes, VG_COUNT(host_shapes), code);
}

const struct vg_op_shape *vg_op_shape_child(uint16_t code) {
        return find_shape(child_shapes, VG_COUNT(child_shapes), code);
}
