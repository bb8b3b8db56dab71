/* Cgroups: being born in them, the host ops on them, the container's view of them. */
#include <pthread.h>

#include "runtime_bed.h"

#define V1_MAX 16

static char v1[V1_MAX][64]; /* mount points of v1 hierarchies, a controller each */
static unsigned n_v1;
static char v2[64]; /* mount point of the v2 tree; "" */

static const char *v1_of(const char *controller) {
        for (unsigned i = 0; i < n_v1; i++)
                if (strcmp(strrchr(v1[i], '/') + 1, controller) == 0)
                        return v1[i];
        return NULL;
}

static void find_hierarchies(void) {
        _cleanup_fclose_ FILE *mounts = fopen("/proc/mounts", "re");
        char line[1024], path[256], type[64];
        CHECK(mounts != NULL);
        while (fgets(line, sizeof line, mounts)) {
                if (sscanf(line, "%*s %255s %63s", path, type) != 2 || strlen(path) >= 64)
                        continue;
                if (strcmp(type, "cgroup2") == 0 && !v2[0])
                        strcpy(v2, path);
                else if (strcmp(type, "cgroup") == 0 && n_v1 < V1_MAX)
                        strcpy(v1[n_v1++], path);
        }
}

static const char *own(char into[192], const char *hierarchy, const char *name) {
        CHECK(snprintf(into, 192, "%s/vigil-runtime-%d/%s", hierarchy, (int)getpid(), name) < 192);
        return into;
}

static void put_remove(struct vg_writer *w, const char *hierarchy) {
        char path[192];
        own(path, hierarchy, "");
        path[strlen(path) - 1] = 0;
        OP(w, VG_OP_CGROUP_REMOVE, 0, "s4", path, 2000);
}

static void make_cgroup(const char *path) {
        CHECK(bed_command("mkdir -p %s", path) == 0);
}

/* A process that forks some more and all sleep, in the cgroup. */
static pid_t sleepers(const char *cgroup, int count) {
        char procs[256];
        snprintf(procs, sizeof procs, "%s/cgroup.procs", cgroup);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                bed_write(procs, "0");
                for (int i = 1; i < count; i++)
                        if (fork() == 0)
                                break;
                for (;;)
                        pause();
        }
        for (int i = 0; i < 1000; i++) {
                char text[4096];
                int lines = 0;
                bed_read(procs, text, sizeof text);
                for (char *at = text; (at = strchr(at, '\n')); at++)
                        lines++;
                if (lines == count)
                        return pid;
                (void)poll(NULL, 0, 5);
        }
        bed_fail(__FILE__, __LINE__, "%s never had %d processes", cgroup, count);
}

static void reap_all(void) {
        int status;
        while (waitpid(-1, &status, 0) > 0)
                ;
}

/* ---- births ---- */

static void born_in_v1(struct bed *bed) {
        const char *memory = v1_of("memory"), *pids = v1_of("pids"), *freezer = v1_of("freezer");
        if (!memory || !pids || !freezer) {
                printf("not tested: birth in v1 cgroups (no such hierarchies here)\n");
                return;
        }
        char a[192], b[192], c[192], limit[256];
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES, .cgroup = 1};
        struct birth birth;
        const char *const cgroups[] = {own(a, memory, "c1"), own(b, pids, "c1"), own(c, freezer, "c1"), NULL};
        p.cgroups = cgroups;
        plan_streams(&p, bed);
        OP(&p.script, VG_OP_CGROUP_MKDIR, 0, "ss", memory, a);
        OP(&p.script, VG_OP_CGROUP_MKDIR, 0, "ss", pids, b + strlen(pids) + 1); /* relative is fine, too */
        OP(&p.script, VG_OP_CGROUP_MKDIR, 0, "ss", freezer, c);
        OP(&p.script, VG_OP_CGROUP_EMPTY, 0, "s", a);
        snprintf(limit, sizeof limit, "%s/memory.limit_in_bytes", a);
        OP(&p.script, VG_OP_WRITE, 0, "ss", limit, "104857600");
        put_root(&p.ops, bed);
        OP(&p.ops, VG_OP_UNSHARE_CGROUP, 0, "");
        size_t slot = op_begin(&p.ops, VG_OP_CGROUP_MOUNT, 0);
        vg_put_u8(&p.ops, 1);
        vg_put_str(&p.ops, "/sys/fs/cgroup");
        vg_put_u64(&p.ops, MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY);
        vg_put_u32(&p.ops, 3);
        vg_put_str(&p.ops, "memory");
        vg_put_str(&p.ops, a);
        vg_put_str(&p.ops, "memory");
        vg_put_str(&p.ops, "pids,task"); /* as a co-mounted pair would be called */
        vg_put_str(&p.ops, b);
        vg_put_str(&p.ops, "pids");
        vg_put_str(&p.ops, "unified");
        vg_put_str(&p.ops, v2);
        vg_put_str(&p.ops, "cgroup2");
        op_end(&p.ops, slot);
        put_pivot(&p.ops);
        put_program(
                &p.ops,
                ARGV("sh", "-c",
                     "grep -E 'memory|pids|freezer' /proc/self/cgroup; cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes; "
                     "readlink pids; readlink task; grep -c . task/cgroup.procs; touch x || echo ro; ls unified | grep -c procs; "
                     "echo 1 >memory/memory.limit_in_bytes || echo ro too; true"));
        CHECK_INT(run_container(&birth, &p), 0);
        /* The cgroup namespace begins at the container's own cgroups. */
        CHECK_HAS(birth.output, "memory:/\n");
        CHECK_HAS(birth.output, "pids:/\n");
        CHECK_HAS(birth.output, "freezer:/\n");
        CHECK_HAS(birth.output, "104857600\npids,task\npids,task\n");
        CHECK_HAS(birth.output, "\nro\n");
        CHECK_HAS(birth.output, "\nro too\n");
        birth_done(&birth);
        struct vg_writer w = {0};
        put_remove(&w, memory);
        put_remove(&w, pids);
        put_remove(&w, freezer);
        put_remove(&w, freezer); /* absent is success */
        run_script_ok(&w);
        CHECK(access(a, F_OK) < 0);
}

/* Without a cgroup namespace the container sees a bind of its own cgroup. */
static void bound_view(struct bed *bed) {
        const char *pids = v1_of("pids");
        if (!pids) {
                printf("not tested: a bind of a v1 cgroup (no pids hierarchy here)\n");
                return;
        }
        char path[192];
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES, .cgroup = 1};
        struct birth birth;
        p.cgroups = ARGV(own(path, pids, "c1"));
        plan_streams(&p, bed);
        OP(&p.script, VG_OP_CGROUP_MKDIR, 0, "ss", pids, path);
        put_root(&p.ops, bed);
        size_t slot = op_begin(&p.ops, VG_OP_CGROUP_MOUNT, 0);
        vg_put_u8(&p.ops, 1);
        vg_put_str(&p.ops, "/sys/fs/cgroup");
        vg_put_u64(&p.ops, MS_NOSUID | MS_NODEV | MS_NOEXEC);
        vg_put_u32(&p.ops, 1);
        vg_put_str(&p.ops, "pids");
        vg_put_str(&p.ops, path);
        vg_put_str(&p.ops, "pids");
        op_end(&p.ops, slot);
        put_pivot(&p.ops);
        put_program(&p.ops,
                    ARGV("sh", "-c", "grep -c . /sys/fs/cgroup/pids/cgroup.procs; ls /sys/fs/cgroup; grep pids /proc/self/cgroup"));
        CHECK_INT(run_container(&birth, &p), 0);
        CHECK_HAS(birth.output, "\npids\n");
        CHECK_HAS(birth.output, "/c1\n");
        birth_done(&birth);
        struct vg_writer w = {0};
        put_remove(&w, pids);
        run_script_ok(&w);
}

static void born_in_v2(struct bed *bed) {
        if (!v2[0]) {
                printf("not tested: birth in a v2 cgroup (no v2 tree here)\n");
                return;
        }
        char path[192];
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES | CLONE_NEWCGROUP, .cgroup = 2};
        struct birth birth;
        p.cgroups = ARGV(own(path, v2, "c2"));
        plan_streams(&p, bed);
        OP(&p.script, VG_OP_CGROUP_MKDIR, 0, "ss", v2, path);
        put_root(&p.ops, bed);
        size_t slot = op_begin(&p.ops, VG_OP_CGROUP_MOUNT, 0);
        vg_put_u8(&p.ops, 2);
        vg_put_str(&p.ops, "/sys/fs/cgroup");
        vg_put_u64(&p.ops, MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY);
        vg_put_u32(&p.ops, 0);
        op_end(&p.ops, slot);
        put_pivot(&p.ops);
        put_program(&p.ops, ARGV("sh", "-c",
                                 "grep ^0: /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.procs | head -n 1; grep ' /sys/fs/cgroup ' "
                                 "/proc/mounts"));
        CHECK_INT(run_container(&birth, &p), 0);
        CHECK_HAS(birth.output, "0::/\n1\n");
        CHECK_HAS(birth.output, "cgroup2 /sys/fs/cgroup cgroup2 ro,nosuid,nodev,noexec");
        birth_done(&birth);
        struct vg_writer w = {0};
        put_remove(&w, v2);
        run_script_ok(&w);
}

static void undone(struct bed *bed) {
        const char *root = v1_of("pids") ? v1_of("pids") : v2;
        char path[192], top[192];
        _cleanup_plan_ struct plan p = {.cgroup = root == v2 ? 2 : 1};
        struct birth b;
        p.cgroups = ARGV(own(path, root, "u"));
        plan_streams(&p, bed);
        OP(&p.script, VG_OP_CGROUP_MKDIR, 0, "ss", root, path);
        OP(&p.ops, VG_OP_CWD, 0, "s", "relative/nowhere");
        birth_begin(&b, &p, -1);
        CHECK_INT(birth_run(&b), 'e');
        CHECK_INT(b.op, 1);
        (void)reap(b.helper);
        (void)reap(b.child);
        birth_done(&b);
        own(top, root, "");
        CHECK(access(top, F_OK) < 0);
}

/* A limit that the set-up itself does not fit in. */
static void killed_by_memory(struct bed *bed) {
        const char *memory = v1_of("memory");
        if (!memory) {
                printf("not tested: out of memory during set-up (no v1 memory hierarchy here)\n");
                return;
        }
        char path[192], limit[256], control[256], text[256];
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES, .cgroup = 1};
        struct birth b;
        p.cgroups = ARGV(own(path, memory, "oom"));
        plan_streams(&p, bed);
        OP(&p.script, VG_OP_CGROUP_MKDIR, 0, "ss", memory, path);
        snprintf(limit, sizeof limit, "%s/memory.limit_in_bytes", path);
        snprintf(control, sizeof control, "%s/memory.oom_control", path);
        OP(&p.script, VG_OP_WRITE, 0, "ss", limit, "4096");
        put_root(&p.ops, bed);
        put_pivot(&p.ops);
        put_program(&p.ops, ARGV("true"));
        birth_begin(&b, &p, -1);
        while (birth_receive(&b) != 'p')
                ;
        siginfo_t info;
        CHECK(waitid(P_PID, (id_t)b.child, &info, WEXITED | WNOWAIT) == 0);
        CHECK_INT(info.si_code, CLD_KILLED);
        /* The core's last look: the cgroup and its counter are still there. */
        bed_read(control, text, sizeof text);
        CHECK_LACKS(text, "oom_kill 0");
        (void)reap(b.child);
        CHECK_INT(birth_run(&b), 'e');
        CHECK_INT(b.status, -ECHILD);
        (void)reap(b.helper);
        birth_done(&b);
        CHECK(access(path, F_OK) < 0);
}

/* ---- scripts ---- */

static void kill_and_remove(const char *root) {
        char a[192], b[192];
        struct vg_writer w = {0};
        make_cgroup(own(a, root, "k"));
        make_cgroup(own(b, root, "k/below"));
        (void)sleepers(a, 20);
        (void)sleepers(b, 5);
        char message[2048];
        OP(&w, VG_OP_CGROUP_EMPTY, 0, "s", a);
        CHECK_INT(run_script(&w, false, message), -EBUSY);
        CHECK_HAS(message, "is not empty: process ");
        OP(&w, VG_OP_CGROUP_REMOVE, 0, "s4", a, 30);
        CHECK_INT(run_script(&w, false, message), -EBUSY);
        OP(&w, VG_OP_CGROUP_KILL, 0, "S", ARGV(a, "/sys/fs/cgroup/no-such-cgroup"));
        OP(&w, VG_OP_CGROUP_EMPTY, 0, "s", a);
        put_remove(&w, root);
        run_script_ok(&w);
        reap_all();
        CHECK(access(a, F_OK) < 0);
}

static void signal_all(const char *root) {
        char a[192];
        struct vg_writer w = {0};
        make_cgroup(own(a, root, "s"));
        (void)sleepers(a, 70);
        OP(&w, VG_OP_CGROUP_SIGNAL, 0, "s4", a, SIGTERM);
        put_remove(&w, root);
        run_script_ok(&w);
        reap_all();
        CHECK(access(a, F_OK) < 0);
}

static void freeze(const char *root, int version) {
        char a[192], file[256], text[256];
        struct vg_writer w = {0};
        make_cgroup(own(a, root, "f"));
        (void)sleepers(a, 8);
        OP(&w, VG_OP_CGROUP_FREEZE, 0, "1s14", version, a, 1, 2000);
        OP(&w, VG_OP_CGROUP_FREEZE, 0, "1s14", version, a, 1, 2000);
        run_script_ok(&w);
        snprintf(file, sizeof file, "%s/%s", a, version == 1 ? "freezer.state" : "cgroup.events");
        bed_read(file, text, sizeof text);
        CHECK_HAS(text, version == 1 ? "FROZEN" : "frozen 1");
        OP(&w, VG_OP_CGROUP_FREEZE, 0, "1s14", version, a, 0, 2000);
        run_script_ok(&w);
        bed_read(file, text, sizeof text);
        CHECK_HAS(text, version == 1 ? "THAWED" : "frozen 0");
        /* Killing what is frozen. */
        OP(&w, VG_OP_CGROUP_FREEZE, 0, "1s14", version, a, 1, 2000);
        OP(&w, VG_OP_CGROUP_KILL, 0, "S", ARGV(a));
        put_remove(&w, root);
        run_script_ok(&w);
        reap_all();
}

static _Noreturn void *join_and_pause(void *threads_file) {
        bed_write(threads_file, "0");
        for (;;)
                pause();
}

/* A threaded cgroup lists threads only, and not the leader at that. */
static void kill_threaded(void) {
        char a[192], b[192], file[256], threads[256];
        struct vg_writer w = {0};
        make_cgroup(own(a, v2, "t"));
        make_cgroup(own(b, v2, "t/threaded"));
        CHECK(snprintf(file, sizeof file, "%s/cgroup.type", b) < 256 &&
              snprintf(threads, sizeof threads, "%s/cgroup.threads", b) < 256);
        bed_write(file, "threaded");
        CHECK(snprintf(file, sizeof file, "%s/cgroup.procs", a) < 256);
        pid_t pid = fork();
        if (pid == 0) {
                pthread_t thread;
                bed_write(file, "0");
                CHECK(pthread_create(&thread, NULL, join_and_pause, threads) == 0);
                for (;;)
                        pause();
        }
        char text[64] = "";
        for (int i = 0; i < 1000 && !text[0]; i++) {
                (void)poll(NULL, 0, 2);
                bed_read(threads, text, sizeof text);
        }
        CHECK(text[0] && atoi(text) != pid);
        OP(&w, VG_OP_CGROUP_KILL, 0, "S", ARGV(b));
        run_script_ok(&w);
        CHECK_INT(WTERMSIG(reap(pid)), SIGKILL);
        put_remove(&w, v2);
        run_script_ok(&w);
}

static void fork_bomb(const char *root) {
        char a[192], procs[256];
        struct vg_writer w = {0};
        make_cgroup(own(a, root, "b"));
        snprintf(procs, sizeof procs, "%s/cgroup.procs", a);
        pid_t pid = fork();
        if (pid == 0) {
                struct sigaction ignore = {.sa_handler = SIG_IGN};
                sigaction(SIGCHLD, &ignore, NULL);
                bed_write(procs, "0");
                /* Each lives for a moment and has a successor. */
                for (;;)
                        if (fork() > 0) {
                                (void)poll(NULL, 0, 1);
                                _exit(0);
                        }
        }
        char text[4096] = "";
        for (int i = 0; i < 1000 && !text[0]; i++) {
                (void)poll(NULL, 0, 5);
                bed_read(procs, text, sizeof text);
        }
        CHECK(text[0]);
        OP(&w, VG_OP_CGROUP_KILL, 0, "S", ARGV(a));
        put_remove(&w, root);
        run_script_ok(&w);
        reap_all();
}

static void removal_waits(const char *root) {
        char a[192];
        struct vg_writer w = {0};
        make_cgroup(own(a, root, "w"));
        pid_t pid = sleepers(a, 1);
        pid_t killer = fork();
        if (killer == 0) {
                (void)poll(NULL, 0, 100);
                kill(pid, SIGKILL);
                _exit(0);
        }
        put_remove(&w, root);
        run_script_ok(&w);
        reap_all();
        CHECK(access(a, F_OK) < 0);
}

static void inherit(void) {
        const char *root = v1_of("cpuset");
        char a[192], file[256], got[256], wanted[256], message[2048];
        struct vg_writer w = {0};
        if (!root) {
                printf("not tested: inheritance of cpuset files (no v1 cpuset hierarchy here)\n");
                return;
        }
        own(a, root, "x/y");
        OP(&w, VG_OP_CGROUP_MKDIR, 0, "ss", root, a);
        OP(&w, VG_OP_CGROUP_INHERIT, 0, "sss", root, a, "cpuset.cpus");
        OP(&w, VG_OP_CGROUP_INHERIT, 0, "sss", root, a, "cpuset.mems");
        run_script_ok(&w);
        snprintf(file, sizeof file, "%s/cpuset.cpus", a);
        bed_read(file, got, sizeof got);
        snprintf(file, sizeof file, "%s/cpuset.cpus", root);
        bed_read(file, wanted, sizeof wanted);
        CHECK_STR(got, wanted);
        put_remove(&w, root);
        run_script_ok(&w);
        OP(&w, VG_OP_CGROUP_MKDIR, 0, "ss", root, "/etc/elsewhere");
        CHECK_INT(run_script(&w, true, message), -EINVAL);
        OP(&w, VG_OP_CGROUP_MKDIR, 0, "ss", root, "a/../../../up");
        CHECK_INT(run_script(&w, true, message), -EINVAL);
        CHECK_HAS(message, "it is not below");
}

/* A script with undo takes back; without it does not. */
static void script_undo(const char *root) {
        char a[192], top[192], message[2048];
        own(a, root, "undo/deep");
        own(top, root, "");
        for (int undo = 1; undo >= 0; undo--) {
                struct vg_writer w = {0};
                OP(&w, VG_OP_CGROUP_MKDIR, 0, "ss", root, a);
                OP(&w, VG_OP_WRITE, 0, "ss", "/proc/none", "x");
                CHECK_INT(run_script(&w, undo, message), -ENOENT);
                CHECK_INT(access(a, F_OK) == 0, !undo);
        }
        struct vg_writer w = {0};
        put_remove(&w, root);
        run_script_ok(&w);
        CHECK(access(top, F_OK) < 0);
}

static void scripts(const char *root, int version) {
        kill_and_remove(root);
        signal_all(root);
        fork_bomb(root);
        removal_waits(root);
        script_undo(root);
        if (version == 2 || root == v1_of("freezer"))
                freeze(root, version);
}

int main(void) {
        static void (*const births[])(struct bed *) = {born_in_v1, bound_view, born_in_v2, undone, killed_by_memory};
        bed_needs();
        find_hierarchies();
        for (size_t i = 0; i < VG_COUNT(births); i++) {
                struct bed bed;
                bed_make(&bed);
                births[i](&bed);
                bed_done(&bed);
        }
        if (v1_of("freezer"))
                scripts(v1_of("freezer"), 1);
        if (v1_of("pids"))
                scripts(v1_of("pids"), 1);
        if (v2[0]) {
                scripts(v2, 2);
                kill_threaded();
        }
        inherit();
        return 0;
}
