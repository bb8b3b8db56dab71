#include "runtime/adoption.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/message.h"

#define CGROUPS_MAX 12288 /* bytes of /proc/PID/cgroup: room for a dozen hierarchies with long paths */

/* Read here, while the process cannot be reaped yet: later its number may be another's. Nothing when it cannot be read. */
static size_t read_cgroups(pid_t pid, char *text, size_t size) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        return file ? fread(text, 1, size, file) : 0;
}

/* A child of the core, as we are: a runtime's orphans come to it. */
static bool is_sibling(pid_t pid) {
        char path[64], text[512], state;
        int parent;
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        const char *behind_comm = file && fgets(text, sizeof text, file) ? strrchr(text, ')') : NULL;
        return behind_comm && sscanf(behind_comm + 1, " %c %d", &state, &parent) == 2 && parent == getppid();
}

int vg_adoption_check(pid_t pid, struct vg_failure *f) {
        return is_sibling(pid) ? 0
                               : vg_fail_words(f, -ECHILD, "process %d, which the runtime made, is no child of vigil's", (int)pid);
}

/* What the core may say to 'p' is 'g'; it says nothing when it has given the birth up. */
int vg_adoption(const struct vg_birth *birth, int channel, pid_t pid, struct vg_failure *f) {
        char tag = 0, message[1 + sizeof(uint32_t) + CGROUPS_MAX] = {'p'};
        uint32_t number = (uint32_t)pid;
        size_t size = 1 + sizeof number;
        memcpy(message + 1, &number, sizeof number);
        if (birth->oci && !birth->exec[0])
                size += read_cgroups(pid, message + size, CGROUPS_MAX);
        int status = vg_message_send(channel, message, size, NULL, 0);
        if (status == 0)
                status = vg_message_receive(channel, &tag, NULL);
        if (status == 0 && tag != 'g')
                status = -EPROTO;
        return status < 0 ? vg_fail(f, status, "talk to the core") : 0;
}
