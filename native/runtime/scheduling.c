/* Ops on when, where and as what the kernel runs a process. */
#include <errno.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/host.h"
#include "runtime/mount.h"
#include "runtime/sys.h"

/* struct sched_attr of linux/sched/types.h in its first size (48), under a name that no C library takes. */
struct attributes {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
};

int vg_child_scheduler(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)c;
        struct attributes attributes = {
                .size = sizeof attributes,
                .policy = (uint32_t)a->at[0].number,
                .flags = a->at[1].number,
                .nice = (int32_t)(uint32_t)a->at[2].number,
                .priority = (uint32_t)a->at[3].number,
                .runtime = a->at[4].number,
                .deadline = a->at[5].number,
                .period = a->at[6].number,
        };
        int status = vg_sys(syscall(SYS_sched_setattr, 0, &attributes, 0));
        return status < 0 ? vg_fail(f, status, "set scheduling policy %u (nice %d, priority %u)", attributes.policy,
                                    (int)attributes.nice, attributes.priority)
                          : 0;
}

int vg_child_io_priority(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)c;
        unsigned class = (unsigned)a->at[0].number, level = (unsigned)a->at[1].number;
        int status = vg_sys(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(class, level)));
        return status < 0 ? vg_fail(f, status, "set I/O priority %u of class %u", level, class) : 0;
}

int vg_child_personality(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)c;
        unsigned long wanted = (unsigned long)a->at[0].number;
        return personality(wanted) < 0 ? vg_fail(f, -errno, "set personality 0x%lx", wanted) : 0;
}

/* A bit mask of the payload, which need not be aligned, as the kernel takes it. */
static int copy_mask(struct vg_bytes mask, unsigned long **ret_mask, size_t *ret_size) {
        size_t words = (mask.size + sizeof(unsigned long) - 1) / sizeof(unsigned long);
        unsigned long *copy = calloc(words ? words : 1, sizeof *copy);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, mask.data, mask.size);
        *ret_mask = copy;
        *ret_size = words * sizeof *copy;
        return 0;
}

int vg_child_memory_policy(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)c;
        _cleanup_free_ unsigned long *nodes = NULL;
        size_t size;
        unsigned mode = (unsigned)a->at[0].number;
        int status = copy_mask(a->at[1].bytes, &nodes, &size);
        /* The kernel takes one bit less than it is told of (get_nodes() in mm/mempolicy.c). */
        if (status == 0)
                status = vg_sys(syscall(SYS_set_mempolicy, mode, size ? nodes : NULL, size ? size * 8 + 1 : 0));
        return status < 0 ? vg_fail(f, status, "set memory policy 0x%x", mode) : 0;
}

static int set_affinity(struct vg_bytes mask) {
        _cleanup_free_ unsigned long *cpus = NULL;
        size_t size;
        int status = copy_mask(mask, &cpus, &size);
        return status < 0 ? status : vg_sys(syscall(SYS_sched_setaffinity, 0, size, cpus));
}

int vg_child_cpu_affinity(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)c;
        int status = set_affinity(a->at[0].bytes);
        return status < 0 ? vg_fail(f, status, "set final CPU affinity") : 0;
}

int vg_host_cpu_affinity(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        int status = set_affinity(a->at[0].bytes);
        return status < 0 ? vg_fail(f, status, "set initial CPU affinity") : 0;
}

int vg_host_oom_score_adj(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        char text[16];
        snprintf(text, sizeof text, "%d", (int)(int32_t)(uint32_t)a->at[0].number);
        int status = vg_proc_write(h->proc, "self/oom_score_adj", text);
        return status < 0 ? vg_fail(f, status, "set oom_score_adj to %s", text) : 0;
}
