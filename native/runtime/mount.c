#include "runtime/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "lib/cleanup.h"
#include "runtime/sys.h"

#define PROC_ROOT_INODE 1 /* PROC_ROOT_INO of the kernel: a bind of a deeper directory of proc has another one */
#define FD_PATH_SIZE sizeof("self/fd/-2147483648")

/* Those that a less privileged mount namespace cannot take off, mount_namespaces(7). */
#define LOCKABLE (MS_RDONLY | MS_NODEV | MS_NOEXEC | MS_NOSUID | ATIME)
#define ATIME (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)

int vg_proc_open(int *ret_proc) {
        _cleanup_close_ int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct statfs fs;
        struct stat st;
        if (proc < 0 || fstatfs(proc, &fs) < 0 || fstat(proc, &st) < 0)
                return -errno;
        if (fs.f_type != PROC_SUPER_MAGIC || st.st_ino != PROC_ROOT_INODE)
                return -EXDEV;
        *ret_proc = TAKE_FD(proc);
        return 0;
}

int vg_proc_write(int proc, const char *path, const char *value) {
        /* RESOLVE_NO_XDEV: nothing mounted inside of /proc. The one symbolic link that may be followed is "self". */
        char own[PATH_MAX];
        if (strncmp(path, "self/", 5) == 0) {
                char link[32];
                ssize_t size = readlinkat(proc, "self", link, sizeof link - 1);
                if (size < 0)
                        return -errno;
                link[size] = 0;
                if (snprintf(own, sizeof own, "%s/%s", link, path + 5) >= (int)sizeof own)
                        return -ENAMETOOLONG;
                path = own;
        }
        _cleanup_close_ int fd =
                vg_openat2(proc, path, O_WRONLY | O_CLOEXEC, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
        if (fd < 0)
                return fd;
        ssize_t size = write(fd, value, strlen(value));
        return size < 0 ? -errno : 0;
}

static void fd_path(char path[FD_PATH_SIZE], int fd) {
        snprintf(path, FD_PATH_SIZE, "self/fd/%d", fd);
}

int vg_mount_on(int proc, const char *source, int source_fd, int target, const char *type, uint64_t flags, const char *data) {
        char from[FD_PATH_SIZE], to[FD_PATH_SIZE];
        fd_path(to, target);
        if (source_fd >= 0) {
                fd_path(from, source_fd);
                source = from;
        }
        if (fchdir(proc) < 0)
                return -errno;
        int status = mount(source, to, type, (unsigned long)flags, data) < 0 ? -errno : 0;
        if (chdir("/") < 0 && status == 0)
                status = -errno;
        return status;
}

int vg_mount_from(int directory, const char *source, int target, const char *type, uint64_t flags, const char *data) {
        char to[sizeof("/proc/") + FD_PATH_SIZE] = "/proc/";
        fd_path(to + strlen(to), target);
        if (directory >= 0 && fchdir(directory) < 0)
                return -errno;
        int status = mount(source, to, type, (unsigned long)flags, data) < 0 ? -errno : 0;
        if (directory >= 0 && chdir("/") < 0 && status == 0)
                status = -errno;
        return status;
}

int vg_unmount_from(int proc, int target, int flags) {
        char path[FD_PATH_SIZE];
        fd_path(path, target);
        if (fchdir(proc) < 0)
                return -errno;
        int status = umount2(path, flags) < 0 ? -errno : 0;
        if (chdir("/") < 0 && status == 0)
                status = -errno;
        return status;
}

uint64_t vg_mount_flags_of(const struct statvfs *fs) {
        static const struct {
                unsigned long seen;
                uint64_t flag;
        } names[] = {
                {ST_RDONLY, MS_RDONLY},   {ST_NOSUID, MS_NOSUID},         {ST_NODEV, MS_NODEV},       {ST_NOEXEC, MS_NOEXEC},
                {ST_NOATIME, MS_NOATIME}, {ST_NODIRATIME, MS_NODIRATIME}, {ST_RELATIME, MS_RELATIME},
        };
        uint64_t flags = 0;
        for (size_t i = 0; i < VG_COUNT(names); i++)
                if (fs->f_flag & names[i].seen)
                        flags |= names[i].flag;
        return flags;
}

int vg_mount_flags(int proc, int target, uint64_t flags, uint64_t clear) {
        uint64_t wanted = (flags & ~(uint64_t)(MS_REC | VG_MOUNT_PROPAGATION)) | MS_REMOUNT | MS_BIND;
        int status = vg_mount_on(proc, NULL, -1, target, NULL, wanted, NULL);
        if (status != -EPERM)
                return status;
        /* What the mount has and the plan does not mention may be locked: keep it, as mount(8) does. */
        struct statvfs fs;
        if (fstatvfs(target, &fs) < 0)
                return -errno;
        uint64_t locked = vg_mount_flags_of(&fs) & LOCKABLE;
        if (locked & clear)
                return -EPERM;
        if (wanted & ATIME)
                locked &= ~(uint64_t)ATIME;
        return vg_mount_on(proc, NULL, -1, target, NULL, wanted | locked, NULL);
}

int vg_mount_propagation(int proc, int target, uint64_t propagation) {
        /* Slave before shared: a mount that is both gets events and passes them on. */
        static const uint64_t types[] = {MS_PRIVATE, MS_UNBINDABLE, MS_SLAVE, MS_SHARED};
        for (size_t i = 0; i < VG_COUNT(types); i++) {
                if (!(propagation & types[i]))
                        continue;
                int status = vg_mount_on(proc, NULL, -1, target, NULL, types[i] | (propagation & MS_REC), NULL);
                if (status < 0)
                        return status;
        }
        return 0;
}
