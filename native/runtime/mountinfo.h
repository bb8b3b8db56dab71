/* /proc/self/mountinfo, proc_pid_mountinfo(5). */
#ifndef VG_RUNTIME_MOUNTINFO_H
#define VG_RUNTIME_MOUNTINFO_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

struct vg_mountinfo {
        char path[PATH_MAX]; /* mount point, its octal escapes undone */
        char type[64];
};

/* `proc` as of vg_proc_open(). */
int vg_mountinfo_open(int proc, FILE **ret_file);
/* 1 with the next mount, 0 at the end. A path too long to be used (longer than PATH_MAX) is passed over. */
int vg_mountinfo_next(FILE *file, struct vg_mountinfo *ret_line);
/* `path` is `top` or lies below it. */
bool vg_path_is_below(const char *path, const char *top);

#endif
