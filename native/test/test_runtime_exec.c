/* A further process in a running container: through the init's pidfd into its namespaces. */
#include "runtime_bed.h"

#define ENTERED (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET)

struct container {
        struct bed bed;
        struct plan plan;
        struct birth init;
        int pidfd;
};

static void container_begin(struct container *c) {
        *c = (struct container){.plan = {.clone_flags = ALL_NAMESPACES}};
        bed_make(&c->bed);
        plan_streams(&c->plan, &c->bed);
        put_root(&c->plan.ops, &c->bed);
        OP(&c->plan.ops, VG_OP_HOSTNAME, 0, "s", "inside");
        put_pivot(&c->plan.ops);
        put_program(&c->plan.ops, ARGV("sh", "-c", "echo up; sleep 1000; true"));
        birth_begin(&c->init, &c->plan, -1);
        CHECK_INT(birth_run(&c->init), 'r');
        c->pidfd = vg_pidfd_open(c->init.child);
        CHECK(c->pidfd >= 0);
        birth_start(&c->init);
        CHECK_INT(birth_run(&c->init), 0);
        CHECK(c->init.saw_x);
        CHECK_INT(reap(c->init.helper), 0);
        char up[4];
        struct pollfd wait = {.fd = c->init.fds[OUT_PIPE], .events = POLLIN};
        CHECK(poll(&wait, 1, 10000) == 1 && read(c->init.fds[OUT_PIPE], up, 3) == 3);
}

static void container_end(struct container *c) {
        (void)vg_pidfd_signal(c->pidfd, SIGKILL);
        (void)reap(c->init.child);
        close(c->pidfd);
        birth_done(&c->init);
        plan_done(&c->plan);
        bed_done(&c->bed);
}

static void put_exec(struct plan *p, const char *const *argv) {
        OP(&p->ops, VG_OP_CWD, 0, "s", "/tmp");
        OP(&p->ops, VG_OP_FIND, 0, "SS", argv, PATH_ENV);
        OP(&p->ops, VG_OP_EXEC, 0, "SS", argv, PATH_ENV);
}

static void inside(struct container *c) {
        _cleanup_plan_ struct plan p = {.exec = "e1", .init_namespaces = ENTERED};
        struct birth b;
        plan_streams(&p, &c->bed);
        put_exec(&p,
                 ARGV("sh", "-c", "hostname; pwd; cat /proc/1/comm; grep -c . /proc/net/dev; ls /proc/self/fd; echo to err >&2"));
        birth_begin(&b, &p, c->pidfd);
        CHECK_INT(birth_run(&b), 0);
        CHECK(b.saw_x);
        birth_collect(&b);
        CHECK_INT(reap(b.helper), 0);
        CHECK_INT(reap(b.child), 0);
        CHECK_HAS(b.output, "inside\n/tmp\nsh\n");
        CHECK_HAS(b.output, "\n0\n1\n2\n3\nto err\n");
        birth_done(&b);
}

/* After 'x' only the child holds the channel: a program that ends at once is seen as started when its end is seen. */
static void at_once(struct container *c) {
        for (int i = 0; i < 30; i++) {
                _cleanup_plan_ struct plan p = {.exec = "e2", .init_namespaces = ENTERED};
                struct birth b;
                put_exec(&p, ARGV("true"));
                birth_begin(&b, &p, c->pidfd);
                while (birth_receive(&b) != 'p')
                        ;
                siginfo_t info;
                CHECK(waitid(P_PID, (id_t)b.child, &info, WEXITED | WNOWAIT) == 0);
                char text[8];
                CHECK_INT(recv(b.channel, text, sizeof text, MSG_DONTWAIT), 1);
                CHECK_INT(text[0], 'x');
                CHECK_INT(recv(b.channel, text, sizeof text, MSG_DONTWAIT), 0);
                CHECK_INT(reap(b.child), 0);
                CHECK_INT(reap(b.helper), 0);
                birth_done(&b);
        }
}

static void terminal(struct container *c) {
        _cleanup_plan_ struct plan p = {.exec = "e3", .init_namespaces = ENTERED, .terminal = true};
        struct birth b;
        plan_streams(&p, &c->bed);
        OP(&p.ops, VG_OP_CONSOLE, 0, "22", 0, 0);
        put_exec(&p, ARGV("sh", "-c", "tty; ls /dev/console 2>&1; test -t 0 && test -t 2 && echo all"));
        birth_begin(&b, &p, c->pidfd);
        CHECK_INT(birth_run(&b), 0);
        birth_collect(&b);
        CHECK_INT(reap(b.helper), 0);
        CHECK_INT(reap(b.child), 0);
        CHECK_HAS(b.output, "/dev/pts/0\r\nls: /dev/console: No such file or directory\r\nall\r\n");
        birth_done(&b);
}

static void not_found(struct container *c) {
        _cleanup_plan_ struct plan p = {.exec = "e4", .init_namespaces = ENTERED};
        struct birth b;
        put_exec(&p, ARGV("nosuch"));
        birth_begin(&b, &p, c->pidfd);
        CHECK_INT(birth_run(&b), 'e');
        CHECK(!b.saw_x);
        CHECK_INT(b.status, -ENOENT);
        CHECK_STR(b.message, "exec: \"nosuch\": executable file not found in $PATH");
        (void)reap(b.helper);
        (void)reap(b.child);
        birth_done(&b);
}

/* A process of the container cannot look into the child before its execve (CVE-2016-9962). */
static void not_dumpable(struct container *c) {
        _cleanup_plan_ struct plan p = {.exec = "e5", .init_namespaces = ENTERED};
        struct birth b;
        OP(&p.ops, VG_OP_WAIT_START, 0, "");
        put_exec(&p, ARGV("true"));
        birth_begin(&b, &p, c->pidfd);
        CHECK_INT(birth_run(&b), 'r');
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/exe", (int)b.child);
        /* Root without CAP_SYS_PTRACE, which most containers are. */
        pid_t spy = fork();
        if (spy == 0) {
                struct {
                        uint32_t version, pid;
                } head = {0x20080522, 0};
                uint32_t none[6] = {0};
                char text[256];
                if (syscall(SYS_capset, &head, none) < 0)
                        _exit(2);
                _exit(readlink(path, text, sizeof text) < 0 && errno == EACCES ? 0 : 1);
        }
        CHECK_INT(reap(spy), 0);
        birth_start(&b);
        CHECK_INT(birth_run(&b), 0);
        CHECK_INT(reap(b.child), 0);
        CHECK_INT(reap(b.helper), 0);
        birth_done(&b);
}

static void joined(struct container *c) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/ns/uts", (int)c->init.child);
        _cleanup_plan_ struct plan p = {.join_flag = CLONE_NEWUTS, .join_path = path};
        struct birth b;
        plan_streams(&p, &c->bed);
        put_program(&p.ops, ARGV("uname", "-n"));
        CHECK_INT(run_container(&b, &p), 0);
        CHECK_STR(b.output, "inside\n");
        birth_done(&b);
        snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)c->init.child);
        _cleanup_plan_ struct plan q = {.join_flag = CLONE_NEWPID, .join_path = path};
        plan_streams(&q, &c->bed);
        put_program(&q.ops, ARGV("sh", "-c", "test $$ -lt 100 && echo small"));
        CHECK_INT(run_container(&b, &q), 0);
        CHECK_STR(b.output, "small\n");
        birth_done(&b);
}

static void init_is_gone(struct container *c) {
        _cleanup_plan_ struct plan p = {.exec = "e6", .init_namespaces = ENTERED};
        struct birth b;
        (void)vg_pidfd_signal(c->pidfd, SIGKILL);
        siginfo_t info;
        CHECK(waitid(P_PID, (id_t)c->init.child, &info, WEXITED | WNOWAIT) == 0);
        put_exec(&p, ARGV("true"));
        birth_begin(&b, &p, c->pidfd);
        CHECK_INT(birth_run(&b), 'e');
        CHECK_INT(b.status, -ESRCH);
        CHECK_HAS(b.message, "enter the container's");
        (void)reap(b.helper);
        birth_done(&b);
}

int main(void) {
        static void (*const all[])(struct container *) = {inside, at_once, terminal, not_found, not_dumpable, joined, init_is_gone};
        bed_needs();
        struct container c;
        container_begin(&c);
        for (size_t i = 0; i < VG_COUNT(all); i++)
                all[i](&c);
        container_end(&c);
        return 0;
}
