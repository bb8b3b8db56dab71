/* System calls that the C library has no wrapper for (glibc 2.36 lacks openat2 and clone3), as 0 or more / -errno. */
#ifndef VG_RUNTIME_SYS_H
#define VG_RUNTIME_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int vg_sys(long result) {
        return result < 0 ? -errno : (int)result;
}

static inline int vg_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
        struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};
        return vg_sys(syscall(SYS_openat2, directory, path, &how, sizeof how));
}

static inline int vg_pidfd_open(pid_t pid) {
        return vg_sys(syscall(SYS_pidfd_open, pid, 0));
}

static inline int vg_pidfd_signal(int pidfd, int signal) {
        return vg_sys(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}

static inline int vg_close_range(unsigned first, unsigned last) {
        return vg_sys(syscall(SYS_close_range, first, last, 0));
}

struct mount_attr;
/* The size of the first version of struct mount_attr, which a kernel of any later one takes, mount_setattr(2). */
#define VG_MOUNT_ATTR_SIZE 32

static inline int vg_mount_setattr(int fd, unsigned flags, struct mount_attr *attributes) {
        return vg_sys(syscall(SYS_mount_setattr, fd, "", flags | AT_EMPTY_PATH, attributes, (size_t)VG_MOUNT_ATTR_SIZE));
}

static inline pid_t vg_clone3(struct clone_args *args) {
        return vg_sys(syscall(SYS_clone3, args, sizeof *args));
}

#endif
