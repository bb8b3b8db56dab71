#include "runtime/oci_birth.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/message.h"
#include "runtime/oci_console.h"
#include "runtime/program.h"

#define CGROUPS_MAX 12288 /* bytes of /proc/PID/cgroup: room for a dozen hierarchies with long paths */

/* Read here, while the process cannot be reaped yet: later its number may be another's. Nothing when it cannot be read. */
static size_t read_cgroups(pid_t pid, char *text, size_t size) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        return file ? fread(text, 1, size, file) : 0;
}

/* What the core may say to 'p' is 'g'; it says nothing when it has given the birth up. */
static int hand_over(const struct vg_birth *birth, int channel, pid_t pid, struct vg_failure *f) {
        char tag = 0, message[1 + sizeof(uint32_t) + CGROUPS_MAX] = {'p'};
        uint32_t number = (uint32_t)pid;
        size_t size = 1 + sizeof number;
        memcpy(message + 1, &number, sizeof number);
        if (!birth->exec[0])
                size += read_cgroups(pid, message + size, CGROUPS_MAX);
        int status = vg_message_send(channel, message, size, NULL, 0);
        if (status == 0)
                status = vg_message_receive(channel, &tag, NULL);
        if (status == 0 && tag != 'g')
                status = -EPROTO;
        return status < 0 ? vg_fail(f, status, "talk to the core") : 0;
}

/* A child of the core, as we are: a runtime's orphans come to it. Another's process is neither watched nor killed. */
static bool is_sibling(pid_t pid) {
        char path[64], text[512], state;
        int parent;
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        const char *behind_comm = file && fgets(text, sizeof text, file) ? strrchr(text, ')') : NULL;
        return behind_comm && sscanf(behind_comm + 1, " %c %d", &state, &parent) == 2 && parent == getppid();
}

static int read_pid(const char *path, pid_t *ret_pid, struct vg_failure *f) {
        long pid = 0;
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        if (!file)
                return vg_fail(f, -errno, "read the runtime's pid file %s", path);
        if (fscanf(file, "%ld", &pid) != 1 || pid <= 0 || pid > INT32_MAX)
                return vg_fail_words(f, -EBADMSG, "the runtime's pid file %s holds no pid", path);
        if (!is_sibling((pid_t)pid))
                return vg_fail_words(f, -ECHILD, "process %ld, which the runtime made, is no child of vigil's", pid);
        *ret_pid = (pid_t)pid;
        return 0;
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
                status = hand_over(birth, channel, pid, f);
        if (status < 0)
                undo(birth->oci, pid);
        for (char **file = birth->oci->files; *file; file++)
                (void)unlink(*file); /* one that the runtime has not made */
        return status;
}
