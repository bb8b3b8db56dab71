/* VG_OP_CGROUP_DEVICES: what version 1 has files for, version 2 asks an eBPF program (cgroup-v2, "Device controller"). */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/host.h"

static int bpf(int command, union bpf_attr *attr) {
        long r = syscall(SYS_bpf, command, attr, sizeof *attr);
        return r < 0 ? -errno : (int)r;
}

static int load(struct vg_bytes program) {
        union bpf_attr attr;
        memset(&attr, 0, sizeof attr); /* unknown members must be zero (bpf(2)), padding too */
        attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
        attr.insns = (uint64_t)(uintptr_t)program.data;
        attr.insn_cnt = (uint32_t)(program.size / sizeof(struct bpf_insn));
        attr.license = (uint64_t)(uintptr_t) "";
        strcpy(attr.prog_name, "vigil_devices");
        return bpf(BPF_PROG_LOAD, &attr);
}

/* Beside what others attach (systemd, say): every program has to agree. It goes when the cgroup goes. */
static int attach(int program, int cgroup) {
        union bpf_attr attr;
        memset(&attr, 0, sizeof attr);
        attr.target_fd = (uint32_t)cgroup;
        attr.attach_bpf_fd = (uint32_t)program;
        attr.attach_type = BPF_CGROUP_DEVICE;
        attr.attach_flags = BPF_F_ALLOW_MULTI;
        return bpf(BPF_PROG_ATTACH, &attr);
}

int vg_host_cgroup_devices(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        const char *path = a->at[0].string;
        struct vg_bytes program = a->at[1].bytes;
        if (program.size == 0 || program.size % sizeof(struct bpf_insn) != 0)
                return vg_fail(f, -EINVAL, "device rules of %zu bytes are no eBPF program", program.size);
        _cleanup_close_ int cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (cgroup < 0)
                return vg_fail(f, -errno, "open %s", path);
        _cleanup_close_ int loaded = load(program);
        if (loaded < 0)
                return vg_fail(f, loaded, "load the eBPF program of the device rules");
        int r = attach(loaded, cgroup);
        return r < 0 ? vg_fail(f, r, "attach the eBPF program of the device rules to %s", path) : 0;
}
