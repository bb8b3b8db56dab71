#include "runtime/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/sys.h"

#define SELF "/proc/self/exe"
#define MARK "VIGIL_SEALED" /* in the environment of the second run: against executing for ever */
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static bool is_sealed(void) {
        struct statvfs fs;
        _cleanup_close_ int self = open(SELF, O_RDONLY | O_CLOEXEC);
        if (self < 0)
                return false;
        if (fstatvfs(self, &fs) == 0 && (fs.f_flag & ST_RDONLY))
                return true;
        int seals = fcntl(self, F_GET_SEALS);
        return seals >= 0 && (seals & SEALS) == SEALS;
}

/* Linux 5.12, and CAP_SYS_ADMIN. Costs no memory: the page cache is the file's. */
static int mount_readonly(int *ret_fd) {
        struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};
        _cleanup_close_ int fd = vg_sys(syscall(SYS_open_tree, AT_FDCWD, SELF, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
        if (fd < 0)
                return fd;
        int status = vg_sys(syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes));
        if (status < 0)
                return status;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int copy_sealed(int *ret_fd) {
        _cleanup_close_ int self = open(SELF, O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int copy = memfd_create("vigil-core", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        struct stat st;
        if (self < 0 || copy < 0 || fstat(self, &st) < 0)
                return -errno;
        for (off_t done = 0; done < st.st_size;) {
                ssize_t size = sendfile(copy, self, &done, (size_t)(st.st_size - done));
                if (size < 0)
                        return -errno;
                if (size == 0)
                        return -EIO;
        }
        if (fchmod(copy, 0500) < 0 || fcntl(copy, F_ADD_SEALS, SEALS) < 0)
                return -errno;
        *ret_fd = TAKE_FD(copy);
        return 0;
}

int vg_seal_self(char **argv) {
        bool second = getenv(MARK) != NULL;
        (void)unsetenv(MARK);
        if (is_sealed()) {
                /* execveat(2) by descriptor leaves the descriptor's number as the name. */
                const char *slash = argv[0] ? strrchr(argv[0], '/') : NULL;
                if (second && argv[0])
                        (void)prctl(PR_SET_NAME, slash ? slash + 1 : argv[0]);
                return 0;
        }
        if (second)
                return -ELOOP;
        _cleanup_close_ int fd = -1;
        int status = mount_readonly(&fd);
        if (status < 0)
                status = copy_sealed(&fd);
        if (status < 0)
                return status;
        if (setenv(MARK, "1", 1) < 0)
                return -errno;
        status = vg_sys(syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH));
        (void)unsetenv(MARK);
        return status;
}
