#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "launcher/bootstrap.h"
#include "launcher/verbs.h"
#include "lib/cleanup.h"
#include "lib/protobuf.h"

#define FEATURES_TYPE "types.containerd.io/opencontainers/runtime-spec/1/features/Features"

/* Of a document of a few kilobytes; what is longer is something else. */
#define FEATURES_MAX (64u << 10)

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

int vg_info(const struct vg_settings *settings) {
        struct vg_args none = {.id = "", .name_space = ""};
        struct vg_bootstrap input;
        int r = vg_bootstrap_read(STDIN_FILENO, &none, &input);
        if (r < 0) {
                fprintf(stderr, "vigil: cannot read the options on stdin: %s\n", strerror(-r));
                return 1;
        }
        _cleanup_writer_ struct vg_writer info = {0}, version = {0}, any = {0}, features = {0};
        if (read_features(settings, &features) < 0) {
                vg_bootstrap_done(&input);
                return 1;
        }
        vg_pb_string(&version, 1, VG_VERSION);
        vg_pb_string(&any, 1, FEATURES_TYPE);
        vg_pb_bytes(&any, 2, (struct vg_bytes){features.data, features.size});
        vg_pb_string(&info, 1, "io.containerd.vigil.v1");
        vg_pb_message(&info, 2, &version);
        vg_pb_bytes(&info, 3, (struct vg_bytes){input.options.data, input.options.size});
        vg_pb_message(&info, 4, &any);
        vg_bootstrap_done(&input);
        if (info.error || fwrite(info.data, 1, info.size, stdout) != info.size || fflush(stdout) != 0) {
                fprintf(stderr, "vigil: cannot print the runtime's information: %s\n", strerror(info.error ? -info.error : errno));
                return 1;
        }
        return 0;
}
