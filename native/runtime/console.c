/* VG_OP_CONSOLE: a terminal out of the container's own devpts. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/message.h"
#include "runtime/mount.h"
#include "runtime/root.h"

/* TTYAUX_MAJOR; minor 2 is ptmx. */
#define PTMX makedev(5, 2)

/* Looked at before it is opened for reading: what an image has put there could do something when opened. */
static int open_ptmx(struct vg_child *c, const char *path, int *ret_fd) {
        _cleanup_close_ int handle = -1;
        int status = vg_root_open(c->root, path, O_PATH, &handle);
        if (status < 0)
                return status;
        struct stat st;
        if (fstat(handle, &st) < 0)
                return -errno;
        if (!S_ISCHR(st.st_mode) || st.st_rdev != PTMX)
                return -ENODEV;
        _cleanup_close_ int fd = -1;
        status = vg_root_open(c->root, path, O_RDWR | O_NOCTTY, &fd);
        if (status < 0)
                return status;
        struct stat opened;
        if (fstat(fd, &opened) < 0)
                return -errno;
        if (opened.st_dev != st.st_dev || opened.st_ino != st.st_ino)
                return -ESTALE;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int open_pair(struct vg_child *c, int *ret_master, int *ret_slave) {
        _cleanup_close_ int master = -1;
        int status = open_ptmx(c, "dev/pts/ptmx", &master);
        if (status == -ENOENT)
                status = open_ptmx(c, "dev/ptmx", &master);
        if (status < 0)
                return status;
        int unlocked = 0;
        if (ioctl(master, TIOCSPTLCK, &unlocked) < 0)
                return -errno;
        /* Linux 4.13: the slave of this very master, not what a path /dev/pts/N says (CVE-2024-21626's family). */
        _cleanup_close_ int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave < 0)
                return -errno;
        *ret_master = TAKE_FD(master);
        *ret_slave = TAKE_FD(slave);
        return 0;
}

static int put_on_console(struct vg_child *c, int slave) {
        _cleanup_found_ struct vg_found found = VG_FOUND_NONE;
        int status = vg_root_find_target(c->root, "dev/console", VG_MISSING_FILE, &found);
        return status < 0 ? status : vg_mount_on(c->proc, NULL, slave, found.fd, NULL, MS_BIND, NULL);
}

int vg_child_console(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        struct winsize size = {.ws_col = (unsigned short)a->at[0].number, .ws_row = (unsigned short)a->at[1].number};
        _cleanup_close_ int master = -1, slave = -1;
        int status = open_pair(c, &master, &slave);
        if (status < 0)
                return vg_fail(f, status, "open a terminal in the container");
        if (size.ws_col && size.ws_row && ioctl(slave, TIOCSWINSZ, &size) < 0)
                return vg_fail(f, -errno, "set the size of the terminal");
        if (!c->birth->exec[0]) {
                status = put_on_console(c, slave);
                if (status < 0)
                        return vg_fail(f, status, "mount the terminal at /dev/console");
        }
        if (ioctl(slave, TIOCSCTTY, 0) < 0)
                return vg_fail(f, -errno, "make the terminal the controlling one");
        for (int fd = 0; fd < 3; fd++)
                if (dup2(slave, fd) < 0)
                        return vg_fail(f, -errno, "put the terminal in place");
        status = vg_message_send(c->channel, "t", 1, &master, 1);
        return status < 0 ? vg_fail(f, status, "hand the terminal over") : 0;
}
