#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "launcher/bootstrap.h"
#include "launcher/verbs.h"
#include "lib/protobuf.h"

#define FEATURES_TYPE "types.containerd.io/opencontainers/runtime-spec/1/features/Features"

/* What this version's native runtime does, in the form of the OCI runtime's features document. */
static const char features[] =
        "{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"1.2.0\","
        "\"mountOptions\":[\"async\",\"atime\",\"bind\",\"defaults\",\"dev\",\"diratime\",\"dirsync\",\"exec\",\"mand\","
        "\"noatime\","
        "\"nodev\",\"nodiratime\",\"noexec\",\"nomand\",\"norelatime\",\"nostrictatime\",\"nosuid\",\"private\",\"rbind\","
        "\"relatime\",\"remount\",\"ro\",\"rprivate\",\"rshared\",\"rslave\",\"runbindable\",\"rw\",\"shared\",\"slave\","
        "\"strictatime\",\"suid\",\"sync\",\"unbindable\"],"
        "\"linux\":{\"namespaces\":[\"cgroup\",\"ipc\",\"mount\",\"network\",\"pid\",\"uts\"],"
        "\"cgroup\":{\"v1\":true,\"v2\":true,\"systemd\":false,\"systemdUser\":false,\"rdma\":false},"
        "\"seccomp\":{\"enabled\":true},\"apparmor\":{\"enabled\":false},\"selinux\":{\"enabled\":false}}}";

int vg_info(void) {
        struct vg_args none = {.id = "", .name_space = ""};
        struct vg_bootstrap input;
        int r = vg_bootstrap_read(STDIN_FILENO, &none, &input);
        if (r < 0) {
                fprintf(stderr, "vigil: cannot read the options on stdin: %s\n", strerror(-r));
                return 1;
        }
        _cleanup_writer_ struct vg_writer info = {0}, version = {0}, any = {0};
        vg_pb_string(&version, 1, VG_VERSION);
        vg_pb_string(&any, 1, FEATURES_TYPE);
        vg_pb_string(&any, 2, features);
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
