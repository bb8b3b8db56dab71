/* Carrying plans out, in processes that the core forks. Nothing here decides: the plan says all.
 *
 * The channel is a SOCK_SEQPACKET pair; the helper (and the container's child, until its execve closes it) holds one end, the
 * core the other. Messages, first byte is the tag:
 *
 *   helper -> core  'c'                    the host ops are done, cgroups exist: arm the watch and answer 'g'
 *   helper -> core  'i' + 9 x i8 index     SCM_RIGHTS: the stream fds; index into them for each member of struct vg_stream_fds
 *                                          in its order (without pty and logger: in_fifo in_keep in_pipe out_pipe out_sink
 *                                          out_keep err_pipe err_sink err_keep), -1 absent
 *   helper -> core  'l' + u32 pid          the logger's pid (its parent becomes the core when the helper ends)
 *   helper -> core  'p' + u32 pid          the child exists (its parent is the core: CLONE_PARENT) and is in its cgroup
 *   child  -> core  't'                    SCM_RIGHTS: the pty master
 *   child  -> core  'r'                    ready: waits for 's'
 *   child  -> core  'x'                    about to execve; then EOF means that it succeeded
 *   any    -> core  'e' + i32 status + u32 op + message (rest)   failed; the sender exits
 *   core   -> helper 'g'                   go on (after 'c')
 *   core   -> child  's'                   start
 *
 * Without a core (solo/) an init has no channel to wait at: whoever connects to its listener takes the core's part from 's' on.
 * A birth by an OCI runtime has no child that speaks, and no 'c': after 'p' the helper waits for 'g', and its end with status 0
 * says that the process is there. Its 'p' carries the text of /proc/PID/cgroup behind the pid of an init.
 *
 * A helper that ends without 'e' was killed. On failure the helper itself undoes its host ops before it sends 'e'.
 * Op indices count host ops first, then child ops.
 */
#ifndef VG_RUNTIME_H
#define VG_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire.h"
#include "runtime/criu.h"
#include "runtime/program.h"

#define VG_COMM_BEFORE_EXEC "vigil:init" /* comm of a child until execve changes it: how a death before execve is told */

#define VG_PRESERVED_MAX 64

struct vg_stream_spec {
        uint8_t kind; /* enum vg_stream */
        char *path;
};

/* struct oci_birth of vigil.h, decoded. */
struct vg_oci {
        struct vg_program program, undo; /* undo.argv[0] NULL: none */
        char *pid_file, *console;        /* console "": no terminal */
        char **files;
        bool runs; /* needs no start */
};

/* struct restore of vigil.h, decoded. */
struct vg_restore {
        struct vg_criu criu;
        char *root, **inherited, **directories, **files;
        struct vg_bytes undo;
};

struct vg_join {
        uint64_t flag;
        char *path;
};

/* struct birth of vigil.h, decoded. */
struct vg_birth {
        char *container, *exec, *teardown;
        bool terminal;
        uint32_t io_uid, io_gid, io_timeout_ms;
        struct vg_stream_spec streams[3];
        char **logger_argv, **logger_env;
        bool logger_must_ready;
        struct vg_bytes script;
        uint8_t watch;
        char *watch_cgroup, **held, **snapshot;
        uint64_t clone_flags;
        struct vg_join *joins;
        uint32_t n_joins;
        uint64_t init_namespaces;
        uint8_t cgroup;
        char **cgroup_directories;
        struct vg_bytes ops;
        struct vg_oci *oci; /* NULL: the child is made here, or restored: */
        struct vg_restore *restore;
        /* Not of the plan, but of who carries it out: */
        int listener;       /* >= 0: the init does not wait for its channel's 's' but for who connects here, and speaks to that */
        uint32_t preserved; /* so many descriptors from 3 on are left to the process */
};

/* Borrows script and ops from the payload; the strings are copies. -EBADMSG on anything malformed. */
int vg_birth_decode(struct vg_reader *r, struct vg_birth *ret_birth);
/* The same with struct oci_birth behind it, whose inputs are borrowed, too. */
int vg_birth_decode_oci(struct vg_reader *r, struct vg_birth *ret_birth);
/* With struct restore behind it. */
int vg_birth_decode_restore(struct vg_reader *r, struct vg_birth *ret_birth);
void vg_birth_done(struct vg_birth *birth);

/* Both run in a freshly forked child of the core and never return. `init_pidfd` is the init's for an exec, else -1. */
_Noreturn void vg_birth_run(const struct vg_birth *birth, int init_pidfd, int channel);
/* Sends 'e' on failure (after undoing if asked), exits 0 with no message on success. */
_Noreturn void vg_script_run(struct vg_bytes ops, bool undo, int channel);

#endif
