/* Device rules on cgroup v2: an eBPF program that the kernel asks. */
#include <linux/bpf.h>

#include "runtime_bed.h"

static char tree[64]; /* mount point of the v2 tree */

static void find_tree(void) {
        _cleanup_fclose_ FILE *mounts = fopen("/proc/mounts", "re");
        char line[1024], path[256], type[64];
        CHECK(mounts != NULL);
        while (!tree[0] && fgets(line, sizeof line, mounts))
                if (sscanf(line, "%*s %255s %63s", path, type) == 2 && strcmp(type, "cgroup2") == 0 && strlen(path) < sizeof tree)
                        strcpy(tree, path);
}

/* Everything but the device with that minor number. */
static void put_rules(struct vg_writer *w, const char *cgroup, int minor) {
        const struct bpf_insn program[] = {
                {.code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = 2, .src_reg = 1, .off = offsetof(struct bpf_cgroup_dev_ctx, minor)},
                {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1},
                {.code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 2, .off = 1, .imm = minor},
                {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
                {.code = BPF_JMP | BPF_EXIT},
        };
        vg_put_u16(w, VG_OP_CGROUP_DEVICES);
        vg_put_u16(w, 0);
        size_t slot = vg_put_slot(w);
        vg_put_str(w, cgroup);
        vg_put_bytes(w, program, sizeof program);
        vg_patch_u32(w, slot, (uint32_t)(w->size - slot - sizeof(uint32_t)));
}

/* What open(2) says in the cgroup: 0 or an error number. */
static int opens(const char *cgroup, const char *device) {
        char procs[256];
        CHECK(snprintf(procs, sizeof procs, "%s/cgroup.procs", cgroup) < (int)sizeof procs);
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                bed_write(procs, "0");
                _exit(open(device, O_RDONLY | O_CLOEXEC) < 0 ? errno : 0);
        }
        int status;
        CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void rules_hold(const char *cgroup) {
        struct vg_writer w = {0};
        put_rules(&w, cgroup, 5); /* /dev/zero */
        run_script_ok(&w);
        CHECK_INT(opens(cgroup, "/dev/null"), 0);
        CHECK_INT(opens(cgroup, "/dev/zero"), EPERM);
        /* Another program beside it: both have to agree. */
        put_rules(&w, cgroup, 3);
        run_script_ok(&w);
        CHECK_INT(opens(cgroup, "/dev/null"), EPERM);
        CHECK_INT(opens(cgroup, "/dev/full"), 0);
        CHECK_INT(opens(tree, "/dev/zero"), 0);
}

static void refused(const char *cgroup) {
        char message[2048];
        struct vg_writer w = {0};
        OP(&w, VG_OP_CGROUP_DEVICES, 0, "ss", cgroup, "no program");
        CHECK_INT(run_script(&w, false, message), -EINVAL);
        CHECK_HAS(message, "no eBPF program");
        OP(&w, VG_OP_CGROUP_DEVICES, 0, "ss", cgroup, "8 bytes.");
        CHECK(run_script(&w, false, message) < 0);
        CHECK_HAS(message, "load the eBPF program");
        put_rules(&w, "/proc", 5);
        CHECK(run_script(&w, false, message) < 0);
        CHECK_HAS(message, "to /proc");
}

int main(void) {
        char cgroup[192];
        bed_needs();
        find_tree();
        if (!tree[0]) {
                printf("skipped: no cgroup v2 tree is mounted here\n");
                return 77;
        }
        CHECK(snprintf(cgroup, sizeof cgroup, "%s/vigil-devices-%d", tree, (int)getpid()) < (int)sizeof cgroup);
        CHECK(mkdir(cgroup, 0755) == 0);
        rules_hold(cgroup);
        refused(cgroup);
        CHECK(rmdir(cgroup) == 0);
        return 0;
}
