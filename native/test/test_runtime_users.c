/* Containers in user namespaces: new ones with maps, those of somebody else, and further processes in them. */
#include "runtime_bed.h"

#define MAP "0 100000 65536\n"
#define USER_NAMESPACES (ALL_NAMESPACES | CLONE_NEWUSER)

static void run_shell(struct bed *bed, struct plan *p, const char *script, struct birth *b) {
        OP(&p->ops, VG_OP_CWD, 0, "s", "/");
        put_program(&p->ops, ARGV("sh", "-c", script));
        plan_streams(p, bed);
        int status = run_container(b, p);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                bed_fail(__FILE__, __LINE__, "status %x of: %s\n%s", (unsigned)status, script, b->output);
        birth_done(b);
}

static void put_maps(struct vg_writer *w, const char *uids, const char *gids) {
        OP(w, VG_OP_USER_MAP, 0, "ss", uids, gids);
}

/* All that the container has belongs to its root, though nothing on the way to its root file system lets that user through. */
static void whole(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = USER_NAMESPACES};
        struct birth b;
        char closed[128], open_[160];
        snprintf(closed, sizeof closed, "%s/closed", bed->top);
        snprintf(open_, sizeof open_, "%s/open", closed);
        CHECK(bed_command("mkdir -p %s && echo from the host > %s/file && mkdir %s/in && ln -s %s %s/link && chmod 700 %s", open_,
                          open_, bed->rootfs, open_, bed->top, closed) == 0);
        char link[128];
        snprintf(link, sizeof link, "%s/link", bed->top);
        CHECK(chmod(bed->top, 0700) == 0);
        put_maps(&p.ops, MAP, "0 200000 65536\n");
        put_root(&p.ops, bed);
        put_mount(&p.ops, "bind", link, "/in", MS_BIND | MS_RDONLY, "");
        OP(&p.ops, VG_OP_HOSTNAME, 0, "s", "mapped");
        OP(&p.ops, VG_OP_RLIMIT, 0, "488", 7, U64(99), U64(111));
        OP(&p.ops, VG_OP_OOM_SCORE_ADJ, 0, "4", 17);
        put_pivot(&p.ops);
        OP(&p.ops, VG_OP_SYSCTL, 0, "ss", "net.ipv4.ip_unprivileged_port_start", "81");
        OP(&p.ops, VG_OP_MASK, 0, "s", "/proc/timer_list");
        OP(&p.ops, VG_OP_MASK, 0, "s", "/sys/firmware");
        OP(&p.ops, VG_OP_READONLY_PATH, 0, "s", "/proc/sys");
        run_shell(
                bed, &p,
                "cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g; hostname; cat /in/file; touch /in/x 2>/dev/null || echo "
                "ro;"
                "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj /proc/sys/net/ipv4/ip_unprivileged_port_start;"
                "stat -c '%u %g' /dev/shm /dev/pts/ptmx /dev/mqueue; stat -c '%t:%T' /dev/null; echo x >/dev/null && echo written;"
                "wc -c </proc/timer_list; echo $$; mount -o remount,rw /in 2>/dev/null && touch /in/x 2>/dev/null || echo still ro",
                &b);
        CHECK_HAS(b.output,
                  "         0     100000      65536\n         0     200000      65536\n0\n0\nmapped\nfrom the host\nro\n");
        CHECK_HAS(b.output, "99\n111\n17\n81\n0 0\n0 0\n0 0\n1:3\nwritten\n0\n1\nstill ro\n");
}

/* What is joined belongs to the host: it has to be entered before the new user namespace is. */
static void new_with_joined(struct bed *bed) {
        _cleanup_plan_ struct plan p = {
                .clone_flags = USER_NAMESPACES & ~U64(CLONE_NEWNET),
                .join_flag = CLONE_NEWNET,
                .join_path = "/proc/self/ns/net",
        };
        struct birth b;
        char expected[64], script[128];
        ssize_t size = readlink("/proc/self/ns/net", expected, sizeof expected - 1);
        CHECK(size > 0);
        expected[size] = 0;
        put_maps(&p.ops, MAP, MAP);
        OP(&p.ops, VG_OP_ROOT_PROPAGATION, 0, "8", U64(MS_SLAVE | MS_REC));
        OP(&p.ops, VG_OP_ROOTFS, 0, "s", bed->rootfs);
        put_mount(&p.ops, "proc", "proc", "/proc", 0, "");
        put_pivot(&p.ops);
        snprintf(script, sizeof script, "test \"$(readlink /proc/self/ns/net)\" = '%s' && id -u && echo $$", expected);
        run_shell(bed, &p, script, &b);
        CHECK_STR(b.output, "0\n1\n");
}

static char refused(struct bed *bed, const char *uids, const char *gids, int status, const char *words) {
        _cleanup_plan_ struct plan p = {.clone_flags = USER_NAMESPACES};
        struct birth b;
        put_maps(&p.ops, uids, gids);
        put_root(&p.ops, bed);
        put_pivot(&p.ops);
        put_program(&p.ops, ARGV("true"));
        birth_begin(&b, &p, -1);
        char tag = birth_run(&b);
        CHECK_INT(b.status, status);
        CHECK_HAS(b.message, words);
        CHECK_INT(b.op, 0);
        (void)reap(b.child);
        (void)reap(b.helper);
        birth_done(&b);
        return tag;
}

static void bad_maps(struct bed *bed) {
        CHECK_INT(refused(bed, "0 100000 0\n", MAP, -EINVAL, "map the users"), 'e');
        CHECK_INT(refused(bed, MAP, "0 1 10\n5 20 10\n", -EINVAL, "map the groups"), 'e');
        CHECK_INT(refused(bed, "1 100000 10\n", MAP, -EINVAL, "is id 0 mapped?"), 'e');
}

/* The second container of a pod: in the first one's user namespace, which then owns all that is made for it. */
static void shared(struct bed *bed, struct birth *first) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/ns/user", (int)first->child);
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES, .join_flag = CLONE_NEWUSER, .join_path = path};
        struct birth b;
        OP(&p.ops, VG_OP_USER_ROOT, 0, "");
        put_root(&p.ops, bed);
        put_pivot(&p.ops);
        run_shell(bed, &p, "cat /proc/self/uid_map; id -u; echo $$; hostname second && hostname; stat -c %u /dev/shm /dev/mqueue",
                  &b);
        CHECK_STR(b.output, "         0     100000      65536\n0\n1\nsecond\n0\n0\n");
}

static void shared_missing(struct bed *bed) {
        _cleanup_plan_ struct plan p = {
                .clone_flags = ALL_NAMESPACES, .join_flag = CLONE_NEWUSER, .join_path = "/proc/self/ns/none"};
        struct birth b;
        OP(&p.ops, VG_OP_USER_ROOT, 0, "");
        put_root(&p.ops, bed);
        put_program(&p.ops, ARGV("true"));
        birth_begin(&b, &p, -1);
        CHECK_INT(birth_run(&b), 'e');
        CHECK_INT(b.status, -ENOENT);
        CHECK_HAS(b.message, "open namespace /proc/self/ns/none");
        (void)reap(b.helper);
        birth_done(&b);
}

static void entered(struct bed *bed, struct birth *first, int pidfd) {
        _cleanup_plan_ struct plan p = {.exec = "e1", .init_namespaces = USER_NAMESPACES};
        struct birth b;
        (void)first;
        plan_streams(&p, bed);
        OP(&p.ops, VG_OP_USER_ROOT, 0, "");
        OP(&p.ops, VG_OP_RLIMIT, 0, "488", 7, U64(55), U64(66));
        OP(&p.ops, VG_OP_OOM_SCORE_ADJ, 0, "4", 9);
        OP(&p.ops, VG_OP_CWD, 0, "s", "/");
        const char *const *argv = ARGV("sh", "-c",
                                       "id -u; id -g; hostname; ulimit -n; cat /proc/self/oom_score_adj; touch /dev/shm/mine;"
                                       "stat -c %u /dev/shm/mine; grep -c . /proc/self/uid_map");
        OP(&p.ops, VG_OP_FIND, 0, "SS", argv, PATH_ENV);
        OP(&p.ops, VG_OP_EXEC, 0, "SS", argv, PATH_ENV);
        birth_begin(&b, &p, pidfd);
        CHECK_INT(birth_run(&b), 0);
        CHECK(b.saw_x);
        birth_collect(&b);
        CHECK_INT(reap(b.helper), 0);
        CHECK_INT(reap(b.child), 0);
        CHECK_STR(b.output, "0\n0\nfirst\n55\n9\n0\n1\n");
        birth_done(&b);
}

/* A terminal is the container's root's, too. */
static void with_another(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = USER_NAMESPACES, .terminal = true};
        struct birth b;
        put_maps(&p.ops, MAP, MAP);
        put_root(&p.ops, bed);
        OP(&p.ops, VG_OP_CONSOLE, 0, "22", 80, 24);
        OP(&p.ops, VG_OP_HOSTNAME, 0, "s", "first");
        put_pivot(&p.ops);
        put_program(&p.ops, ARGV("sh", "-c", "tty; stat -c %u /dev/console; sleep 1000; true"));
        birth_begin(&b, &p, -1);
        CHECK_INT(birth_run(&b), 'r');
        int pidfd = vg_pidfd_open(b.child);
        CHECK(pidfd >= 0);
        birth_start(&b);
        CHECK_INT(birth_run(&b), 0);
        CHECK(b.saw_x);
        CHECK_INT(reap(b.helper), 0);
        entered(bed, &b, pidfd);
        shared(bed, &b);
        (void)vg_pidfd_signal(pidfd, SIGKILL);
        (void)reap(b.child);
        birth_collect(&b);
        CHECK_STR(b.output, "/dev/pts/0\r\n0\r\n");
        close(pidfd);
        birth_done(&b);
}

int main(void) {
        static void (*const all[])(struct bed *) = {whole, new_with_joined, bad_maps, shared_missing, with_another};
        bed_needs();
        for (size_t i = 0; i < VG_COUNT(all); i++) {
                struct bed bed;
                bed_make(&bed);
                /* Mount points are made by the container's root. */
                CHECK(bed_command("chown -R 100000:200000 %s", bed.rootfs) == 0);
                all[i](&bed);
                bed_done(&bed);
        }
        return 0;
}
