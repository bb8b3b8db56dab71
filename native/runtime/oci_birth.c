#include "runtime/oci_birth.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/adoption.h"
#include "runtime/oci_console.h"
#include "runtime/program.h"

static int read_pid(const char *path, pid_t *ret_pid, struct vg_failure *f) {
        long pid = 0;
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        if (!file)
                return vg_fail(f, -errno, "read the runtime's pid file %s", path);
        if (fscanf(file, "%ld", &pid) != 1 || pid <= 0 || pid > INT32_MAX)
                return vg_fail_words(f, -EBADMSG, "the runtime's pid file %s holds no pid", path);
        int status = vg_adoption_check((pid_t)pid, f);
        if (status == 0)
                *ret_pid = (pid_t)pid;
        return status;
}

static int run(const struct vg_birth *birth, struct vg_streams *streams, int channel, pid_t *ret_pid, struct vg_failure *f) {
        const struct vg_oci *oci = birth->oci;
        struct vg_oci_console console;
        int status = vg_oci_console_listen(oci->console, channel, &console, f);
        if (status < 0)
                return status;
        const struct vg_program_io io = {
                /* With a terminal the runtime's own output is nobody's but ours. */
                .stdio = birth->terminal ? NULL : streams->container,
                .watched = console.listener,
                .ready = vg_oci_console_take,
                .owner = &console,
        };
        status = vg_program_run(&oci->program, &io, f);
        /* It may have ended right after it sent. */
        if (status == 0 && console.listener >= 0)
                status = vg_oci_console_take(&console, f);
        status = status > 0 ? 0 : status;
        if (status == 0 && oci->console[0] && !console.passed)
                status = vg_fail_words(f, -ENODATA, "%s sent no terminal", oci->program.argv[0]);
        vg_closep(&console.listener);
        /* Only the container may hold its ends of the pipes. */
        for (int i = 0; i < 3; i++)
                vg_closep(&streams->container[i]);
        return status < 0 ? status : read_pid(oci->pid_file, ret_pid, f);
}

static void undo(const struct vg_oci *oci, pid_t pid) {
        const struct vg_program_io io = {.watched = -1};
        struct vg_failure ignored = {0}; /* what failed first is told */
        /* While this birth is under way the core reaps no child that it does not know: the number is still this process's. */
        if (pid > 0)
                kill(pid, SIGKILL);
        if (oci->undo.argv[0])
                (void)vg_program_run(&oci->undo, &io, &ignored);
}

int vg_oci_birth(const struct vg_birth *birth, struct vg_streams *streams, int channel, struct vg_failure *f) {
        pid_t pid = 0;
        int status = run(birth, streams, channel, &pid, f);
        if (status == 0)
                status = vg_adoption(birth, channel, pid, f);
        if (status < 0)
                undo(birth->oci, pid);
        for (char **file = birth->oci->files; *file; file++)
                (void)unlink(*file); /* one that the runtime has not made */
        return status;
}
