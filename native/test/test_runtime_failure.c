/* Births that fail: the words, the op's index, and that nothing half-made remains. */
#include "runtime_bed.h"

static void put_undoables(struct plan *p, struct bed *bed) {
        static char made[128], target[128];
        snprintf(made, sizeof made, "%s/made/deep", bed->top);
        snprintf(target, sizeof target, "%s/mounted", bed->top);
        CHECK(mkdir(target, 0755) == 0 || errno == EEXIST);
        OP(&p->script, VG_OP_MKDIR, 0, "s4", made, 0700);
        OP(&p->script, VG_OP_MOUNT, 0, "ssss88s", "tmpfs", "tmpfs", target, "", U64(0), U64(0), "size=4k");
        OP(&p->script, VG_OP_MOUNT, 0, "ssss88s", "bind", bed->rootfs, target, "/", U64(MS_BIND | MS_RDONLY), U64(0), "");
}

static void check_undone(struct bed *bed) {
        CHECK(bed_command("test -e %s/made", bed->top) != 0);
        CHECK(bed_command("grep -q %s/mounted /proc/self/mountinfo", bed->top) != 0);
}

/* Runs to 'e' and ends: its message must have these words. */
static void expect_failure(struct plan *p, struct bed *bed, int status, int op, const char *words) {
        struct birth b;
        plan_streams(p, bed);
        birth_begin(&b, p, -1);
        if (birth_run(&b) != 'e')
                bed_fail(__FILE__, __LINE__, "'%c' instead of a failure (%s)", b.last ? b.last : '0', words);
        CHECK_HAS(b.message, words);
        CHECK_INT(b.status, status);
        CHECK_INT(b.op, op);
        CHECK_INT(WEXITSTATUS(reap(b.helper)), 1);
        if (b.child > 0)
                (void)reap(b.child);
        CHECK_INT(birth_run(&b), 0); /* once only */
        birth_done(&b);
        check_undone(bed);
}

static void host_op(struct bed *bed) {
        _cleanup_plan_ struct plan p = {0};
        put_undoables(&p, bed);
        OP(&p.script, VG_OP_UNLINK, VG_OP_OPTIONAL, "s", "/proc/self/stat");
        OP(&p.script, VG_OP_WRITE, 0, "ss", "/proc/sys/kernel/no-such-thing", "7");
        expect_failure(&p, bed, -ENOENT, 4, "open /proc/sys/kernel/no-such-thing to write \"7\": No such file or directory");
}

static void child_op(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        put_undoables(&p, bed);
        OP(&p.ops, VG_OP_ROOT_PROPAGATION, 0, "8", U64(MS_SLAVE | MS_REC));
        OP(&p.ops, VG_OP_ROOTFS, 0, "s", bed->rootfs);
        put_mount(&p.ops, "nosuchfs", "none", "/etc", 0, "");
        expect_failure(&p, bed, -ENODEV, 5, "mount nosuchfs at /etc: No such device");
}

static void rootfs(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = CLONE_NEWNS};
        OP(&p.ops, VG_OP_ROOTFS, 0, "s", "/nonexistent/rootfs");
        expect_failure(&p, bed, -ENOENT, 0, "root file system /nonexistent/rootfs: No such file or directory");
}

static void namespaces(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.join_flag = CLONE_NEWNET, .join_path = "/proc/self/ns/uts"};
        put_undoables(&p, bed);
        expect_failure(&p, bed, -EINVAL, 0, "join namespace /proc/self/ns/uts: Invalid argument");
        _cleanup_plan_ struct plan q = {.join_flag = CLONE_NEWPID, .join_path = "/proc/self/ns/none"};
        expect_failure(&q, bed, -ENOENT, 0, "join pid namespace /proc/self/ns/none: No such file or directory");
}

static void no_exec(struct bed *bed) {
        _cleanup_plan_ struct plan p = {0};
        expect_failure(&p, bed, -EBADMSG, 0, "the plan ends without an exec");
}

static void find_words(struct bed *bed) {
        static const struct {
                const char *program;
                int status;
                const char *words;
        } table[] = {
                {"nosuch", -ENOENT, "exec: \"nosuch\": executable file not found in $PATH"},
                {"/x", -ENOENT, "exec: \"/x\": stat /x: no such file or directory"},
                {"/bin/sh/x", -ENOTDIR, "exec: \"/bin/sh/x\": stat /bin/sh/x: not a directory"},
                {"/etc", -EISDIR, "exec: \"/etc\": is a directory"},
                {"/etc/plain", -EACCES, "exec: \"/etc/plain\": permission denied"},
                {"refused", -EACCES, "exec: \"refused\": permission denied"},
                {"", -EINVAL, "there is no program to run"},
        };
        CHECK(bed_command("echo >%s/etc/plain; echo >%s/bin/refused", bed->rootfs, bed->rootfs) == 0);
        for (size_t i = 0; i < VG_COUNT(table); i++) {
                _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
                put_undoables(&p, bed);
                OP(&p.ops, VG_OP_ROOT_PROPAGATION, 0, "8", U64(MS_SLAVE | MS_REC));
                OP(&p.ops, VG_OP_ROOTFS, 0, "s", bed->rootfs);
                put_pivot(&p.ops);
                put_program(&p.ops, ARGV(table[i].program, "arg"));
                expect_failure(&p, bed, table[i].status, 6, table[i].words);
        }
}

/* Found, but not executable after all: told after the start, by the child. */
static void exec_words(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        CHECK(bed_command("echo not a program >%s/bin/text; chmod +x %s/bin/text", bed->rootfs, bed->rootfs) == 0);
        plan_streams(&p, bed);
        OP(&p.ops, VG_OP_ROOT_PROPAGATION, 0, "8", U64(MS_SLAVE | MS_REC));
        OP(&p.ops, VG_OP_ROOTFS, 0, "s", bed->rootfs);
        put_pivot(&p.ops);
        put_program(&p.ops, ARGV("text"));
        birth_begin(&b, &p, -1);
        CHECK_INT(birth_run(&b), 'r');
        char comm[32], path[64];
        snprintf(path, sizeof path, "/proc/%d/comm", (int)b.child);
        bed_read(path, comm, sizeof comm);
        CHECK_STR(comm, VG_COMM_BEFORE_EXEC "\n");
        birth_start(&b);
        CHECK_INT(birth_run(&b), 'e');
        CHECK(b.saw_x);
        CHECK_STR(b.message, "exec /bin/text: exec format error");
        CHECK_INT(b.status, -ENOEXEC);
        CHECK_INT(b.op, 5);
        CHECK_INT(WEXITSTATUS(reap(b.child)), 1);
        CHECK_INT(reap(b.helper), 0);
        birth_done(&b);
}

/* As the OOM killer would. The helper must not undo before the core has reaped the child: it looks at the counters first. */
static void killed(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = CLONE_NEWNS};
        struct birth b;
        plan_streams(&p, bed);
        put_undoables(&p, bed);
        /* Time enough to be killed in. */
        for (int i = 0; i < 20000; i++)
                OP(&p.ops, VG_OP_HOSTNAME, VG_OP_OPTIONAL, "s",
                   "a-name-that-is-too-long-for-a-host-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        birth_begin(&b, &p, -1);
        while (birth_receive(&b) != 'p')
                ;
        CHECK(kill(b.child, SIGKILL) == 0);
        siginfo_t info;
        CHECK(waitid(P_PID, (id_t)b.child, &info, WEXITED | WNOWAIT) == 0);
        CHECK_INT(info.si_code, CLD_KILLED);
        struct pollfd wait = {.fd = b.channel, .events = POLLIN};
        CHECK_INT(poll(&wait, 1, 200), 0);
        CHECK(bed_command("test -e %s/made/deep", bed->top) == 0);
        (void)reap(b.child);
        CHECK_INT(birth_run(&b), 'e');
        CHECK_INT(b.status, -ECHILD);
        CHECK_STR(b.message, "container init died during set-up");
        (void)reap(b.helper);
        birth_done(&b);
        check_undone(bed);
}

/* The core has a reason of its own to end the birth: it closes its direction of the channel and hears of the end. */
static void given_up(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = CLONE_NEWNS};
        struct birth b;
        plan_streams(&p, bed);
        put_undoables(&p, bed);
        for (int i = 0; i < 20000; i++)
                OP(&p.ops, VG_OP_DOMAINNAME, VG_OP_OPTIONAL, "s",
                   "a-name-that-is-too-long-for-a-host-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        birth_begin(&b, &p, -1);
        while (birth_receive(&b) != 'p')
                ;
        CHECK(shutdown(b.channel, SHUT_WR) == 0);
        CHECK_INT(birth_run(&b), 'e');
        CHECK_INT(WTERMSIG(reap(b.child)), SIGKILL);
        (void)reap(b.helper);
        birth_done(&b);
        check_undone(bed);
}

/* The core dies: whoever waits for it goes, and what was made goes, too. */
static void core_dies(struct bed *bed, bool after_ready) {
        _cleanup_plan_ struct plan p = {.clone_flags = CLONE_NEWNS};
        plan_streams(&p, bed);
        put_undoables(&p, bed);
        OP(&p.ops, VG_OP_WAIT_START, 0, "");
        int told[2];
        CHECK(pipe(told) == 0);
        pid_t core = fork();
        CHECK(core >= 0);
        if (core == 0) {
                struct birth b;
                birth_begin(&b, &p, -1);
                if (after_ready) {
                        CHECK_INT(birth_run(&b), 'r');
                        (void)reap(b.helper);
                } else
                        /* Not answered. */
                        CHECK(recv(b.channel, &(char[64]){0}, 64, MSG_PEEK) > 0);
                pid_t pids[2] = {b.helper, b.child};
                CHECK(write(told[1], pids, sizeof pids) == sizeof pids);
                _exit(0);
        }
        close(told[1]);
        pid_t pids[2];
        CHECK(read(told[0], pids, sizeof pids) == sizeof pids);
        close(told[0]);
        (void)reap(core);
        /* This test is the subreaper: they come to it. */
        int status = reap(after_ready ? pids[1] : pids[0]);
        if (after_ready)
                CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 1);
        else {
                CHECK_INT(WEXITSTATUS(status), 1);
                check_undone(bed);
        }
        (void)bed_command("umount -l %s/mounted 2>/dev/null; umount -l %s/mounted 2>/dev/null; rm -rf %s/made", bed->top, bed->top,
                          bed->top);
}

static void core_dies_before(struct bed *bed) {
        core_dies(bed, false);
}

static void core_dies_after(struct bed *bed) {
        core_dies(bed, true);
}

/* A privilege that vigil does not have is named. */
static void capability(struct bed *bed) {
        char text[4096];
        bed_read("/proc/self/status", text, sizeof text);
        char *line = strstr(text, "CapPrm:\t");
        CHECK(line != NULL);
        uint64_t own = strtoull(line + 8, NULL, 16);
        if (own >> 24 & 1) {
                printf("not tested: refusal of a capability (this machine has them all)\n");
                return;
        }
        _cleanup_plan_ struct plan p = {0};
        uint64_t resource = UINT64_C(1) << 24;
        OP(&p.ops, VG_OP_CAPABILITIES, 0, "88888", resource, resource, U64(0), resource, U64(0));
        expect_failure(&p, bed, -EPERM, 0, "vigil itself does not have CAP_SYS_RESOURCE");
}

int main(void) {
        static void (*const all[])(struct bed *) = {host_op,    child_op, rootfs,   namespaces,       no_exec,         find_words,
                                                    exec_words, killed,   given_up, core_dies_before, core_dies_after, capability};
        bed_needs();
        for (size_t i = 0; i < VG_COUNT(all); i++) {
                struct bed bed;
                bed_make(&bed);
                all[i](&bed);
                bed_done(&bed);
        }
        return 0;
}
