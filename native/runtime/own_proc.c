/* A /proc that shows the own pid namespace alone, mounted nowhere. */
#include <fcntl.h>
#include <linux/mount.h>

#include "lib/cleanup.h"
#include "runtime/mount.h"
#include "runtime/sys.h"

int vg_proc_mount_own(int *ret_proc) {
        _cleanup_close_ int fs = vg_sys(syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC));
        if (fs < 0)
                return fs;
        int status = vg_sys(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
        if (status < 0)
                return status;
        int proc = vg_sys(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0));
        if (proc < 0)
                return proc;
        *ret_proc = proc;
        return 0;
}
