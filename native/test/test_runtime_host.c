/* Host ops on mounts and files. */
#include "runtime/mount.h"
#include "runtime/mountinfo.h"
#include "runtime_bed.h"

static void put_host_mount(struct vg_writer *w, const char *type, const char *source, const char *root, const char *target,
                           uint64_t flags, const char *data) {
        OP(w, VG_OP_MOUNT, 0, "ssss88s", type, source, root, target, flags, U64(0), data);
}

static unsigned mounts_below(const char *top) {
        _cleanup_close_ int proc = -1;
        _cleanup_fclose_ FILE *file = NULL;
        CHECK_INT(vg_proc_open(&proc), 0);
        CHECK_INT(vg_mountinfo_open(proc, &file), 0);
        static struct vg_mountinfo line;
        unsigned count = 0;
        while (vg_mountinfo_next(file, &line) > 0)
                count += vg_path_is_below(line.path, top);
        return count;
}

static void files(struct bed *bed) {
        struct vg_writer w = {0};
        char a[128], b[128], message[2048], text[64];
        struct stat st;
        snprintf(a, sizeof a, "%s/one/two/three", bed->top);
        snprintf(b, sizeof b, "%s/note", bed->top);
        OP(&w, VG_OP_MKDIR, 0, "s4", a, 01750);
        OP(&w, VG_OP_MKDIR, 0, "s4", a, 0700); /* there already: stays as it is */
        run_script_ok(&w);
        CHECK(stat(a, &st) == 0 && (st.st_mode & 07777) == 01750);
        bed_write(b, "123");
        OP(&w, VG_OP_WRITE, 0, "ss", b, "ab");
        run_script_ok(&w);
        bed_read(b, text, sizeof text);
        CHECK_STR(text, "ab3"); /* one write, nothing cut */
        OP(&w, VG_OP_UNLINK, 0, "s", b);
        OP(&w, VG_OP_UNLINK, 0, "s", b);
        run_script_ok(&w);
        CHECK(access(b, F_OK) < 0);
        OP(&w, VG_OP_WRITE, 0, "ss", "/proc/self/oom_score_adj", "none");
        CHECK_INT(run_script(&w, false, message), -EINVAL);
        CHECK_STR(message, "write \"none\" to /proc/self/oom_score_adj: Invalid argument");
        bed_write(b, "");
        snprintf(a, sizeof a, "%s/note/below", bed->top);
        OP(&w, VG_OP_MKDIR, 0, "s4", a, 0700);
        CHECK_INT(run_script(&w, false, message), -ENOTDIR);
        /* Undo: what was made, and nothing else. */
        snprintf(a, sizeof a, "%s/one/four/five", bed->top);
        OP(&w, VG_OP_MKDIR, 0, "s4", a, 0700);
        OP(&w, VG_OP_UNLINK, 0, "s", "/proc/self");
        CHECK(run_script(&w, true, message) < 0);
        CHECK(bed_command("test -d %s/one/two/three -a ! -e %s/one/four", bed->top, bed->top) == 0);
}

static void overlay(struct bed *bed) {
        struct vg_writer w = {0};
        char data[512], message[2048], elsewhere[128];
        CHECK(bed_command("cd %s && mkdir lower upper work tree elsewhere && echo low >lower/file && ln -s %s/elsewhere lower/link "
                          "&& mkdir lower/sub",
                          bed->top, bed->top) == 0);
        char tree[128];
        snprintf(tree, sizeof tree, "%s/tree", bed->top);
        snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", bed->top);
        snprintf(data, sizeof data, "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", bed->top, bed->top, bed->top);
        put_host_mount(&w, "overlay", "overlay", tree, "", 0, data);
        put_host_mount(&w, "tmpfs", "tmpfs", tree, "sub", MS_NOSUID, "size=4k");
        put_host_mount(&w, "bind", bed->rootfs, tree, "/sub/", MS_BIND | MS_REC | MS_RDONLY, "");
        run_script_ok(&w);
        CHECK(bed_command("grep -q low %s/file && test -x %s/sub/bin/sh && ! touch %s/sub/x 2>/dev/null && touch %s/x", tree, tree,
                          tree, tree) == 0);
        CHECK_INT(mounts_below(tree), 3);
        /* A link of the image that leads out of it is looked up inside. */
        put_host_mount(&w, "tmpfs", "tmpfs", tree, "link", 0, "");
        CHECK_INT(run_script(&w, true, message), -ENOENT);
        CHECK_INT(mounts_below(elsewhere), 0);
        OP(&w, VG_OP_UMOUNT_TREE, 0, "s", tree);
        OP(&w, VG_OP_UMOUNT_TREE, 0, "s", tree);
        OP(&w, VG_OP_UMOUNT_TREE, 0, "s", "/nonexistent/tree");
        run_script_ok(&w);
        CHECK_INT(mounts_below(bed->top), 0);
        /* Undo takes mounts away, those on top of others too. */
        put_host_mount(&w, "tmpfs", "tmpfs", tree, "", 0, "");
        put_host_mount(&w, "bind", bed->rootfs, tree, "", MS_BIND, "");
        put_host_mount(&w, "nosuchfs", "none", tree, "", 0, "");
        CHECK_INT(run_script(&w, true, message), -ENODEV);
        CHECK_HAS(message, "mount nosuchfs none at ");
        CHECK_INT(mounts_below(bed->top), 0);
}

/* More lower directories than one page of options has room for. */
static void many_layers(struct bed *bed) {
        struct vg_writer w = {0};
        char data[16384], tree[128], message[2048];
        size_t used = (size_t)snprintf(data, sizeof data, "index=off,lowerdir=");
        for (int i = 0; i < 100; i++) {
                CHECK(bed_command("mkdir -p %s/a-rather-long-name-for-a-directory/snapshots/%d/fs && echo %d "
                                  ">%s/a-rather-long-name-for-a-directory/snapshots/%d/fs/f%d",
                                  bed->top, i, i, bed->top, i, i) == 0);
                used += (size_t)snprintf(data + used, sizeof data - used, "%s%s/a-rather-long-name-for-a-directory/snapshots/%d/fs",
                                         i ? ":" : "", bed->top, i);
        }
        CHECK(used > 4096);
        snprintf(tree, sizeof tree, "%s/tree", bed->top);
        CHECK(mkdir(tree, 0755) == 0);
        put_host_mount(&w, "overlay", "overlay", tree, "", MS_RDONLY, data);
        run_script_ok(&w);
        CHECK(bed_command("test $(ls %s | wc -l) = 100 -a $(cat %s/f42) = 42", tree, tree) == 0);
        OP(&w, VG_OP_UMOUNT_TREE, 0, "s", tree);
        run_script_ok(&w);
        memset(data, 'x', 5000);
        data[5000] = 0;
        put_host_mount(&w, "overlay", "overlay", tree, "", 0, data);
        CHECK_INT(run_script(&w, true, message), -E2BIG);
}

static void loop(struct bed *bed) {
        struct vg_writer w = {0};
        char image[128], tree[128];
        if (access("/dev/loop-control", F_OK) < 0 || bed_command("command -v mkfs.ext4 >/dev/null") != 0) {
                printf("not tested: loop devices (no /dev/loop-control or no mkfs.ext4 here)\n");
                return;
        }
        snprintf(image, sizeof image, "%s/image", bed->top);
        snprintf(tree, sizeof tree, "%s/tree", bed->top);
        CHECK(bed_command("mkdir %s; truncate -s 4M %s; mkfs.ext4 -q %s", tree, image, image) == 0);
        put_host_mount(&w, "ext4", image, tree, "", 0, "noload,loop");
        run_script_ok(&w);
        CHECK(bed_command("test -d %s/lost+found", tree) == 0);
        OP(&w, VG_OP_UMOUNT_TREE, 0, "s", tree);
        run_script_ok(&w);
        CHECK(bed_command("cat /sys/block/loop*/loop/backing_file 2>/dev/null | grep -q %s", image) != 0);
}

static void busy(struct bed *bed) {
        struct vg_writer w = {0};
        char tree[128], message[2048];
        snprintf(tree, sizeof tree, "%s/with space\tand \\ and\nline", bed->top);
        CHECK(mkdir(tree, 0755) == 0);
        put_host_mount(&w, "tmpfs", "tmpfs", tree, "", 0, "");
        run_script_ok(&w);
        CHECK_INT(mounts_below(tree), 1);
        pid_t user = fork();
        if (user == 0) {
                CHECK(chdir(tree) == 0);
                (void)poll(NULL, 0, 300);
                _exit(0);
        }
        (void)poll(NULL, 0, 100);
        OP(&w, VG_OP_UMOUNT_TREE, 0, "s", tree);
        run_script_ok(&w);
        (void)reap(user);
        CHECK_INT(mounts_below(tree), 0);
        put_host_mount(&w, "tmpfs", "tmpfs", tree, "", 0, "");
        run_script_ok(&w);
        int held = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        OP(&w, VG_OP_UMOUNT_TREE, 0, "s", tree);
        CHECK_INT(run_script(&w, false, message), -EBUSY);
        CHECK_HAS(message, "unmount ");
        close(held);
        OP(&w, VG_OP_UMOUNT_TREE, 0, "s", tree);
        run_script_ok(&w);
}

int main(void) {
        static void (*const all[])(struct bed *) = {files, overlay, many_layers, loop, busy};
        bed_needs();
        /* Mounts of its own, so that a failing test leaves none to others. */
        CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0);
        for (size_t i = 0; i < VG_COUNT(all); i++) {
                struct bed bed;
                bed_make(&bed);
                all[i](&bed);
                bed_done(&bed);
        }
        return 0;
}
