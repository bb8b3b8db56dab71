/* The teardown record: what has to be undone of a container, in lines that C can carry out without Node and without the bundle.
 * The daemon composes it, the core adds the pid and the journal, `delete` carries it out.
 *
 *   vigil-teardown 1
 *   pid PID STARTTIME               the init: pid and start time in clock ticks name one process
 *   cgroup VERSION DIRECTORY        every cgroup of the container
 *   memory VERSION FILE KEY COUNT   FILE's KEY counts OOM kills; COUNT of them have become facts
 *   mount PATH                      everything at or below is unmounted
 *   unlink PATH
 *   hook HEX                        a poststop hook: the payload of VG_OP_HOOK
 *   runtime WORD                    one word of a command that ends the container, run first; a line for each
 *   directory PATH                  a directory of files
 *   journal FILE
 *   counted-fact SEQ                the last fact whose kills are in COUNT: later ones are in the journal only
 */
#ifndef VG_TEARDOWN_H
#define VG_TEARDOWN_H

#include <stdint.h>
#include <sys/types.h>

#define VG_TEARDOWN_MAX (1u << 20) /* bytes */

struct vg_teardown {
        char *text; /* owned; the paths below point into it */
        pid_t pid;  /* 0: none was born */
        uint64_t start_time;
        const char **cgroups, **mounts, **unlinks, **hooks, **runtime, **directories; /* NULL-terminated, owned arrays */
        int memory_version;                                                           /* 0: no counter */
        const char *memory_file, *memory_key, *journal;
        uint64_t memory_count, counted_fact;
};

/* -ENOENT: no record. -EBADMSG: a line that is none of the above, or another version. */
int vg_teardown_read(const char *path, struct vg_teardown *ret_teardown);
void vg_teardown_done(struct vg_teardown *t);

#endif
