/* Labels, as far as a machine without a security module shows them: the file's attribute, and that a refused one is an error. */
#include <sys/xattr.h>

#include "runtime_bed.h"

static void file(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        char path[256], label[64] = "";
        put_root(&p.ops, bed);
        OP(&p.ops, VG_OP_FILE_LABEL, 0, "ss", "/dev/shm", "system_u:object_r:x_t:s0");
        put_pivot(&p.ops);
        put_program(&p.ops, ARGV("true"));
        plan_streams(&p, bed);
        birth_begin(&b, &p, -1);
        if (birth_run(&b) != 'r')
                bed_fail(__FILE__, __LINE__, "not ready: %s", b.message);
        snprintf(path, sizeof path, "/proc/%d/root/dev/shm", (int)b.child);
        CHECK(getxattr(path, "security.selinux", label, sizeof label - 1) > 0);
        CHECK_STR(label, "system_u:object_r:x_t:s0");
        birth_start(&b);
        CHECK_INT(reap(b.helper), 0);
        CHECK_INT(birth_receive(&b), 'x');
        CHECK_INT(birth_run(&b), 0);
        CHECK_INT(reap(b.child), 0);
        birth_done(&b);
}

static void refused(struct bed *bed, const char *attribute, const char *older, int status, const char *words) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        put_root(&p.ops, bed);
        put_pivot(&p.ops);
        OP(&p.ops, VG_OP_LABEL, 0, "sss", attribute, older, "exec p");
        plan_streams(&p, bed);
        birth_begin(&b, &p, -1);
        CHECK_INT(birth_run(&b), 'e');
        CHECK_STR(b.message, words);
        CHECK_INT(b.status, status);
        CHECK_INT(WEXITSTATUS(reap(b.helper)), 1);
        (void)reap(b.child);
        birth_done(&b);
}

int main(void) {
        struct bed bed;
        bed_needs();
        bed_make(&bed);
        file(&bed);
        refused(&bed, "nosuch/exec", "", -ENOENT,
                "write \"exec p\" to the security attribute nosuch/exec: No such file or directory");
        if (access("/sys/kernel/security/apparmor", F_OK) == 0 || access("/sys/fs/selinux/enforce", F_OK) == 0)
                printf("not tested: the words without a security module (this machine has one)\n");
        else if (access("/proc/self/attr/exec", F_OK) == 0)
                refused(&bed, "nosuch/exec", "exec", -EINVAL,
                        "write \"exec p\" to the security attribute nosuch/exec: Invalid argument");
        bed_done(&bed);
        return 0;
}
