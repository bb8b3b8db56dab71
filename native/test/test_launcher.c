/* The launcher's readers: flags, settings, annotations, the bootstrap parameters, the socket's name, the teardown record. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/annotations.h"
#include "launcher/args.h"
#include "launcher/bootstrap.h"
#include "launcher/settings.h"
#include "launcher/socket.h"
#include "lib/cleanup.h"
#include "lib/oom_count.h"
#include "lib/protobuf.h"
#include "lib/sha256.h"
#include "lib/teardown.h"
#include "test/check.h"

static int parse(struct vg_args *args, char *message, char **words) {
        int count = 0;
        while (words[count])
                count++;
        return vg_args_parse(count, words, args, message);
}

static void test_flags(void) {
        struct vg_args args;
        char message[256];
        CHECK(parse(&args, message,
                    (char *[]){"shim", "-namespace", "k8s.io", "-address", "/c.sock", "-publish-binary", "/bin/c", "-id", "a-b_c.1",
                               "-debug", "start", NULL}) == 0);
        CHECK(args.action == VG_ACTION_START && args.debug && strcmp(args.name_space, "k8s.io") == 0 &&
              strcmp(args.id, "a-b_c.1") == 0);
        CHECK(parse(&args, message, (char *[]){"shim", "--namespace=n", "--id=i", "-bundle", "/b", "delete", NULL}) == 0);
        CHECK(args.action == VG_ACTION_DELETE && strcmp(args.bundle, "/b") == 0);
        CHECK(parse(&args, message, (char *[]){"shim", "-info", NULL}) == 0 && args.action == VG_ACTION_INFO);
        CHECK(parse(&args, message, (char *[]){"shim", "-version", NULL}) == 0 && args.action == VG_ACTION_VERSION);

        CHECK(parse(&args, message, (char *[]){"shim", "-nonsense", "start", NULL}) == -EINVAL && strstr(message, "-nonsense"));
        CHECK(parse(&args, message, (char *[]){"shim", "-id", NULL}) == -EINVAL && strstr(message, "needs a value"));
        CHECK(parse(&args, message, (char *[]){"shim", "stop", NULL}) == -EINVAL && strstr(message, "stop"));
        CHECK(parse(&args, message, (char *[]){"shim", NULL}) == -EINVAL);
        static const char *const bad[] = {"", "a/b", "..", ".a", "a.", "a..b", "a b", "\xc3\xa9"};
        for (size_t i = 0; i < VG_COUNT(bad); i++) {
                CHECK(parse(&args, message, (char *[]){"shim", "-namespace", "n", "-id", (char *)bad[i], "start", NULL}) ==
                      -EINVAL);
                CHECK(strstr(message, "-id"));
        }
        char longest[78];
        memset(longest, 'a', 77);
        longest[77] = 0;
        CHECK(!vg_identifier_valid(longest));
        longest[76] = 0;
        CHECK(vg_identifier_valid(longest));
}

static void test_settings(void) {
        char path[] = "/tmp/vigil-settings-XXXXXX", message[256];
        int fd = mkstemp(path);
        static const char text[] = "# comment\nprotocol=grpc\nnode=/opt/node\n";
        CHECK(fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
        close(fd);
        setenv("VIGIL_CONF", path, 1);
        struct vg_settings s;
        CHECK(vg_settings_load(&s, message) == 0);
        CHECK(strcmp(s.protocol, "grpc") == 0 && s.version == 3 && strcmp(s.node, "/opt/node") == 0);
        setenv("VIGIL_PROTOCOL", "ttrpc", 1);
        CHECK(vg_settings_load(&s, message) == 0 && strcmp(s.protocol, "ttrpc") == 0 && s.version == 2);
        setenv("VIGIL_VERSION", "4", 1);
        CHECK(vg_settings_load(&s, message) == -EINVAL && strstr(message, "version"));
        unsetenv("VIGIL_VERSION");
        setenv("VIGIL_PROTOCOL", "http", 1);
        CHECK(vg_settings_load(&s, message) == -EINVAL && strstr(message, "http"));
        unsetenv("VIGIL_PROTOCOL");
        unlink(path);
        unsetenv("VIGIL_CONF");
}

static int scan(const char *json, struct vg_annotation wanted[2]) {
        size_t offset;
        wanted[0].key = "io.containerd.runc.v2.group";
        wanted[1].key = "io.kubernetes.cri.sandbox-id";
        return vg_annotations_scan(json, strlen(json), wanted, 2, &offset);
}

static void test_annotations(void) {
        struct vg_annotation w[2];
        CHECK(scan("{\"a\":[1,{\"annotations\":{\"io.kubernetes.cri.sandbox-id\":\"no\"}}],\"annotations\":{\"x\":\"y\","
                   "\"io.kubernetes.cri.sandbox-id\" : \"pod1\"},\"z\":-1.5e3}",
                   w) == 0);
        CHECK(w[0].value[0] == 0 && strcmp(w[1].value, "pod1") == 0);
        CHECK(scan("{}", w) == 0 && scan(" { \"annotations\" : null } ", w) == 0 && scan("{\"annotations\":{}}", w) == 0);
        CHECK(scan("{\"annotations\":{\"io.containerd.runc.v2.group\":\"a\\u0062\"}}", w) == 0 && w[0].value[0] == 0);
        CHECK(scan("{\"annotations\":{\"io.containerd.runc.v2.group\":7}}", w) == 0 && w[0].value[0] == 0);
        static const char *const bad[] = {"",
                                          "[]",
                                          "{",
                                          "{\"a\"",
                                          "{\"a\":",
                                          "{\"a\":1,",
                                          "{\"a\":\"",
                                          "{\"a\":\"\\",
                                          "{\"annotations\":{\"a\"",
                                          "{\"a\":[1,2}",
                                          "{\"a\" 1}"};
        for (size_t i = 0; i < VG_COUNT(bad); i++)
                CHECK(scan(bad[i], w) == -EINVAL);
        char deep[2048];
        memset(deep, '[', sizeof deep - 1);
        memcpy(deep, "{\"a\":", 5);
        deep[sizeof deep - 1] = 0;
        CHECK(scan(deep, w) == -EINVAL);
}

static struct vg_bootstrap read_bootstrap(const struct vg_writer *input, const struct vg_args *args) {
        struct vg_bootstrap b;
        int fd = memfd_create("stdin", MFD_CLOEXEC);
        CHECK(fd >= 0 && write(fd, input->data, input->size) == (ssize_t)input->size && lseek(fd, 0, SEEK_SET) == 0);
        CHECK(vg_bootstrap_read(fd, args, &b) == 0);
        close(fd);
        return b;
}

static void test_bootstrap(void) {
        const struct vg_args args = {.id = "c1", .name_space = "default"};
        _cleanup_writer_ struct vg_writer any = {0}, extension = {0}, params = {0}, empty = {0};
        vg_pb_string(&any, 1, "type.googleapis.com/containerd.runc.v1.Options");
        vg_pb_string(&any, 2, "options");

        struct vg_bootstrap b = read_bootstrap(&any, &args);
        CHECK(b.options.size == any.size && memcmp(b.options.data, any.data, any.size) == 0 && !b.socket_dir[0]);
        vg_bootstrap_done(&b);

        vg_pb_message(&extension, 1, &any);
        vg_pb_string(&params, 1, "c1");
        vg_pb_string(&params, 2, "default");
        vg_pb_string(&params, 5, "/run/c.ttrpc");
        vg_pb_message(&params, 8, &extension);
        vg_pb_string(&params, 9, "/run/s");
        b = read_bootstrap(&params, &args);
        CHECK(b.options.size == any.size && strcmp(b.socket_dir, "/run/s") == 0 && strcmp(b.ttrpc_address, "/run/c.ttrpc") == 0);
        vg_bootstrap_done(&b);

        b = read_bootstrap(&empty, &args);
        CHECK(b.options.size == 0);
        vg_bootstrap_done(&b);
}

static void test_socket_name(void) {
        char path[VG_SOCKET_PATH_MAX + 1], hex[VG_SHA256_HEX];
        vg_sha256_hex("abc", 3, hex); /* FIPS 180-4, appendix B.1 */
        CHECK(strcmp(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad") == 0);
        CHECK(vg_shim_socket_path("/run/containerd/s", "/run/containerd/containerd.sock", "default", "c1", path) == 0);
        vg_sha256_hex("/run/containerd/containerd.sock/default/c1", 42, hex);
        CHECK(strncmp(path, "/run/containerd/s/", 18) == 0 && strcmp(path + 18, hex) == 0);
        char directory[64];
        memset(directory, 'd', 63);
        directory[63] = 0;
        CHECK(vg_shim_socket_path(directory, "a", "n", "i", path) == -ENAMETOOLONG);
}

static void test_teardown(void) {
        char path[] = "/tmp/vigil-teardown-XXXXXX";
        int fd = mkstemp(path);
        static const char text[] =
                "vigil-teardown 1\npid 12 345\ncgroup 1 /sys/fs/cgroup/memory/a b\ncgroup 1 /sys/fs/cgroup/cpu/a\n"
                "memory 1 /sys/fs/cgroup/memory/a b/memory.oom_control oom_kill 3\nmount /b/rootfs\nunlink /b/x\nhook 00ff7a\n"
                "runtime runc\nruntime --root\nruntime /a b\ndirectory /d\njournal /j\ncounted-fact 7\n";
        CHECK(fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
        struct vg_teardown t;
        CHECK(vg_teardown_read(path, &t) == 0);
        CHECK(t.pid == 12 && t.start_time == 345 && strcmp(t.cgroups[0], "/sys/fs/cgroup/memory/a b") == 0 && t.cgroups[1] &&
              !t.cgroups[2]);
        CHECK(t.memory_version == 1 && strcmp(t.memory_file, "/sys/fs/cgroup/memory/a b/memory.oom_control") == 0);
        CHECK(strcmp(t.memory_key, "oom_kill") == 0 && t.memory_count == 3 && strcmp(t.mounts[0], "/b/rootfs") == 0);
        CHECK(strcmp(t.hooks[0], "00ff7a") == 0 && !t.hooks[1]);
        CHECK(strcmp(t.runtime[0], "runc") == 0 && strcmp(t.runtime[2], "/a b") == 0 && !t.runtime[3]);
        CHECK(strcmp(t.directories[0], "/d") == 0 && !t.directories[1]);
        CHECK(strcmp(t.unlinks[0], "/b/x") == 0 && strcmp(t.journal, "/j") == 0 && t.counted_fact == 7);
        vg_teardown_done(&t);
        static const char *const bad[] = {"",
                                          "vigil-teardown 2\n",
                                          "vigil-teardown 1\nnonsense x\n",
                                          "vigil-teardown 1\npid x 1\n",
                                          "vigil-teardown 1\npid 1\n",
                                          "vigil-teardown 1\nmemory 1\n",
                                          "vigil-teardown 1\nmemory 3 /f k 1\n",
                                          "vigil-teardown 1\nhook 0\n",
                                          "vigil-teardown 1\nhook 0g\n",
                                          "vigil-teardown 1\nmount\n"};
        for (size_t i = 0; i < VG_COUNT(bad); i++) {
                CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, bad[i], strlen(bad[i]), 0) == (ssize_t)strlen(bad[i]));
                CHECK(vg_teardown_read(path, &t) == -EBADMSG);
        }
        close(fd);
        unlink(path);
        CHECK(vg_teardown_read(path, &t) == -ENOENT);
}

static void test_oom_count(void) {
        char base[] = "/tmp/vigil-oom-XXXXXX", path[128];
        CHECK(mkdtemp(base));
        uint64_t count;
        static const char *const levels[] = {"", "/a", "/a/b"};
        for (size_t i = 0; i < VG_COUNT(levels); i++) {
                snprintf(path, sizeof path, "%s%s", base, levels[i]);
                CHECK(i == 0 || mkdir(path, 0700) == 0);
                snprintf(path, sizeof path, "%s%s/memory.oom_control", base, levels[i]);
                FILE *f = fopen(path, "w");
                CHECK(f && fprintf(f, "oom_kill_disable 0\nunder_oom 0\noom_kill %zu\n", i + 1) > 0 && fclose(f) == 0);
        }
        snprintf(path, sizeof path, "%s/memory.oom_control", base);
        CHECK(vg_oom_count(1, path, "oom_kill", &count) == 0 && count == 6);
        CHECK(vg_oom_count(2, path, "oom_kill", &count) == 0 && count == 1);
        CHECK(vg_oom_count(2, path, "oom", &count) == -ENODATA);
        for (size_t i = VG_COUNT(levels); i-- > 0;) {
                snprintf(path, sizeof path, "%s%s/memory.oom_control", base, levels[i]);
                unlink(path);
                *strrchr(path, '/') = 0;
                rmdir(path);
        }
        CHECK(vg_oom_count(2, path, "oom_kill", &count) == -ENOENT);
}

int main(void) {
        test_flags();
        test_settings();
        test_annotations();
        test_bootstrap();
        test_socket_name();
        test_teardown();
        test_oom_count();
        return 0;
}
