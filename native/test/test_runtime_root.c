/* What an image may try: links that lead out of the root, into /proc, or in circles; things in the place of others. */
#include "runtime/root.h"

#include "runtime_bed.h"

static int open_root(const struct bed *bed) {
        int fd = open(bed->rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
        CHECK(fd >= 0);
        return fd;
}

static void expect_find(int root, const char *path, enum vg_missing missing, int status, const char *place) {
        _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
        int got = vg_root_find(root, path, missing, &found);
        if (got != status)
                bed_fail(__FILE__, __LINE__, "%s: %d (%s) instead of %d", path, got, found.path ? found.path : "", status);
        if (status == 0)
                CHECK_STR(found.path, place);
}

static void lookups(struct bed *bed) {
        _cleanup_close_ int root = open_root(bed);
        CHECK(bed_command("cd %s && mkdir -p d/e && echo x >d/file && ln -s / out && ln -s ../../../../../.. up && ln -s loop-b "
                          "loop-a && "
                          "ln -s loop-a loop-b && ln -s /d/e abs && ln -s d/e/../file rel && ln -s /nowhere/at/all dangling && "
                          "ln -s ../../../../etc/made-outside dangling-up && ln -s /proc/self/root magic",
                          bed->rootfs) == 0);
        expect_find(root, "/", VG_MISSING_IS_ERROR, 0, "");
        expect_find(root, "", VG_MISSING_IS_ERROR, 0, "");
        expect_find(root, "../../d//./e/..", VG_MISSING_IS_ERROR, 0, "d");
        expect_find(root, "/out/etc", VG_MISSING_IS_ERROR, 0, "etc");
        expect_find(root, "/up/etc", VG_MISSING_IS_ERROR, 0, "etc");
        expect_find(root, "abs/../file", VG_MISSING_IS_ERROR, 0, "d/file");
        expect_find(root, "rel", VG_MISSING_IS_ERROR, 0, "d/file");
        expect_find(root, "loop-a", VG_MISSING_DIRECTORY, -ELOOP, NULL);
        expect_find(root, "d/file/below", VG_MISSING_DIRECTORY, -ENOTDIR, NULL);
        expect_find(root, "d/none", VG_MISSING_IS_ERROR, -ENOENT, NULL);
        expect_find(root, "d/none/x", VG_MISSING_IS_ERROR, -ENOENT, NULL);
        expect_find(root, "dangling", VG_MISSING_FILE, 0, "nowhere/at/all");
        expect_find(root, "dangling-up", VG_MISSING_FILE, 0, "etc/made-outside");
        expect_find(root, "magic", VG_MISSING_DIRECTORY, 0, "proc/self/root");
        expect_find(root, "new/directory/here", VG_MISSING_DIRECTORY, 0, "new/directory/here");
        expect_find(root, "new/file", VG_MISSING_FILE, 0, "new/file");
        CHECK(access("/etc/made-outside", F_OK) < 0);
        CHECK(bed_command("cd %s && test -f nowhere/at/all -a -f etc/made-outside -a -d new/directory/here -a -f new/file",
                          bed->rootfs) == 0);

        char long_path[6000];
        memset(long_path, 'a', sizeof long_path - 1);
        long_path[sizeof long_path - 1] = 0;
        expect_find(root, long_path, VG_MISSING_DIRECTORY, -ENAMETOOLONG, NULL);
}

static void parents(struct bed *bed) {
        _cleanup_close_ int root = open_root(bed);
        static const char *const bad[] = {"", "/", "..", "a/..", "a/."};
        for (size_t i = 0; i < VG_COUNT(bad); i++) {
                _cleanup_found_ struct vg_found parent = VG_FOUND_NONE;
                _cleanup_free_ char *name = NULL;
                CHECK_INT(vg_root_find_parent(root, bad[i], &parent, &name), -EINVAL);
        }
        _cleanup_found_ struct vg_found parent = VG_FOUND_NONE;
        _cleanup_free_ char *name = NULL;
        CHECK_INT(vg_root_find_parent(root, "/p/q/name//", &parent, &name), 0);
        CHECK_STR(parent.path, "p/q");
        CHECK_STR(name, "name");
}

/* While paths are looked up somebody exchanges a directory and a link that leads out: nothing may appear outside. */
static void races(struct bed *bed) {
        _cleanup_close_ int root = open_root(bed);
        char a[128], b[128], outside[128];
        snprintf(a, sizeof a, "%s/swap", bed->rootfs);
        snprintf(b, sizeof b, "%s/swap-link", bed->rootfs);
        snprintf(outside, sizeof outside, "%s/outside", bed->top);
        CHECK(mkdir(outside, 0755) == 0 && mkdir(a, 0755) == 0 && symlink(outside, b) == 0);
        pid_t swapper = fork();
        if (swapper == 0)
                for (;;)
                        (void)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2 /* RENAME_EXCHANGE */);
        unsigned made = 0;
        for (int i = 0; i < 3000; i++) {
                char path[64];
                snprintf(path, sizeof path, "swap/x%d/y", i);
                _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
                made += vg_root_find(root, path, VG_MISSING_DIRECTORY, &found) == 0;
        }
        kill(swapper, SIGKILL);
        (void)reap(swapper);
        CHECK(made > 0);
        CHECK(rmdir(outside) == 0); /* empty: nothing was made in it */
}

static void expect_child_failure(struct plan *p, struct bed *bed, int status, const char *words) {
        struct birth b;
        plan_streams(p, bed);
        birth_begin(&b, p, -1);
        CHECK_INT(birth_run(&b), 'e');
        CHECK_HAS(b.message, words);
        CHECK_INT(b.status, status);
        (void)reap(b.helper);
        (void)reap(b.child);
        birth_done(&b);
}

static void mount_targets(struct bed *bed) {
        CHECK(bed_command("cd %s && mkdir real && ln -s /real proc && ln -s /proc2/self/attr attr", bed->rootfs) == 0);
        {
                _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
                OP(&p.ops, VG_OP_ROOTFS, 0, "s", bed->rootfs);
                put_mount(&p.ops, "proc", "proc", "/proc", 0, "");
                expect_child_failure(&p, bed, -ELOOP, "mount proc at /proc: target: Too many levels of symbolic links");
        }
        {
                _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
                OP(&p.ops, VG_OP_ROOTFS, 0, "s", bed->rootfs);
                put_mount(&p.ops, "proc", "proc", "/proc2", 0, "");
                put_mount(&p.ops, "tmpfs", "tmpfs", "/attr", 0, "");
                expect_child_failure(&p, bed, -ELOOP, "mount tmpfs at /attr: target: Too many levels");
        }
        {
                _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
                OP(&p.ops, VG_OP_ROOTFS, 0, "s", bed->rootfs);
                put_mount(&p.ops, "bind", "/etc/hostname", "/real", MS_BIND, "");
                expect_child_failure(&p, bed, -ENOTDIR, "mount /etc/hostname at /real: Not a directory");
        }
        {
                _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
                OP(&p.ops, VG_OP_ROOTFS, 0, "s", bed->rootfs);
                put_mount(&p.ops, "bind", "/nonexistent", "/real", MS_BIND, "");
                expect_child_failure(&p, bed, -ENOENT, "mount /nonexistent at /real: source: No such file or directory");
        }
}

static void mounts_stay_inside(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        char inside[256];
        CHECK(bed_command("cd %s && ln -s ../../../../../../../tmp/vigil-root-test-escape escape && ln -s %s deeper", bed->rootfs,
                          bed->top) == 0);
        plan_streams(&p, bed);
        put_root(&p.ops, bed);
        put_mount(&p.ops, "tmpfs", "tmpfs", "/escape", 0, "");
        put_mount(&p.ops, "tmpfs", "tmpfs", "/deeper/x", 0, "");
        OP(&p.ops, VG_OP_DEVICE, 0, "s144444", "/deeper/null", 'c', 1, 3, 0666, 0, 0);
        OP(&p.ops, VG_OP_SYMLINK, 0, "ss", "/etc", "/deeper/link");
        put_pivot(&p.ops);
        put_program(&p.ops, ARGV("sh", "-c",
                                 "grep -c -E ' (/tmp/vigil-root-test-escape|/tmp/vigil-runtime-[A-Za-z0-9]*/x) ' /proc/mounts"));
        CHECK_INT(run_container(&b, &p), 0);
        CHECK_STR(b.output, "2\n");
        birth_done(&b);
        CHECK(access("/tmp/vigil-root-test-escape", F_OK) < 0);
        snprintf(inside, sizeof inside, "%s/null", bed->top);
        CHECK(access(inside, F_OK) < 0);
        snprintf(inside, sizeof inside, "%s%s/null", bed->rootfs, bed->top);
        CHECK(access(inside, F_OK) == 0);
}

/* A file of the image in the place of /dev/null would be what readers of a masked path get. */
static void false_null(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        CHECK(bed_command("mkdir %s/dev; echo evil >%s/dev/null", bed->rootfs, bed->rootfs) == 0);
        OP(&p.ops, VG_OP_ROOTFS, 0, "s", bed->rootfs);
        put_mount(&p.ops, "proc", "proc", "/proc", 0, "");
        OP(&p.ops, VG_OP_MASK, 0, "s", "/proc/interrupts");
        expect_child_failure(&p, bed, -ENODEV, "mask /proc/interrupts: /dev/null of the container: No such device");
}

static void devices(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES}, q = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        plan_streams(&p, bed);
        put_root(&p.ops, bed);
        OP(&p.ops, VG_OP_DEVICE, 0, "s144444", "/dev/deep/random", 'u', 1, 8, 0620, 12, 34);
        OP(&p.ops, VG_OP_DEVICE, 0, "s144444", "/dev/fifo", 'p', 0, 0, 0606, 0, 0);
        put_device(&p.ops, "/dev/null", 1, 3); /* twice: there already */
        put_pivot(&p.ops);
        put_program(&p.ops, ARGV("stat", "-c", "%F %a %u %g %t %T", "/dev/deep/random", "/dev/fifo", "/dev/null"));
        CHECK_INT(run_container(&b, &p), 0);
        CHECK_STR(b.output, "character special file 620 12 34 1 8\nfifo 606 0 0 0 0\ncharacter special file 666 0 0 1 3\n");
        birth_done(&b);
        put_root(&q.ops, bed);
        put_device(&q.ops, "/bin/sh", 1, 3);
        expect_child_failure(&q, bed, -EEXIST, "make device /bin/sh: File exists");
}

static void cwd_outside(struct bed *bed) {
        /* CVE-2024-21626: the working directory through a descriptor that leads to the host. */
        for (int fd = 3; fd < 12; fd++) {
                _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
                struct birth b;
                char path[64];
                snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
                plan_streams(&p, bed);
                put_root(&p.ops, bed);
                put_pivot(&p.ops);
                OP(&p.ops, VG_OP_CWD, 0, "s", path);
                put_program(&p.ops, ARGV("true"));
                birth_begin(&b, &p, -1);
                CHECK_INT(birth_run(&b), 'e');
                CHECK_HAS(b.message, "change directory to /proc/self/fd/");
                (void)reap(b.helper);
                (void)reap(b.child);
                birth_done(&b);
        }
}

int main(void) {
        static void (*const all[])(struct bed *) = {lookups,    parents, races,      mount_targets, mounts_stay_inside,
                                                    false_null, devices, cwd_outside};
        bed_needs();
        for (size_t i = 0; i < VG_COUNT(all); i++) {
                struct bed bed;
                bed_make(&bed);
                all[i](&bed);
                bed_done(&bed);
        }
        return 0;
}
