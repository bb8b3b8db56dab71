/* What /proc says of a process. */
#ifndef VG_PROC_H
#define VG_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Start time in clock ticks since boot (proc(5), stat field 22): with the pid it names a process for good. Works for a zombie. */
int vg_proc_start_time(pid_t pid, uint64_t *ret_ticks);

/* Past the point of no return (do_exit in the kernel), a zombie, or gone: it will do nothing any more, though its descriptors may
 * still be closing: releasing an inotify instance alone waits for milliseconds. */
bool vg_proc_is_exiting(pid_t pid);

#define VG_COMM_SIZE 16 /* TASK_COMM_LEN */
int vg_proc_comm(pid_t pid, char ret_comm[VG_COMM_SIZE]);

#endif
