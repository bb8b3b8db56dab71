/* Hooks of the OCI runtime specification: where and when they run, what they are given, and what their failure does. */
#include "runtime_bed.h"

#define NO_ENV ((const char *const[]){NULL})

struct hook {
        const char *name, *script;
        uint32_t timeout_ms;
        const char *directory, *before, *after;
};

static void put_hook(struct vg_writer *w, uint16_t op, struct hook h) {
        const char *const *argv = ARGV("sh", "-c", h.script);
        const char *directory = h.directory ? h.directory : "";
        if (op == VG_OP_HOOK)
                OP(w, op, 0, "ssSS4ss", h.name, "/bin/sh", argv, NO_ENV, h.timeout_ms, directory, h.before ? h.before : "");
        else
                OP(w, op, 0, "ssSS4sss", h.name, "/bin/sh", argv, NO_ENV, h.timeout_ms, directory, h.before ? h.before : "",
                   h.after ? h.after : "");
}

static void put_begin(struct vg_writer *w, const struct bed *bed) {
        OP(w, VG_OP_ROOT_PROPAGATION, 0, "8", U64(MS_SLAVE | MS_REC));
        OP(w, VG_OP_ROOTFS, 0, "s", bed->rootfs);
        put_mount(w, "proc", "proc", "/proc", 0, "");
}

/* Each writes down what it sees into a file of the bed. */
#define LOOK                                                                                                               \
        "read -r state; echo \"$state $(pwd) $(umask)\"; readlink /proc/self/ns/pid; readlink /proc/self/ns/mnt; env; ls " \
        "/proc/$$/fd; :"

static void own_namespace(const char *name, char into[64]) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/ns/%s", name);
        ssize_t size = readlink(path, into, 63);
        CHECK(size > 0);
        into[size] = 0;
}

static void places(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        char script[512], wanted[256], text[4096], pid[64], mnt[64];
        plan_streams(&p, bed);
        put_begin(&p.ops, bed);
        snprintf(script, sizeof script, "exec >%s/runtime 2>&1; %s; touch %s/seen-first", bed->top, LOOK, bed->top);
        put_hook(&p.ops, VG_OP_RUNTIME_HOOK, (struct hook){"first", script, 0, bed->top, "{\"pid\":", ",\"x\":1}\n"});
        snprintf(script, sizeof script, "test -e %s/seen-first && test ! -e %s/container", bed->top, bed->top);
        put_hook(&p.ops, VG_OP_RUNTIME_HOOK, (struct hook){"second", script, 5000, "", "", ""});
        snprintf(script, sizeof script, "exec >%s/container 2>&1; %s", bed->top, LOOK);
        put_hook(&p.ops, VG_OP_CONTAINER_HOOK, (struct hook){"third", script, 0, bed->rootfs, "{\"pid\":", "}\n"});
        put_pivot(&p.ops);
        OP(&p.ops, VG_OP_UMASK, 0, "4", 027);
        OP(&p.ops, VG_OP_WAIT_START, 0, "");
        put_hook(&p.ops, VG_OP_CONTAINER_HOOK, (struct hook){"last", "exec >/tmp/start 2>&1; " LOOK, 0, "", "<", ">\n"});
        OP(&p.ops, VG_OP_EXEC, 0, "SS", ARGV("sh", "-c", "cat /tmp/start"), PATH_ENV);
        birth_begin(&b, &p, -1);
        if (birth_run(&b) != 'r')
                bed_fail(__FILE__, __LINE__, "not ready: %s", b.message);
        CHECK(bed_command("test -e %s/tmp/start", bed->rootfs) != 0);
        birth_start(&b);
        CHECK_INT(reap(b.helper), 0);
        CHECK_INT(birth_run(&b), 0);
        birth_collect(&b);
        CHECK_INT(reap(b.child), 0);
        own_namespace("pid", pid);
        own_namespace("mnt", mnt);

        snprintf(text, sizeof text, "%s/runtime", bed->top);
        bed_read(text, text, sizeof text);
        snprintf(wanted, sizeof wanted, "{\"pid\":%d,\"x\":1} %s 0022\n%s\n%s\nPWD=", (int)b.child, bed->top, pid, mnt);
        CHECK_HAS(text, wanted);
        CHECK_LACKS(text, "PATH=");
        CHECK_HAS(text, "\n0\n1\n2\n");
        CHECK_LACKS(text, "\n3\n");

        snprintf(text, sizeof text, "%s/container", bed->top);
        bed_read(text, text, sizeof text);
        snprintf(wanted, sizeof wanted, "{\"pid\":1} %s 0022\npid:[", bed->rootfs);
        CHECK_HAS(text, wanted);
        CHECK_LACKS(text, pid);
        CHECK_LACKS(text, mnt);
        CHECK_LACKS(text, "\n3\n");

        CHECK_HAS(b.output, "<1> / 0027\npid:[");
        CHECK_LACKS(b.output, pid);
        CHECK_LACKS(b.output, mnt);
        CHECK_LACKS(b.output, "\n3\n");
        birth_done(&b);
}

/* The child's pid namespace is not where the helper's hooks run, also when it was joined and not made. */
static void joined_pid_namespace(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = CLONE_NEWNS, .join_flag = CLONE_NEWPID};
        struct birth b;
        char script[256], path[64], text[256], own[64];
        int ends[2];
        CHECK(pipe(ends) == 0);
        own_namespace("pid", own);
        pid_t other = vg_clone3(&(struct clone_args){.flags = CLONE_NEWPID, .exit_signal = SIGCHLD});
        CHECK(other >= 0);
        if (other == 0) {
                char byte;
                close(ends[1]);
                _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
        }
        close(ends[0]);
        snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)other);
        p.join_path = path;
        plan_streams(&p, bed);
        put_begin(&p.ops, bed);
        snprintf(script, sizeof script, "read -r state; echo $state; readlink /proc/self/ns/pid >%s/seen", bed->top);
        put_hook(&p.ops, VG_OP_RUNTIME_HOOK, (struct hook){"hook", script, 0, "", "", "\n"});
        put_pivot(&p.ops);
        put_program(&p.ops, ARGV("true"));
        CHECK_INT(run_container(&b, &p), 0);
        snprintf(text, sizeof text, "%s/seen", bed->top);
        bed_read(text, text, sizeof text);
        CHECK_HAS(text, own);
        close(ends[1]);
        CHECK_INT(reap(other), 0);
        birth_done(&b);
}

static void fails(struct bed *bed, uint16_t op, struct hook h, const char *words) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        char made[128];
        snprintf(made, sizeof made, "%s/made", bed->top);
        plan_streams(&p, bed);
        OP(&p.script, VG_OP_MKDIR, 0, "s4", made, 0700);
        put_begin(&p.ops, bed);
        put_hook(&p.ops, VG_OP_RUNTIME_HOOK, (struct hook){"before", "exit 0", 0, "", "", ""});
        put_hook(&p.ops, op, h);
        put_pivot(&p.ops);
        put_program(&p.ops, ARGV("true"));
        birth_begin(&b, &p, -1);
        CHECK_INT(birth_run(&b), 'e');
        CHECK_STR(b.message, words);
        CHECK_INT(b.status, -EIO);
        CHECK_INT(b.op, 5);
        CHECK_INT(WEXITSTATUS(reap(b.helper)), 1);
        (void)reap(b.child);
        CHECK_INT(birth_run(&b), 0);
        birth_done(&b);
        CHECK(access(made, F_OK) < 0 && errno == ENOENT);
}

static void failures(struct bed *bed) {
        static const uint16_t ops[] = {VG_OP_RUNTIME_HOOK, VG_OP_CONTAINER_HOOK};
        for (size_t i = 0; i < VG_COUNT(ops); i++) {
                fails(bed, ops[i], (struct hook){"createRuntime hook #1", "echo to out; echo why >&2; exit 3", 0, "", "", ""},
                      "error running createRuntime hook #1: exit status 3, stdout: to out, stderr: why");
                fails(bed, ops[i], (struct hook){"h", "kill -9 $$", 0, "", "", ""},
                      "error running h: signal 9, stdout: , stderr: ");
                fails(bed, ops[i], (struct hook){"h", "exit 0", 0, "/nosuch/directory", "", ""},
                      "error running h: chdir /nosuch/directory: no such file or directory");
                fails(bed, ops[i], (struct hook){"createRuntime hook #1", "exec sleep 1000", 100, "", "", ""},
                      "error running createRuntime hook #1: hook ran past specified timeout of 0.1s");
        }
}

/* Only the end of a long output is kept. */
static void long_output(struct bed *bed) {
        struct vg_writer w = {0};
        char message[2048];
        (void)bed;
        put_hook(&w, VG_OP_HOOK,
                 (struct hook){"h", "i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1", 0, "", "", ""});
        CHECK_INT(run_script(&w, false, message), -EIO);
        CHECK_HAS(message, "line 2998\nline 2999");
        CHECK_LACKS(message, "line 2900\n");
        CHECK(strlen(message) < 400);
}

/* The time-out reaches what the hook has started, too. */
static void group(struct bed *bed) {
        struct vg_writer w = {0};
        char script[256], path[128], text[64], message[2048];
        snprintf(script, sizeof script, "sleep 1000 & echo $! >%s/pid; wait", bed->top);
        put_hook(&w, VG_OP_HOOK, (struct hook){"poststop hook #0", script, 1000, "", "", ""});
        CHECK_INT(run_script(&w, false, message), -EIO);
        CHECK_STR(message, "error running poststop hook #0: hook ran past specified timeout of 1.0s");
        snprintf(path, sizeof path, "%s/pid", bed->top);
        bed_read(path, text, sizeof text);
        int status = reap((pid_t)atoi(text)); /* ours as the subreaper */
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* More than a pipe holds, and to one that does not read it. */
static void long_state(struct bed *bed) {
        struct vg_writer w = {0};
        char script[128], path[128];
        struct stat st;
        _cleanup_free_ char *state = malloc(500001);
        CHECK(state != NULL);
        memset(state, 'x', 500000);
        state[500000] = 0;
        snprintf(script, sizeof script, "cat >%s/state", bed->top);
        put_hook(&w, VG_OP_HOOK, (struct hook){"h", script, 0, "", state, ""});
        put_hook(&w, VG_OP_HOOK, (struct hook){"h", "exec <&-; sleep 0.1", 0, "", state, ""});
        put_hook(&w, VG_OP_HOOK, (struct hook){"h", "exit 0", 0, "", state, ""});
        run_script_ok(&w);
        snprintf(path, sizeof path, "%s/state", bed->top);
        CHECK(stat(path, &st) == 0);
        CHECK_INT(st.st_size, 500000);
}

/* A descendant in the background that keeps its output open is not waited for. */
static void background(struct bed *bed) {
        struct vg_writer w = {0};
        char script[128], path[128], text[64];
        snprintf(script, sizeof script, "sleep 1000 & echo $! >%s/pid", bed->top);
        put_hook(&w, VG_OP_HOOK, (struct hook){"h", script, 0, "", "", ""});
        run_script_ok(&w);
        snprintf(path, sizeof path, "%s/pid", bed->top);
        bed_read(path, text, sizeof text);
        pid_t pid = (pid_t)atoi(text);
        CHECK(kill(pid, SIGKILL) == 0);
        (void)reap(pid);
}

static void start_fails(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        plan_streams(&p, bed);
        put_begin(&p.ops, bed);
        put_pivot(&p.ops);
        OP(&p.ops, VG_OP_WAIT_START, 0, "");
        put_hook(&p.ops, VG_OP_CONTAINER_HOOK, (struct hook){"startContainer hook #0", "exit 4", 0, "", "", ""});
        OP(&p.ops, VG_OP_EXEC, 0, "SS", ARGV("true"), PATH_ENV);
        birth_begin(&b, &p, -1);
        CHECK_INT(birth_run(&b), 'r');
        CHECK_INT(reap(b.helper), 0);
        birth_start(&b);
        CHECK_INT(birth_run(&b), 'e');
        CHECK_STR(b.message, "error running startContainer hook #0: exit status 4, stdout: , stderr: ");
        CHECK_INT(WEXITSTATUS(reap(b.child)), 1);
        birth_done(&b);
}

/* The core gives the birth up while a hook runs. */
static void given_up(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        char script[256], fifo[128], line[64];
        snprintf(fifo, sizeof fifo, "%s/fifo", bed->top);
        CHECK(mkfifo(fifo, 0600) == 0);
        plan_streams(&p, bed);
        put_begin(&p.ops, bed);
        snprintf(script, sizeof script, "echo $$ >%s; exec sleep 1000", fifo);
        put_hook(&p.ops, VG_OP_RUNTIME_HOOK, (struct hook){"h", script, 0, "", "", ""});
        put_pivot(&p.ops);
        put_program(&p.ops, ARGV("true"));
        birth_begin(&b, &p, -1);
        while (birth_receive(&b) != 'p')
                ;
        bed_read(fifo, line, sizeof line); /* it runs */
        close(b.channel);
        b.channel = -1;
        CHECK_INT(WEXITSTATUS(reap(b.helper)), 1);
        (void)reap(b.child);
        CHECK(kill((pid_t)atoi(line), 0) < 0 && errno == ESRCH);
        birth_done(&b);
}

/* The helper has nothing to undo any more, and is gone. */
static void too_late(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        plan_streams(&p, bed);
        OP(&p.ops, VG_OP_WAIT_START, 0, "");
        put_hook(&p.ops, VG_OP_RUNTIME_HOOK, (struct hook){"h", "exit 0", 0, "", "", ""});
        birth_begin(&b, &p, -1);
        CHECK_INT(birth_run(&b), 'r');
        CHECK_INT(reap(b.helper), 0);
        birth_start(&b);
        CHECK_INT(birth_run(&b), 'e');
        CHECK_HAS(b.message, "it comes after the helper's time");
        (void)reap(b.child);
        birth_done(&b);
}

int main(void) {
        static void (*const all[])(struct bed *) = {places,     joined_pid_namespace, failures,    long_output, group,
                                                    long_state, background,           start_fails, given_up,    too_late};
        bed_needs();
        for (size_t i = 0; i < VG_COUNT(all); i++) {
                struct bed bed;
                bed_make(&bed);
                all[i](&bed);
                bed_done(&bed);
        }
        return 0;
}
