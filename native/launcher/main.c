/* containerd-shim-vigil-v1: what containerd runs. It starts the core and leaves, or cleans up and leaves. */
#include <stdio.h>

#include "launcher/args.h"
#include "launcher/settings.h"
#include "launcher/verbs.h"

#ifndef VG_VERSION
#error "VG_VERSION: the version in package.json"
#endif

int main(int argc, char **argv) {
        struct vg_args args;
        struct vg_settings settings;
        char message[256] = "";
        if (vg_args_parse(argc, argv, &args, message) < 0 || vg_settings_load(&settings, message) < 0) {
                fprintf(stderr, "%s: %s\n", argv[0], message);
                return 2;
        }
        switch (args.action) {
        case VG_ACTION_START:
                return vg_start(&args, &settings);
        case VG_ACTION_DELETE:
                return vg_delete(&args, &settings);
        case VG_ACTION_INFO:
                return vg_info(&settings);
        case VG_ACTION_VERSION:
                printf("%s:\n  Version:  %s\n  Runtime:  io.containerd.vigil.v1\n", argv[0], VG_VERSION);
                return 0;
        case VG_ACTION_NONE:
                break;
        }
        return 2;
}
