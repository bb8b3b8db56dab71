/* Payloads: whole ones are read as they were written, anything else is refused without harm. No privileges needed. */
#include "runtime/mountinfo.h"
#include "runtime/ops.h"
#include "runtime/overlay.h"
#include "runtime_bed.h"

static void whole_plan(struct vg_writer *w) {
        struct plan p = {
                .exec = "e1",
                .terminal = true,
                .kinds = {VG_STREAM_PATH, VG_STREAM_LOGGER, VG_STREAM_FILE},
                .paths = {"/in", "", "/err"},
                .logger_argv = ARGV("/bin/logger", "-x"),
                .logger_env = ARGV("A=b"),
                .logger_must_ready = true,
                .io_uid = 1,
                .io_gid = 2,
                .io_timeout_ms = 3,
                .clone_flags = CLONE_NEWNS,
                .init_namespaces = CLONE_NEWPID,
                .join_flag = CLONE_NEWNET,
                .join_path = "/proc/1/ns/net",
                .cgroup = 2,
                .cgroups = ARGV("/sys/fs/cgroup/x"),
        };
        OP(&p.script, VG_OP_CGROUP_KILL, 0, "S", ARGV("/a", "/b"));
        OP(&p.script, VG_OP_MOUNT, VG_OP_OPTIONAL, "ssss88s", "t", "s", "r", "t", U64(1), U64(2), "d");
        OP(&p.ops, VG_OP_HOSTNAME, 0, "s", "h");
        OP(&p.ops, VG_OP_DEVICE, 0, "s144444", "/dev/x", 'c', 1, 2, 3, 4, 5);
        OP(&p.ops, VG_OP_USER, 0, "44444", 1, 2, 2, 10, 11);
        OP(&p.ops, VG_OP_CGROUP_MOUNT, 0, "1s84sss", 1, "/sys/fs/cgroup", U64(1), 1, "n", "h", "o");
        OP(&p.ops, VG_OP_SECCOMP, 0, "s4", "12345678", 0);
        OP(&p.ops, VG_OP_EXEC, 0, "SS", ARGV("a", "b"), ARGV("PATH=/"));
        plan_encode(&p, w);
        plan_done(&p);
        CHECK(w->error == 0);
}

static int decode(const uint8_t *data, size_t size) {
        struct vg_birth birth;
        struct vg_reader r = vg_reader_of(data, size);
        int status = vg_birth_decode(&r, &birth);
        if (status == 0)
                vg_birth_done(&birth);
        else
                CHECK(status == -EBADMSG || status == -ENOMEM);
        return status;
}

static void reads_what_was_written(void) {
        _cleanup_writer_ struct vg_writer w = {0};
        struct vg_birth b;
        whole_plan(&w);
        struct vg_reader r = vg_reader_of(w.data, w.size);
        CHECK_INT(vg_birth_decode(&r, &b), 0);
        CHECK_STR(b.container, "test");
        CHECK_STR(b.exec, "e1");
        CHECK(b.terminal && b.io_uid == 1 && b.io_gid == 2 && b.io_timeout_ms == 3);
        CHECK(b.streams[0].kind == VG_STREAM_PATH && b.streams[1].kind == VG_STREAM_LOGGER && b.streams[2].kind == VG_STREAM_FILE);
        CHECK_STR(b.streams[2].path, "/err");
        CHECK_STR(b.logger_argv[1], "-x");
        CHECK(b.logger_argv[2] == NULL && b.logger_must_ready);
        CHECK(b.n_joins == 1 && b.joins[0].flag == CLONE_NEWNET);
        CHECK(b.clone_flags == CLONE_NEWNS && b.init_namespaces == CLONE_NEWPID && b.cgroup == 2);
        CHECK_STR(b.cgroup_directories[0], "/sys/fs/cgroup/x");
        struct vg_reader ops = vg_reader_of(b.ops.data, b.ops.size);
        struct vg_op op;
        unsigned count = 0;
        while (vg_op_next(&ops, &op))
                count++;
        CHECK(count == 6 && ops.error == 0);
        vg_birth_done(&b);
}

static void cut(void) {
        _cleanup_writer_ struct vg_writer w = {0};
        whole_plan(&w);
        for (size_t size = 0; size < w.size; size++) {
                /* A copy of just that size, so that the sanitizer sees a read past it. */
                _cleanup_free_ uint8_t *copy = malloc(size + !size);
                memcpy(copy, w.data, size);
                CHECK_INT(decode(copy, size), -EBADMSG);
        }
        vg_put_u8(&w, 0);
        CHECK_INT(decode(w.data, w.size), -EBADMSG);
}

static void damaged(void) {
        _cleanup_writer_ struct vg_writer w = {0};
        whole_plan(&w);
        unsigned seed = 12345, refused = 0;
        for (int round = 0; round < 20000; round++) {
                _cleanup_free_ uint8_t *copy = malloc(w.size);
                memcpy(copy, w.data, w.size);
                for (int i = 0; i < 1 + round % 4; i++)
                        copy[(size_t)rand_r(&seed) % w.size] = (uint8_t)(round % 3 ? rand_r(&seed) : 0xff);
                refused += decode(copy, w.size) < 0;
        }
        CHECK(refused > 1000);
        for (int round = 0; round < 20000; round++) {
                uint8_t noise[200];
                size_t size = (size_t)rand_r(&seed) % sizeof noise;
                for (size_t i = 0; i < size; i++)
                        noise[i] = (uint8_t)(rand_r(&seed) % (round % 2 ? 4 : 256));
                (void)decode(noise, size);
        }
}

static void refuses(void) {
        struct {
                struct plan plan;
                const char *what;
        } table[] = {
                {{.kinds = {VG_STREAM_NULL, VG_STREAM_LOGGER, VG_STREAM_NULL}}, "a logger without argv"},
                {{.kinds = {9}}, "a kind of stream that there is not"},
                {{.cgroup = 3, .cgroups = ARGV("/x")}, "cgroup v3"},
                {{.cgroup = 2, .cgroups = ARGV("/x", "/y")}, "two cgroups of v2"},
                {{.cgroup = 1}, "v1 without a cgroup"},
                {{.cgroups = ARGV("/x")}, "a cgroup of no version"},
        };
        for (size_t i = 0; i < VG_COUNT(table); i++) {
                _cleanup_writer_ struct vg_writer w = {0};
                plan_encode(&table[i].plan, &w);
                if (decode(w.data, w.size) != -EBADMSG)
                        bed_fail(__FILE__, __LINE__, "taken: %s", table[i].what);
        }
        static const struct {
                uint16_t op, flags;
                const char *letters;
        } ops[] = {{999, 0, ""},           {VG_OP_WRITE, 0, ""},        {VG_OP_UMASK, 0, ""},
                   {VG_OP_UMASK, 0, "44"}, {VG_OP_NO_NEW_PRIVS, 2, ""}, {VG_OP_EXEC, 0, "4"}};
        for (size_t i = 0; i < VG_COUNT(ops); i++) {
                _cleanup_plan_ struct plan p = {0};
                _cleanup_writer_ struct vg_writer w = {0};
                OP(&p.ops, ops[i].op, ops[i].flags, ops[i].letters, 0x7fffffff, 0x7fffffff);
                plan_encode(&p, &w);
                if (decode(w.data, w.size) != -EBADMSG)
                        bed_fail(__FILE__, __LINE__, "taken: op %u \"%s\"", ops[i].op, ops[i].letters);
        }
}

static void every_op_has_a_shape(void) {
        for (uint16_t code = VG_OP_CGROUP_MKDIR; code <= VG_OP_UNLINK; code++)
                CHECK(vg_op_shape_host(code) != NULL);
        for (uint16_t code = VG_OP_UNSHARE_CGROUP; code <= VG_OP_BRING_UP_LOOPBACK; code++) {
                CHECK(vg_op_shape_child(code) != NULL);
                CHECK(strlen(vg_op_shape_child(code)->signature) <= VG_OP_ARGS_MAX);
        }
}

static void layers(void) {
        char *data = malloc(20000);
        size_t used = (size_t)sprintf(data, "userxattr,lowerdir=");
        for (int i = 0; i < 300; i++)
                used += (size_t)sprintf(data + used, "%s/tmp/no\\:colon\\,comma%d/fs", i ? ":" : "", i);
        sprintf(data + used, ",upperdir=/u");
        int base = -1;
        /* /tmp/ is all that they have in common: that saves 5 bytes of 30 each, not enough. */
        CHECK_INT(vg_overlay_shorten(&data, &base), -E2BIG);
        CHECK_INT(base, -1);
        used = (size_t)sprintf(data, "lowerdir=");
        for (int i = 0; i < 300; i++)
                used += (size_t)sprintf(data + used, "%s/usr/share/%c\\:%d", i ? ":" : "", 'a' + i % 26, i);
        sprintf(data + used, ",upperdir=/u,workdir=/w");
        CHECK(strlen(data) > 4096);
        CHECK_INT(vg_overlay_shorten(&data, &base), 0);
        CHECK(strncmp(data, "lowerdir=a\\:0:b\\:1:c\\:2:", 24) == 0);
        CHECK_HAS(data, "\\:299,upperdir=/u,workdir=/w");
        char path[64], to[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", base);
        CHECK(readlink(path, to, sizeof to - 1) > 0);
        CHECK_STR(to, "/usr/share");
        close(base);
        free(data);
}

static void mountinfo(void) {
        static const char text[] =
                "36 35 98:0 /mnt1 /mnt\\0402\\134\\012x rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
                "37 36 0:5 / /plain rw shared:7 master:3 - proc proc rw\n"
                "broken line\n";
        FILE *file = fmemopen((void *)text, sizeof text - 1, "r");
        static struct vg_mountinfo line;
        CHECK_INT(vg_mountinfo_next(file, &line), 1);
        CHECK_STR(line.path, "/mnt 2\\\nx");
        CHECK_STR(line.type, "ext3");
        CHECK_INT(vg_mountinfo_next(file, &line), 1);
        CHECK_STR(line.path, "/plain");
        CHECK_STR(line.type, "proc");
        CHECK_INT(vg_mountinfo_next(file, &line), -EBADMSG);
        fclose(file);
        CHECK(vg_path_is_below("/a/b", "/a") && vg_path_is_below("/a", "/a/") && vg_path_is_below("/x", "/"));
        CHECK(!vg_path_is_below("/ab", "/a") && !vg_path_is_below("/", "/a"));
}

int main(void) {
        reads_what_was_written();
        cut();
        damaged();
        refuses();
        every_op_has_a_shape();
        layers();
        mountinfo();
        return 0;
}
