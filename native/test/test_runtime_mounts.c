/* Mounts that take more than mount(2): recursive attributes, other ids, a tmpfs with a copy. */
#include <linux/mount.h>
#include <sys/vfs.h>

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

static void put_attributes(struct vg_writer *w, const char *target, uint64_t set, uint64_t clear) {
        OP(w, VG_OP_MOUNT_ATTRIBUTES, 0, "s88", target, set, clear);
}

/* On the host a directory with a tmpfs in it: "ro" is for the bind alone, "rro" for both. */
static void recursive(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        char outer[96], inner[128];
        snprintf(outer, sizeof outer, "%s/outer", bed->top);
        snprintf(inner, sizeof inner, "%s/inner", outer);
        CHECK(mkdir(outer, 0755) == 0 && mkdir(inner, 0755) == 0);
        CHECK(mount("tmpfs", inner, "tmpfs", MS_NODEV, "size=64k") == 0);
        put_root(&p.ops, bed);
        put_mount(&p.ops, "bind", outer, "/plain", MS_BIND | MS_REC | MS_RDONLY, "");
        put_mount(&p.ops, "bind", outer, "/all", MS_BIND | MS_REC, "");
        put_attributes(&p.ops, "/all", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NODEV);
        put_attributes(&p.ops, "/all", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME);
        put_pivot(&p.ops);
        run_shell(bed, &p,
                  "touch /plain/inner/x && echo plain; touch /all/inner/y 2>/dev/null || echo all; "
                  "grep /all/inner /proc/mounts",
                  &b);
        CHECK(umount2(inner, MNT_DETACH) == 0);
        CHECK_HAS(b.output, "plain\nall\ntmpfs /all/inner tmpfs ro,noexec,noatime,");
        CHECK_LACKS(b.output, "nodev");
}

static void put_copy(struct vg_writer *w, const char *target, const char *data) {
        OP(w, VG_OP_TMPFS_COPY, 0, "ss88s", "tmpfs", target, U64(MS_NOSUID), U64(0), data);
}

static void copied(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        CHECK(bed_command("set -e; cd %s; mkdir -p data/deep/er; echo one > data/one; chmod 4751 data/one; chown 7:8 data/one;"
                          "chmod 4751 data/one; ln -s /etc/nowhere data/link; mkfifo -m 640 data/pipe; echo two > data/deep/er/two;"
                          "chmod 1700 data/deep; touch -d @1000000 data/deep; : > data/empty",
                          bed->rootfs) == 0);
        put_root(&p.ops, bed);
        put_copy(&p.ops, "/data", "mode=1755,size=1m");
        put_pivot(&p.ops);
        run_shell(bed, &p,
                  "stat -c '%n %u:%g %a %F' /data /data/*; stat -c %Y /data/deep; readlink /data/link; cat /data/one "
                  "/data/deep/er/two;"
                  "echo changed > /data/one; grep -c '/data tmpfs' /proc/mounts",
                  &b);
        CHECK_STR(b.output, "/data 0:0 1755 directory\n/data/deep 0:0 1700 directory\n/data/empty 0:0 644 regular empty file\n"
                            "/data/link 0:0 777 symbolic link\n/data/one 7:8 4751 regular file\n/data/pipe 0:0 640 fifo\n1000000\n"
                            "/etc/nowhere\none\ntwo\n1\n");
        char path[128], text[16];
        snprintf(path, sizeof path, "%s/data/one", bed->rootfs);
        bed_read(path, text, sizeof text);
        CHECK_STR(text, "one\n");
}

static void copy_too_large(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        CHECK(bed_command("mkdir %s/data && head -c 200000 /dev/zero > %s/data/large", bed->rootfs, bed->rootfs) == 0);
        put_root(&p.ops, bed);
        put_copy(&p.ops, "/data", "size=64k");
        put_program(&p.ops, ARGV("true"));
        birth_begin(&b, &p, -1);
        CHECK_INT(birth_run(&b), 'e');
        CHECK_INT(b.status, -ENOSPC);
        CHECK_HAS(b.message, "mount tmpfs at /data: copy large");
        (void)reap(b.child);
        (void)reap(b.helper);
        birth_done(&b);
}

static void put_idmap(struct vg_writer *w, const char *source, const char *target, uint64_t flags, const char *uids,
                      const char *gids, int all) {
        OP(w, VG_OP_IDMAP_BIND, 0, "ss888ss1", source, target, U64(MS_BIND | flags), U64(0), U64(0), uids, gids, all);
}

static void put_source(struct bed *bed, char source[128]) {
        snprintf(source, 128, "%s/source", bed->top);
        CHECK(bed_command("mkdir %s && echo mine > %s/file && chown 1000:1001 %s/file", source, source, source) == 0);
}

static void with_maps(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        char source[128], made[160];
        put_source(bed, source);
        put_root(&p.ops, bed);
        put_idmap(&p.ops, source, "/in", MS_RDONLY, "1000 2000 1\n", "1001 3000 1\n", 0);
        put_idmap(&p.ops, source, "/rw", 0, "0 5 1\n1000 0 1\n", "0 5 1\n1001 0 1\n", 1);
        put_pivot(&p.ops);
        run_shell(bed, &p, "stat -c '%u %g' /in/file /rw/file; touch /in/no 2>/dev/null || echo ro; touch /rw/made; cat /in/file",
                  &b);
        CHECK_STR(b.output, "2000 3000\n0 0\nro\nmine\n");
        snprintf(made, sizeof made, "%s/made", source);
        struct stat st;
        CHECK(stat(made, &st) == 0);
        CHECK_INT(st.st_uid, 1000);
        CHECK_INT(st.st_gid, 1001);
}

/* The container's own user namespace: what is 0 on the disk is root in the container. */
static void as_the_container(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES | CLONE_NEWUSER};
        struct birth b;
        char source[128];
        put_source(bed, source);
        CHECK(bed_command("chown -R 100000:100000 %s && chmod 700 %s", bed->rootfs, bed->top) == 0);
        OP(&p.ops, VG_OP_USER_MAP, 0, "ss", "0 100000 65536\n", "0 100000 65536\n");
        put_root(&p.ops, bed);
        put_idmap(&p.ops, source, "/in", 0, "", "", 0);
        put_pivot(&p.ops);
        run_shell(bed, &p, "stat -c '%u %g' /in /in/file; touch /in/made && stat -c %u /in/made", &b);
        CHECK_STR(b.output, "0 0\n1000 1001\n0\n");
}

static void idmap_refused(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        put_root(&p.ops, bed);
        put_idmap(&p.ops, "/proc/sys", "/in", 0, "0 1 1\n", "0 1 1\n", 0);
        put_program(&p.ops, ARGV("true"));
        birth_begin(&b, &p, -1);
        CHECK_INT(birth_run(&b), 'e');
        CHECK_INT(b.status, -EINVAL);
        CHECK_HAS(b.message, "map the ids of /proc/sys");
        (void)reap(b.child);
        (void)reap(b.helper);
        birth_done(&b);
}

/* Of the new root, after its paths have been bound onto themselves. */
static void root_propagation(struct bed *bed) {
        static const struct {
                uint64_t first, last;
                const char *root, *proc;
        } table[] = {
                {MS_SHARED, MS_SHARED, "/ shared", "/proc -"},
                {MS_SHARED | MS_REC, MS_SHARED | MS_REC, "/ shared", "/proc shared"},
                {MS_PRIVATE | MS_REC, MS_UNBINDABLE, "/ unbindable", "/proc -"},
                {MS_PRIVATE | MS_REC, MS_UNBINDABLE | MS_REC, "/ unbindable", "/proc unbindable"},
                {MS_SLAVE | MS_REC, MS_PRIVATE | MS_REC, "/ -", "/proc -"},
                {MS_SLAVE | MS_REC, MS_SLAVE | MS_REC, "/ -", "/proc -"},
        };
        for (size_t i = 0; i < VG_COUNT(table); i++) {
                _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
                struct birth b;
                OP(&p.ops, VG_OP_ROOT_PROPAGATION, 0, "8", table[i].first);
                OP(&p.ops, VG_OP_ROOTFS, 0, "s", bed->rootfs);
                put_mount(&p.ops, "proc", "proc", "/proc", 0, "");
                put_pivot(&p.ops);
                OP(&p.ops, VG_OP_READONLY_PATH, 0, "s", "/proc/sys");
                OP(&p.ops, VG_OP_ROOT_PROPAGATION, 0, "8", table[i].last);
                run_shell(bed, &p,
                          "while read -r a b c d place options kind rest; do echo \"$place ${kind%%:*}\"; done < "
                          "/proc/self/mountinfo",
                          &b);
                CHECK_HAS(b.output, table[i].root);
                CHECK_HAS(b.output, table[i].proc);
        }
}

/* Each kind for one mount: "shared" with a peer on the host, whose later mounts show as the other side's do, or do not. */
static void mount_propagation(struct bed *bed) {
        static const struct {
                uint64_t propagation;
                bool in, out;
        } table[] = {
                {MS_PRIVATE | MS_REC, false, false},
                {MS_SLAVE | MS_REC, true, false},
                {MS_SHARED | MS_REC, true, true},
                {MS_UNBINDABLE, false, false},
        };
        char source[128];
        snprintf(source, sizeof source, "%s/source", bed->top);
        for (size_t i = 0; i < VG_COUNT(table); i++) {
                _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
                struct birth b;
                CHECK(mkdir(source, 0755) == 0 && mount("tmpfs", source, "tmpfs", 0, "size=64k") == 0);
                CHECK(mount(NULL, source, NULL, MS_SHARED, NULL) == 0);
                CHECK(bed_command("mkdir %s/from-host %s/from-inside", source, source) == 0);
                OP(&p.ops, VG_OP_ROOT_PROPAGATION, 0, "8", U64(MS_SHARED));
                OP(&p.ops, VG_OP_ROOTFS, 0, "s", bed->rootfs);
                put_mount(&p.ops, "proc", "proc", "/proc", 0, "");
                OP(&p.ops, VG_OP_BIND_OR_MOUNT, 0, "sss888s1", "bind", source, "/in", U64(MS_BIND | MS_REC), U64(0),
                   table[i].propagation, "", 1);
                put_pivot(&p.ops);
                const char *const *argv =
                        ARGV("sh", "-c",
                             "mount -t tmpfs none /in/from-inside; grep -q /in/from-host /proc/mounts && echo seen;"
                             "test -e /in/from-host/go && echo file; true");
                put_program(&p.ops, argv);
                plan_streams(&p, bed);
                birth_begin(&b, &p, -1);
                CHECK_INT(birth_run(&b), 'r');
                CHECK(bed_command("mount -t tmpfs none %s/from-host && touch %s/from-host/go", source, source) == 0);
                birth_start(&b);
                CHECK_INT(birth_run(&b), 0);
                CHECK(b.saw_x);
                CHECK_INT(reap(b.helper), 0);
                birth_collect(&b);
                (void)reap(b.child);
                /* What has come to the host stays when the container ends. */
                CHECK_INT(bed_command("grep -q %s/from-inside /proc/self/mounts", source) == 0, table[i].out);
                CHECK_INT(strcmp(b.output, "seen\nfile\n") == 0, table[i].in);
                birth_done(&b);
                CHECK(bed_command("umount -R %s && rmdir %s", source, source) == 0);
        }
}

/* The file system below /tmp may have none; overlay has them since Linux 5.19 at best. */
static bool can_idmap(const struct bed *bed) {
        struct statfs fs;
        CHECK(statfs(bed->top, &fs) == 0);
        return fs.f_type == 0xEF53 || fs.f_type == 0x58465342 || fs.f_type == 0x9123683E;
}

int main(void) {
        static void (*const all[])(struct bed *) = {recursive, copied, copy_too_large, root_propagation, mount_propagation};
        static void (*const shifting[])(struct bed *) = {with_maps, as_the_container, idmap_refused};
        bed_needs();
        bool shifts = true;
        for (size_t i = 0; i < VG_COUNT(all) + VG_COUNT(shifting); i++) {
                struct bed bed;
                bed_make(&bed);
                shifts = can_idmap(&bed);
                if (i < VG_COUNT(all))
                        all[i](&bed);
                else if (shifts)
                        shifting[i - VG_COUNT(all)](&bed);
                bed_done(&bed);
        }
        if (!shifts)
                printf("not tested: mounts with other ids: the file system of /tmp is none of ext4, xfs, btrfs\n");
        return 0;
}
