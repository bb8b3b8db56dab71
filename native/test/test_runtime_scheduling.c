/* Scheduling policy, I/O priority, personality, memory policy, CPU affinity: asked of the kernel when the process runs. */
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include "runtime_bed.h"

static void put_mask(struct vg_writer *w, uint16_t op, uint64_t mask) {
        size_t slot = op_begin(w, op, 0);
        vg_put_bytes(w, &mask, sizeof mask);
        op_end(w, slot);
}

static void put_begin(struct plan *p, const struct bed *bed) {
        put_root(&p->ops, bed);
        put_pivot(&p->ops);
        plan_streams(p, bed);
}

static pid_t run_ready(struct birth *b, struct plan *p) {
        put_program(&p->ops, ARGV("sh", "-c", "grep Cpus_allowed_list /proc/self/status; uname -m"));
        birth_begin(b, p, -1);
        if (birth_run(b) != 'r')
                bed_fail(__FILE__, __LINE__, "not ready: %s", b->message);
        return b->child;
}

static void finish(struct birth *b) {
        birth_start(b);
        CHECK_INT(reap(b->helper), 0);
        CHECK_INT(birth_receive(b), 'x');
        CHECK_INT(birth_run(b), 0);
        birth_collect(b);
        CHECK_INT(reap(b->child), 0);
        birth_done(b);
}

static void policies(struct bed *bed) {
        static const struct {
                int policy, nice, priority;
        } table[] = {{SCHED_OTHER, 7, 0}, {SCHED_BATCH, -3, 0}, {SCHED_IDLE, 0, 0}, {SCHED_RR, 0, 12}, {SCHED_FIFO, 0, 3}};
        for (size_t i = 0; i < VG_COUNT(table); i++) {
                _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
                struct birth b;
                struct sched_param seen;
                put_begin(&p, bed);
                OP(&p.ops, VG_OP_SCHEDULER, 0, "4844888", table[i].policy, U64(0), table[i].nice, table[i].priority, U64(0), U64(0),
                   U64(0));
                pid_t pid = run_ready(&b, &p);
                CHECK_INT(sched_getscheduler(pid), table[i].policy);
                CHECK_INT(sched_getparam(pid, &seen), 0);
                CHECK_INT(seen.sched_priority, table[i].priority);
                /* Policies without it leave it as it was. */
                if (table[i].nice != 0)
                        CHECK_INT(getpriority(PRIO_PROCESS, (id_t)pid), table[i].nice);
                finish(&b);
        }
}

static void deadline(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        put_begin(&p, bed);
        /* With SCHED_FLAG_RESET_ON_FORK, or the shell could not fork. */
        OP(&p.ops, VG_OP_SCHEDULER, 0, "4844888", 6, U64(1), 0, 0, U64(10000000), U64(100000000), U64(100000000));
        pid_t pid = run_ready(&b, &p);
        CHECK_INT(sched_getscheduler(pid) & ~SCHED_RESET_ON_FORK, 6);
        finish(&b);
}

static void refused(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        plan_streams(&p, bed);
        OP(&p.ops, VG_OP_SCHEDULER, 0, "4844888", SCHED_FIFO, U64(0), 0, 0, U64(0), U64(0), U64(0));
        birth_begin(&b, &p, -1);
        CHECK_INT(birth_run(&b), 'e');
        CHECK_STR(b.message, "set scheduling policy 1 (nice 0, priority 0): Invalid argument");
        CHECK_INT(b.status, -EINVAL);
        CHECK_INT(WEXITSTATUS(reap(b.helper)), 1);
        (void)reap(b.child);
        birth_done(&b);
}

static void others(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        put_begin(&p, bed);
        OP(&p.ops, VG_OP_IO_PRIORITY, 0, "44", IOPRIO_CLASS_BE, 6);
        OP(&p.ops, VG_OP_PERSONALITY, 0, "8", U64(PER_LINUX32));
        put_mask(&p.script, VG_OP_INITIAL_CPU_AFFINITY, 1);
        pid_t pid = run_ready(&b, &p);
        CHECK_INT(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, pid), IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6));
        finish(&b);
        CHECK_HAS(b.output, "Cpus_allowed_list:\t0\n");
#ifdef __x86_64__
        CHECK_HAS(b.output, "i686\n");
#endif
}

static void final_affinity(struct bed *bed) {
        cpu_set_t ours;
        CHECK_INT(sched_getaffinity(0, sizeof ours, &ours), 0);
        if (!CPU_ISSET(0, &ours) || !CPU_ISSET(1, &ours)) {
                printf("not tested: the final CPU affinity (this machine lets us run on CPU 0 or on CPU 1 only)\n");
                return;
        }
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        put_mask(&p.script, VG_OP_INITIAL_CPU_AFFINITY, 1);
        put_mask(&p.ops, VG_OP_CPU_AFFINITY, 2);
        put_begin(&p, bed);
        run_ready(&b, &p);
        finish(&b);
        CHECK_HAS(b.output, "Cpus_allowed_list:\t1\n");
}

static void memory_policy(struct bed *bed) {
        if (syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0) < 0 && errno == ENOSYS) {
                printf("not tested: the memory policy (this kernel has none)\n");
                return;
        }
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        char path[64], text[65536];
        put_begin(&p, bed);
        size_t slot = op_begin(&p.ops, VG_OP_MEMORY_POLICY, 0);
        vg_put_u32(&p.ops, MPOL_BIND | MPOL_F_STATIC_NODES);
        const uint64_t nodes = 1;
        vg_put_bytes(&p.ops, &nodes, sizeof nodes);
        op_end(&p.ops, slot);
        snprintf(path, sizeof path, "/proc/%d/numa_maps", (int)run_ready(&b, &p));
        bed_read(path, text, sizeof text);
        finish(&b);
        CHECK_HAS(text, " bind=static:0 ");
}

int main(void) {
        static void (*const all[])(struct bed *) = {policies, deadline, refused, others, final_affinity, memory_policy};
        bed_needs();
        for (size_t i = 0; i < VG_COUNT(all); i++) {
                struct bed bed;
                bed_make(&bed);
                all[i](&bed);
                bed_done(&bed);
        }
        return 0;
}
