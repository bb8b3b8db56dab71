/* VG_OP_CAPABILITIES: the five sets of capabilities(7). */
#include "runtime/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/child.h"

struct sets {
        uint64_t effective, permitted, inheritable;
};

/* Names for messages, by number. */
static const char *const names[] = {
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "KILL",
        "SETGID",
        "SETUID",
        "SETPCAP",
        "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_ADMIN",
        "NET_RAW",
        "IPC_LOCK",
        "IPC_OWNER",
        "SYS_MODULE",
        "SYS_RAWIO",
        "SYS_CHROOT",
        "SYS_PTRACE",
        "SYS_PACCT",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_NICE",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "MKNOD",
        "LEASE",
        "AUDIT_WRITE",
        "AUDIT_CONTROL",
        "SETFCAP",
        "MAC_OVERRIDE",
        "MAC_ADMIN",
        "SYSLOG",
        "WAKE_ALARM",
        "BLOCK_SUSPEND",
        "AUDIT_READ",
        "PERFMON",
        "BPF",
        "CHECKPOINT_RESTORE",
};

static int get_sets(struct sets *ret_sets) {
        struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2];
        if (syscall(SYS_capget, &head, data) < 0)
                return -errno;
        *ret_sets = (struct sets){
                .effective = data[0].effective | (uint64_t)data[1].effective << 32,
                .permitted = data[0].permitted | (uint64_t)data[1].permitted << 32,
                .inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32,
        };
        return 0;
}

static int set_sets(const struct sets *sets) {
        struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2];
        for (unsigned i = 0; i < 2; i++)
                data[i] = (struct __user_cap_data_struct){
                        .effective = (uint32_t)(sets->effective >> 32 * i),
                        .permitted = (uint32_t)(sets->permitted >> 32 * i),
                        .inheritable = (uint32_t)(sets->inheritable >> 32 * i),
                };
        return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

int vg_capabilities_raise(void) {
        struct sets sets;
        int status = get_sets(&sets);
        if (status < 0)
                return status;
        sets.effective = sets.permitted;
        return set_sets(&sets);
}

/* Drops from the bounding set; tells which capabilities this kernel knows (PR_CAPBSET_READ fails with EINVAL after the last). */
static int bound(uint64_t keep, uint64_t *ret_known) {
        uint64_t known = 0;
        for (unsigned long number = 0; number < 64; number++) {
                int has = prctl(PR_CAPBSET_READ, number, 0, 0, 0);
                if (has < 0)
                        break;
                known |= UINT64_C(1) << number;
                if (has == 1 && !(keep >> number & 1) && prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0)
                        return -errno;
        }
        *ret_known = known;
        return 0;
}

static int set_ambient(uint64_t ambient) {
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return -errno;
        for (unsigned long number = 0; number < 64; number++)
                if ((ambient >> number & 1) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) < 0)
                        return -errno;
        return 0;
}

static void list_names(uint64_t missing, char *into, size_t size) {
        size_t used = 0;
        into[0] = 0;
        for (unsigned number = 0; number < VG_COUNT(names); number++)
                if (missing >> number & 1) {
                        int more = snprintf(into + used, size - used, "%sCAP_%s", used ? ", " : "", names[number]);
                        if (more < 0 || (size_t)more >= size - used)
                                return;
                        used += (size_t)more;
                }
}

int vg_child_capabilities(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        (void)c;
        uint64_t known = 0;
        int status = bound(a->at[0].number, &known);
        if (status < 0)
                return vg_fail(f, status, "limit the capability bounding set");
        /* A capability that a newer specification names and this kernel does not have cannot be had: left away, as runc does. */
        struct sets now, wanted = {
                                 .effective = a->at[1].number & known,
                                 .inheritable = a->at[2].number & known,
                                 .permitted = a->at[3].number & known,
                         };
        status = get_sets(&now);
        uint64_t missing = wanted.permitted & ~now.permitted;
        if (status == 0 && missing) {
                char words[512];
                list_names(missing, words, sizeof words);
                return vg_fail_words(f, -EPERM, "set capabilities: vigil itself does not have %s", words);
        }
        if (status == 0)
                status = set_sets(&wanted);
        if (status < 0)
                return vg_fail(f, status, "set capabilities");
        status = set_ambient(a->at[4].number & known);
        if (status < 0)
                return vg_fail(f, status, "set ambient capabilities (each must be permitted and inheritable, too)");
        /* Fewer capabilities are changed credentials: the parent-death signal is gone, PR_SET_PDEATHSIG(2const). */
        if (prctl(PR_SET_KEEPCAPS, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return vg_fail(f, -errno, "set capabilities");
        return 0;
}
