/* VG_OP_RUN, and what programs need and leave: VG_OP_FILE, VG_OP_SWEEP. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/host.h"
#include "runtime/program.h"

int vg_host_run_program(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        const struct vg_program program = {
                .argv = a->at[0].strings,
                .input = a->at[1].bytes,
                .log = a->at[2].string,
                .timeout_ms = (uint32_t)a->at[3].number,
        };
        const struct vg_program_io io = {.watched = -1};
        int status = vg_program_run(&program, &io, f);
        if (program.log[0])
                (void)unlink(program.log); /* read by now, or never made */
        return status;
}

int vg_host_sweep(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        const char *path = a->at[0].string;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : vg_fail(f, -errno, "sweep %s", path);
        _cleanup_closedir_ DIR *d = fdopendir(fd);
        if (!d)
                return vg_fail(f, -errno, "sweep %s", path);
        TAKE_FD(fd);
        for (struct dirent *entry; (entry = readdir(d));)
                if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                    unlinkat(dirfd(d), entry->d_name, 0) < 0 && errno != ENOENT)
                        return vg_fail(f, -errno, "sweep %s/%s", path, entry->d_name);
        return rmdir(path) < 0 && errno != ENOENT ? vg_fail(f, -errno, "sweep %s", path) : 0;
}

int vg_host_file(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        const char *path = a->at[0].string;
        struct vg_bytes content = a->at[2].bytes;
        if (unlink(path) < 0 && errno != ENOENT)
                return vg_fail(f, -errno, "make file %s", path);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)(a->at[1].number & 07777));
        if (fd < 0)
                return vg_fail(f, -errno, "make file %s", path);
        while (content.size > 0) {
                ssize_t n = write(fd, content.data, content.size);
                if (n < 0 && errno != EINTR) {
                        int status = -errno;
                        (void)unlink(path);
                        return vg_fail(f, status, "make file %s", path);
                }
                content.data += n > 0 ? n : 0;
                content.size -= n > 0 ? (size_t)n : 0;
        }
        return 0;
}
