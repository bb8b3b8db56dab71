#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "launcher/bootstrap.h"
#include "launcher/options.h"
#include "launcher/verbs.h"
#include "lib/cleanup.h"
#include "lib/protobuf.h"
#include "runtime/program.h"

#define FEATURES_TYPE "types.containerd.io/opencontainers/runtime-spec/1/features/Features"

/* Of a document of a few kilobytes; what is longer is something else. */
#define FEATURES_MAX (64u << 10)
#define FEATURES_TIMEOUT_MS 10000

/* The OCI runtime's features document, written at the build by `vigil-runtime features`. */
static int read_features(const struct vg_settings *settings, struct vg_writer *ret) {
        char path[sizeof settings->lib_dir + 16], text[4096];
        snprintf(path, sizeof path, "%s/features.json", settings->lib_dir);
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        int r = f ? 0 : -errno;
        for (size_t n; r == 0 && (n = fread(text, 1, sizeof text, f)) > 0;) {
                vg_put_raw(ret, text, n);
                r = ret->size > FEATURES_MAX ? -EFBIG : ret->error;
        }
        if (r == 0 && ferror(f))
                r = -EIO;
        if (r < 0)
                fprintf(stderr, "vigil: %s: %s\n", path, strerror(-r));
        return r;
}

static bool is_object(const struct vg_writer *text) {
        size_t at = 0;
        while (at < text->size && memchr(" \t\r\n", text->data[at], 4))
                at++;
        return at < text->size && text->data[at] == '{';
}

static int read_back(int fd, struct vg_writer *ret) {
        char part[4096];
        ssize_t n;
        for (off_t at = 0; (n = pread(fd, part, sizeof part, at)) > 0; at += n) {
                vg_put_raw(ret, part, (size_t)n);
                if (ret->size > FEATURES_MAX)
                        return -EFBIG;
        }
        return n < 0 ? -errno : ret->error;
}

/* What another OCI runtime says of itself. One that is there but says nothing (runc before 1.1) has no features that are known: as
 * with the stock shim that is not a failure. */
static int ask_runtime(char *name, struct vg_writer *ret) {
        char verb[] = "features";
        char *argv[] = {name, verb, NULL};
        _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC), output = memfd_create("vigil-features", MFD_CLOEXEC);
        struct vg_failure failure = {0};
        const int stdio[3] = {null, output, null};
        const struct vg_program program = {.argv = argv, .log = (char *)"", .timeout_ms = FEATURES_TIMEOUT_MS};
        const struct vg_program_io io = {.stdio = stdio, .watched = -1};
        if (null < 0 || output < 0) {
                fprintf(stderr, "vigil: %s features: %s\n", name, strerror(errno));
                return -errno;
        }
        int r = vg_program_run(&program, &io, &failure);
        if (r < 0 && r != -EREMOTEIO && r != -ETIMEDOUT) {
                fprintf(stderr, "vigil: %s\n", failure.message);
                return r;
        }
        if (r == 0)
                r = read_back(output, ret);
        if (r == 0 && is_object(ret))
                return 0;
        fprintf(stderr, "vigil: the features of %s are not known\n", name);
        vg_writer_done(ret);
        *ret = (struct vg_writer){0};
        return 0;
}

static int find_features(const struct vg_settings *settings, const struct vg_bootstrap *input, struct vg_writer *ret) {
        _cleanup_free_ char *name = NULL;
        int r = vg_options_binary_name((struct vg_bytes){input->options.data, input->options.size}, &name);
        if (r < 0) {
                fprintf(stderr, "vigil: cannot read BinaryName in the options: %s\n", strerror(-r));
                return r;
        }
        return name ? ask_runtime(name, ret) : read_features(settings, ret);
}

int vg_info(const struct vg_settings *settings) {
        struct vg_args none = {.id = "", .name_space = ""};
        struct vg_bootstrap input;
        int r = vg_bootstrap_read(STDIN_FILENO, &none, &input);
        if (r < 0) {
                fprintf(stderr, "vigil: cannot read the options on stdin: %s\n", strerror(-r));
                return 1;
        }
        _cleanup_writer_ struct vg_writer info = {0}, version = {0}, any = {0}, features = {0};
        if (find_features(settings, &input, &features) < 0) {
                vg_bootstrap_done(&input);
                return 1;
        }
        vg_pb_string(&version, 1, VG_VERSION);
        vg_pb_string(&any, 1, FEATURES_TYPE);
        vg_pb_bytes(&any, 2, (struct vg_bytes){features.data, features.size});
        vg_pb_string(&info, 1, "io.containerd.vigil.v1");
        vg_pb_message(&info, 2, &version);
        vg_pb_bytes(&info, 3, (struct vg_bytes){input.options.data, input.options.size});
        if (features.size > 0)
                vg_pb_message(&info, 4, &any);
        vg_bootstrap_done(&input);
        if (info.error || fwrite(info.data, 1, info.size, stdout) != info.size || fflush(stdout) != 0) {
                fprintf(stderr, "vigil: cannot print the runtime's information: %s\n", strerror(info.error ? -info.error : errno));
                return 1;
        }
        return 0;
}
