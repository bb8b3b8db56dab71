#include "lib/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

static int read_proc(pid_t pid, const char *file, char *buffer, size_t size) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        ssize_t n = read(fd, buffer, size - 1);
        if (n < 0)
                return -errno;
        buffer[n] = 0;
        return 0;
}

/* A numeric field of /proc/PID/stat, counted from 1 (proc(5)). */
static int stat_field(pid_t pid, int wanted, uint64_t *ret_value) {
        char text[1024];
        int r = read_proc(pid, "stat", text, sizeof text);
        if (r < 0)
                return r;
        /* The name in field 2 may hold spaces and parentheses of its own: the fields are counted from the last one. */
        char *at = strrchr(text, ')');
        for (int field = 2; at && field < wanted; field++)
                at = strchr(at + 1, ' ');
        if (!at)
                return -EBADMSG;
        *ret_value = strtoull(at + 1, NULL, 10);
        return 0;
}

int vg_proc_start_time(pid_t pid, uint64_t *ret_ticks) {
        return stat_field(pid, 22, ret_ticks);
}

bool vg_proc_is_exiting(pid_t pid) {
        uint64_t flags;
        return stat_field(pid, 9, &flags) < 0 || (flags & 0x4 /* PF_EXITING of linux/sched.h */);
}

int vg_proc_comm(pid_t pid, char ret_comm[VG_COMM_SIZE]) {
        char text[VG_COMM_SIZE + 2];
        int r = read_proc(pid, "comm", text, sizeof text);
        if (r < 0)
                return r;
        text[strcspn(text, "\n")] = 0;
        snprintf(ret_comm, VG_COMM_SIZE, "%.15s", text);
        return 0;
}
