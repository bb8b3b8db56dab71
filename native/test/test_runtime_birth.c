/* Containers born for real: namespaces, root file system, mounts, identity, limits, terminal. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/resource.h>

#include "runtime_bed.h"

static void run_shell(struct bed *bed, struct plan *p, const char *script, struct birth *b) {
        OP(&p->ops, VG_OP_CWD, 0, "s", "/");
        put_program(&p->ops, ARGV("sh", "-c", script));
        plan_streams(p, bed);
        int status = run_container(b, p);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                bed_fail(__FILE__, __LINE__, "status %x of: %s\n%s", (unsigned)status, script, b->output);
        birth_done(b);
}

static void hello(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        put_root(&p.ops, bed);
        OP(&p.ops, VG_OP_HOSTNAME, 0, "s", "hello");
        OP(&p.ops, VG_OP_DOMAINNAME, 0, "s", "example");
        put_pivot(&p.ops);
        run_shell(bed, &p, "echo hello world; hostname; echo $$; cat /proc/1/comm /proc/sys/kernel/domainname; pwd", &b);
        CHECK_STR(b.output, "hello world\nhello\n1\nsh\nexample\n/\n");
}

/* Nothing of the host is left: descriptors, mounts, signals, session. */
static void clean(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        put_root(&p.ops, bed);
        put_pivot(&p.ops);
        /* As the core does: blocked and ignored signals must not be inherited. */
        sigset_t all, old;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, &old);
        signal(SIGPIPE, SIG_IGN);
        /* cat has 0, 1, 2, ls has one more for the directory itself. */
        run_shell(bed, &p,
                  "ls /proc/self/fd; cat /proc/mounts | grep -c /tmp/vigil; grep -E '^Sig(Blk|Ign)' /proc/self/status; "
                  "grep -c PPid:.0 /proc/1/status; cat /proc/1/stat; true",
                  &b);
        sigprocmask(SIG_SETMASK, &old, NULL);
        signal(SIGPIPE, SIG_DFL);
        CHECK_HAS(b.output, "0\n1\n2\n3\n0\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n1\n");
        CHECK_HAS(b.output, "1 (sh) S 0 1 1 "); /* own process group and session */
}

static void paths(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        put_root(&p.ops, bed);
        put_pivot(&p.ops);
        OP(&p.ops, VG_OP_MASK, 0, "s", "/proc/interrupts");
        OP(&p.ops, VG_OP_MASK, 0, "s", "/proc/timer_list");
        OP(&p.ops, VG_OP_MASK, 0, "s", "/sys/firmware");
        OP(&p.ops, VG_OP_MASK, 0, "s", "/proc/no-such-thing");
        OP(&p.ops, VG_OP_READONLY_PATH, 0, "s", "/proc/sys");
        OP(&p.ops, VG_OP_READONLY_PATH, 0, "s", "/proc/no-such-thing");
        OP(&p.ops, VG_OP_READONLY_ROOT, 0, "");
        run_shell(bed, &p,
                  "stat -c %t:%T /proc/interrupts; ls /sys/firmware | head -c 100; grep -E ' /(sys/firmware|proc/sys|sys)? ' "
                  "/proc/mounts;"
                  "echo x >/proc/sys/kernel/hostname || echo readonly; touch /etc/x || echo readonly root;"
                  "touch /dev/shm/y && echo shm",
                  &b);
        CHECK_HAS(b.output, "1:3\n");
        CHECK_HAS(b.output, "tmpfs /sys/firmware tmpfs ro,");
        CHECK_HAS(b.output, "proc /proc/sys proc ro,nosuid,nodev,noexec,relatime");
        CHECK_HAS(b.output, "sysfs /sys sysfs ro,nosuid,nodev,noexec");
        CHECK_HAS(b.output, "readonly\n");
        CHECK_HAS(b.output, "readonly root\n");
        CHECK_HAS(b.output, "shm\n");
}

static void identity(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES, .io_uid = 1000, .io_gid = 1000};
        struct birth b;
        uint64_t chown = 1, kill = 1 << 5, bind = 1 << 10;
        put_root(&p.ops, bed);
        put_pivot(&p.ops);
        OP(&p.ops, VG_OP_UMASK, 0, "4", 027);
        size_t slot = op_begin(&p.ops, VG_OP_USER, 0);
        vg_put_u32(&p.ops, 1000);
        vg_put_u32(&p.ops, 1001);
        vg_put_u32(&p.ops, 2);
        vg_put_u32(&p.ops, 5);
        vg_put_u32(&p.ops, 2000);
        op_end(&p.ops, slot);
        OP(&p.ops, VG_OP_CAPABILITIES, 0, "88888", chown | kill | bind, kill | bind, bind, kill | bind, bind);
        OP(&p.ops, VG_OP_NO_NEW_PRIVS, 0, "");
        run_shell(bed, &p,
                  "id; umask; grep -E '^(Cap|NoNew)' /proc/self/status; echo again >/dev/stdout; touch /etc/no || echo refused",
                  &b);
        CHECK_HAS(b.output, "uid=1000 gid=1001 groups=5,2000");
        CHECK_HAS(b.output, "0027\n");
        CHECK_HAS(b.output,
                  "CapInh:\t0000000000000400\nCapPrm:\t0000000000000400\nCapEff:\t0000000000000400\nCapBnd:\t0000000000000421\n"
                  "CapAmb:\t0000000000000400\nNoNewPrivs:\t1\n");
        CHECK_HAS(b.output, "again\n");
        CHECK_HAS(b.output, "refused\n");
}

/* A root with fewer capabilities keeps them through execve, bounded. */
static void root_capabilities(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        put_root(&p.ops, bed);
        put_pivot(&p.ops);
        OP(&p.ops, VG_OP_USER, 0, "444", 0, 0, 0);
        /* Bits that no kernel has yet are left away. */
        uint64_t some = 1 | 1 << 5 | UINT64_C(1) << 62;
        OP(&p.ops, VG_OP_CAPABILITIES, 0, "88888", some, some, U64(0), some, U64(0));
        run_shell(bed, &p, "grep ^Cap /proc/self/status; id -u", &b);
        CHECK_HAS(
                b.output,
                "CapPrm:\t0000000000000021\nCapEff:\t0000000000000021\nCapBnd:\t0000000000000021\nCapAmb:\t0000000000000000\n0\n");
}

static void limits(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        put_root(&p.ops, bed);
        OP(&p.ops, VG_OP_SYSCTL, 0, "ss", "net.ipv4.ip_unprivileged_port_start", "77");
        OP(&p.ops, VG_OP_SYSCTL, 0, "ss", "net/ipv4/conf/lo/forwarding", "1");
        OP(&p.ops, VG_OP_SYSCTL, 0, "ss", "kernel.shm_rmid_forced", "1");
        OP(&p.ops, VG_OP_NEW_KEYRING, 0, "s", "_ses.test");
        OP(&p.ops, VG_OP_BRING_UP_LOOPBACK, 0, "");
        put_pivot(&p.ops);
        OP(&p.ops, VG_OP_RLIMIT, 0, "488", RLIMIT_NOFILE, U64(100), U64(200));
        OP(&p.ops, VG_OP_RLIMIT, 0, "488", RLIMIT_CORE, U64(0), U64(0));
        OP(&p.ops, VG_OP_OOM_SCORE_ADJ, 0, "4", 321);
        run_shell(bed, &p,
                  "ulimit -Sn; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj /proc/sys/net/ipv4/ip_unprivileged_port_start "
                  "/proc/sys/net/ipv4/conf/lo/forwarding /proc/sys/kernel/shm_rmid_forced; ifconfig lo | grep -c UP; "
                  "grep -c _ses.test /proc/keys",
                  &b);
        CHECK_STR(b.output, "100\n200\n0\n321\n77\n1\n1\n1\n1\n");
        char host[64];
        bed_read("/proc/sys/net/ipv4/ip_unprivileged_port_start", host, sizeof host);
        CHECK(strcmp(host, "77\n") != 0);
}

static void mounts(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        char source[128], file[128];
        snprintf(source, sizeof source, "%s/volume", bed->top);
        snprintf(file, sizeof file, "%s/volume/note", bed->top);
        CHECK(mkdir(source, 0755) == 0);
        bed_write(file, "a note\n");
        put_root(&p.ops, bed);
        /* A directory, read-only; a file, into directories that are made; a link that stays inside. */
        put_mount(&p.ops, "bind", source, "/mnt/volume", MS_BIND | MS_REC | MS_RDONLY | MS_NOSUID, "");
        put_mount(&p.ops, "bind", file, "/a/b/c/note", MS_BIND, "");
        CHECK(bed_command("ln -sfn ../made-by-link/resolv %s/etc/resolv", bed->rootfs) == 0);
        put_mount(&p.ops, "bind", file, "/etc/resolv", MS_BIND, "");
        CHECK(bed_command("mkdir -p %s/sticky && chmod 1751 %s/sticky", bed->rootfs, bed->rootfs) == 0);
        put_mount(&p.ops, "tmpfs", "tmpfs", "/sticky", MS_NODEV, "size=4k");
        put_mount(&p.ops, "tmpfs", "tmpfs", "/later", MS_NODEV, "mode=0700");
        OP(&p.ops, VG_OP_BIND_OR_MOUNT, 0, "sss888s1", "", "", "/later", U64(MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV), U64(0),
           U64(0), "", 0);
        OP(&p.ops, VG_OP_BIND_OR_MOUNT, 0, "sss888s1", "bind", source, "/shared", U64(MS_BIND), U64(0), U64(MS_SHARED | MS_REC), "",
           1);
        put_pivot(&p.ops);
        run_shell(
                bed, &p,
                "cat /mnt/volume/note /a/b/c/note /made-by-link/resolv; touch /mnt/volume/x || echo ro; stat -c %a /sticky /later;"
                "grep -oE '/(mnt/volume|sticky|later) .*' /proc/mounts; grep -E '/shared .*shared:' /proc/self/mountinfo | grep -c "
                ".",
                &b);
        CHECK_HAS(b.output, "a note\na note\na note\n");
        CHECK_HAS(b.output, "ro\n1751\n700\n");
        CHECK_HAS(b.output, " ro,nosuid");
        CHECK_HAS(b.output, "/later tmpfs ro,nodev");
        CHECK_HAS(b.output, "\n1\n");
        /* Mount points stay in the image, mounts do not. */
        CHECK(bed_command("grep -q %s /proc/mounts", bed->top) != 0);
}

static void no_pivot(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        put_root(&p.ops, bed);
        OP(&p.ops, VG_OP_PIVOT, 0, "18", 1, U64(0));
        run_shell(bed, &p, "ls /; ls /proc/1/root/; grep -c . /proc/mounts; pwd", &b);
        CHECK_HAS(b.output, "bin\n");
        CHECK_LACKS(b.output, "home\n");
        CHECK(bed_command("test -d /proc/self && test -d /sys/kernel") == 0);
}

static void seccomp(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        /* mkdir fails with ENOANO (55); anything else goes through. */
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdir, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 55),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        put_root(&p.ops, bed);
        put_pivot(&p.ops);
        OP(&p.ops, VG_OP_NO_NEW_PRIVS, 0, "");
        size_t slot = op_begin(&p.ops, VG_OP_SECCOMP, 0);
        vg_put_bytes(&p.ops, filter, sizeof filter);
        vg_put_u32(&p.ops, SECCOMP_FILTER_FLAG_LOG);
        op_end(&p.ops, slot);
        OP(&p.ops, VG_OP_UMASK, 0, "4", 077);
        run_shell(bed, &p, "umask; grep ^Seccomp: /proc/self/status; mkdir /tmp/x 2>&1 || true", &b);
        CHECK_HAS(b.output, "0077\nSeccomp:\t2\n");
        CHECK_HAS(b.output, "No anode");
}

static void cwd(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        put_root(&p.ops, bed);
        put_pivot(&p.ops);
        OP(&p.ops, VG_OP_CWD, 0, "s", "/made/on/the/way");
        put_program(&p.ops, ARGV("sh", "-c", "pwd; stat -c %a ."));
        plan_streams(&p, bed);
        CHECK_INT(run_container(&b, &p), 0);
        CHECK_STR(b.output, "/made/on/the/way\n755\n");
        birth_done(&b);
}

static void terminal(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES, .terminal = true};
        struct birth b;
        plan_streams(&p, bed);
        put_root(&p.ops, bed);
        put_device(&p.ops, "/dev/tty", 5, 0);
        put_pivot(&p.ops);
        OP(&p.ops, VG_OP_CONSOLE, 0, "22", 120, 33);
        put_program(&p.ops, ARGV("sh", "-c", "tty; stty size; echo on console >/dev/console; echo on tty >/dev/tty; head -n 1"));
        birth_begin(&b, &p, -1);
        CHECK_INT(birth_run(&b), 'r');
        CHECK(b.pty >= 0);
        CHECK(b.fds[OUT_SINK] >= 0 && b.fds[OUT_PIPE] < 0 && b.fds[ERR_PIPE] < 0 && b.fds[IN_PIPE] < 0);
        birth_start(&b);
        CHECK(write(b.pty, "typed\n", 6) == 6);
        CHECK_INT(birth_run(&b), 0);
        CHECK(b.saw_x);
        birth_collect(&b);
        CHECK_INT(reap(b.child), 0);
        CHECK_INT(reap(b.helper), 0);
        CHECK_HAS(b.output, "/dev/pts/0\r\n");
        CHECK_HAS(b.output, "33 120\r\n");
        CHECK_HAS(b.output, "on console\r\n");
        CHECK_HAS(b.output, "on tty\r\n");
        CHECK_HAS(b.output, "typed\r\n");
        birth_done(&b);
}

/* The plan of the host's own namespaces: no new ones, no root: what `vigil run --host` would be. */
static void bare(struct bed *bed) {
        _cleanup_plan_ struct plan p = {0};
        struct birth b;
        run_shell(bed, &p, "echo bare", &b);
        CHECK_STR(b.output, "bare\n");
}

static void user_namespace(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = CLONE_NEWUSER | CLONE_NEWUTS};
        struct birth b;
        OP(&p.ops, VG_OP_HOSTNAME, 0, "s", "mine");
        run_shell(bed, &p, "cat /proc/self/uid_map | grep -c .; uname -n; true", &b);
        CHECK_STR(b.output, "0\nmine\n");
}

/* Two clocks moved, read by the container's own uptime. */
static void time_namespace(struct bed *bed) {
        for (int i = 0; i < 2; i++) {
                _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES | (i ? CLONE_NEWUSER : 0)};
                struct birth b;
                struct timespec before, after;
                if (i) {
                        OP(&p.ops, VG_OP_USER_MAP, 0, "ss", "0 100000 10\n", "0 100000 10\n");
                        CHECK(bed_command("chown -R 100000:100000 %s", bed->rootfs) == 0);
                }
                OP(&p.ops, VG_OP_TIME_NAMESPACE, 0, "s", "monotonic 0 0\nboottime 864000000 0\n");
                OP(&p.ops, VG_OP_ROOT_PROPAGATION, 0, "8", U64(MS_SLAVE | MS_REC));
                OP(&p.ops, VG_OP_ROOTFS, 0, "s", bed->rootfs);
                put_mount(&p.ops, "proc", "proc", "/proc", 0, "");
                put_pivot(&p.ops);
                CHECK(clock_gettime(CLOCK_BOOTTIME, &before) == 0);
                run_shell(bed, &p,
                          "cat /proc/self/timens_offsets; test $(readlink /proc/self/ns/time | tr -d a-z_) = "
                          "$(readlink /proc/self/ns/time_for_children | tr -d a-z_) && cat /proc/uptime",
                          &b);
                CHECK(clock_gettime(CLOCK_BOOTTIME, &after) == 0);
                CHECK_HAS(b.output, "boottime    864000000         0\n");
                const char *uptime = strstr(b.output, "         0\n8640") + strlen("         0\n");
                double seen = strtod(uptime, NULL) - 864000000;
                CHECK(seen >= (double)before.tv_sec - 1 && seen <= (double)after.tv_sec + 1);
        }
}

/* A joined mount namespace becomes the container's, whatever its own root was. */
static void joined_mounts(struct bed *bed) {
        int ready[2];
        char byte, path[64];
        CHECK(pipe(ready) == 0);
        pid_t holder = fork();
        CHECK(holder >= 0);
        if (holder == 0) {
                if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0 ||
                    write(ready[1], "", 1) != 1)
                        _exit(1);
                for (;;)
                        pause();
        }
        CHECK(read(ready[0], &byte, 1) == 1);
        snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)holder);
        _cleanup_plan_ struct plan p = {
                .clone_flags = ALL_NAMESPACES & ~U64(CLONE_NEWNS),
                .join_flag = CLONE_NEWNS,
                .join_path = path,
        };
        struct birth b;
        put_root(&p.ops, bed);
        put_pivot(&p.ops);
        run_shell(bed, &p, "echo $$; ls /; grep -c ' /proc ' /proc/mounts", &b);
        CHECK_STR(b.output, "1\nbin\ndev\netc\nproc\nsys\ntmp\n1\n");
        /* Nothing of it in the namespace of this process. */
        CHECK(bed_command("grep -q %s /proc/self/mounts", bed->rootfs) != 0);
        (void)kill(holder, SIGKILL);
        (void)reap(holder);
        close(ready[0]);
        close(ready[1]);
}

int main(void) {
        static void (*const all[])(struct bed *) = {hello,    clean,  paths,          identity,       root_capabilities,
                                                    limits,   mounts, no_pivot,       seccomp,        cwd,
                                                    terminal, bare,   user_namespace, time_namespace, joined_mounts};
        bed_needs();
        for (size_t i = 0; i < VG_COUNT(all); i++) {
                struct bed bed;
                bed_make(&bed);
                all[i](&bed);
                bed_done(&bed);
        }
        return 0;
}
