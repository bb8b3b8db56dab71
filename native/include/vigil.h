/* The ABI between vigil-core and the vigil daemon, on one page.
 *
 * Two sockets join them. The stream socket carries records: a fixed header and a payload. The SEQPACKET socket carries file
 * descriptors, one SCM_RIGHTS message each with an eight-byte tag as its data; a descriptor is sent before the record that
 * names its tag, so a reader of the record finds it with one recvmsg(MSG_DONTWAIT).
 *
 * Payload encoding: little endian, packed, in the order written here. `str` and `bytes` are a u32 length and that many bytes
 * (no terminating zero); `list(T)` is a u32 count and the items; `bool` is a u8. Times are nanoseconds: `real` since
 * 1970 (CLOCK_REALTIME), `mono` as CLOCK_MONOTONIC. A status is 0 or -errno. Unknown trailing bytes of a payload are an
 * error: the version in the header says what is there.
 */
#ifndef VIGIL_H
#define VIGIL_H

#include <stdint.h>

#define VG_ABI_VERSION 1
#define VG_RECORD_MAX (16u << 20)       /* payload bytes; a longer record is a protocol error and ends the daemon */
#define VG_FRAME_MAX (4u << 20)         /* ttrpc: a longer frame is answered ResourceExhausted (ttrpc PROTOCOL.md) */
#define VG_KEY_MAX 192                  /* bytes of a key */
#define VG_REQUESTS_MAX 4096            /* unanswered requests of one connection ... */
#define VG_REQUEST_BYTES_MAX (8u << 20) /* ... and their bytes; beyond either: ResourceExhausted */
#define VG_KEPT_REPLIES_MAX 256         /* gRPC replies kept for a retry with the same vigil-request-id */
#define VG_RECEIPT_TIMEOUT_MS 5000      /* a record unacknowledged for so long: the daemon hangs and is killed */
#define VG_DAEMON_CHANNEL_FD 3          /* in the daemon: the stream of records */
#define VG_DAEMON_FDS_FD 4              /* in the daemon: the SEQPACKET socket */

struct vg_record_header {
        uint32_t length;  /* of the payload */
        uint16_t type;    /* VG_REC_... or VG_CMD_... */
        uint16_t version; /* VG_ABI_VERSION */
        uint32_t epoch;   /* granted in HELLO; a command of another epoch is refused with -ESTALE */
        uint32_t reserved;
        uint64_t number; /* core -> daemon: rises by one a record, for RECEIPT; daemon -> core: 0 */
};

/* Keys name a request, or one step of it ("KEY/step"): "t:BOOT:CONN:STREAM" for ttrpc, "g:REQUEST-ID" for gRPC,
 * "f:BOOT:SEQ" for what the daemon does because of a fact. The core does a keyed command once and keeps its result until the
 * key (without its step) is committed as finished; a command with a key that is running or done gets that same result. */

/* ---- core -> daemon. Hand-over after a start of the daemon: HELLO, STATE*, KEPT*, OUTBOX*, FACT*, REQUEST*, SYNCED. ---- */
enum vg_record {
        /* u32 abi, str boot_id, u32 epoch, str namespace, str group, str ttrpc_address, str grpc_address,
         * str containerd_binary, str bundle, str state_dir, u64 birth_real, u32 daemon_restarts, u32 core_pid, str address,
         * bytes start_options (what containerd gave `start` on stdin; may be empty), bool debug */
        VG_REC_HELLO = 1,
        /* str container, bytes blob: the last committed state of a container; "" is the state of the daemon as a whole, which
         * keeps the core from ending for want of work while the group's own id is registered */
        VG_REC_STATE = 2,
        /* str key, bytes reply: a committed gRPC reply */
        VG_REC_KEPT = 3,
        /* u64 seq, u64 fact, bytes entry: committed, not yet DELIVERED */
        VG_REC_OUTBOX = 4,
        /* u64 seq, u8 kind, ... : see enum vg_fact */
        VG_REC_FACT = 5,
        /* str key, u64 connection (0: held gRPC request), u64 age_ns, u32 deliveries (1 the first time), bool begun,
         * bytes data (the ttrpc Request message, or what HOLD gave) */
        VG_REC_REQUEST = 6,
        VG_REC_SYNCED = 7,
        /* str key, i32 status, u32 op (index of the failed op, else 0), str message, bytes data.
         * data: BIRTH: u32 pid; others empty */
        VG_REC_RESULT = 8,
        /* u64 connection: its parked and unbegun requests are dropped in the core; begun ones go on, replies discarded */
        VG_REC_CLOSED = 9,
        /* u64 tag: an HTTP/2 connection; its descriptor is on the SEQPACKET socket; peer already checked */
        VG_REC_CONNECTION = 10,
        /* str key, u64 first_seq: the commit is on disk; its outbox entries have the numbers first_seq, first_seq+1, ... */
        VG_REC_COMMITTED = 11,
        /* u32 signal: the core was asked to end (SIGTERM, SIGINT): finish as Shutdown does, if no container is left */
        VG_REC_TERMINATE = 12,
};

/* ---- facts: numbered from 1 a core, on disk before anything else sees them, replayed until a COMMIT covers them ---- */
enum vg_fact {
        /* str container, u32 pid, u64 real: the init is set up and waits for START */
        VG_FACT_CREATED = 1,
        /* str container, str exec (empty: init), u32 pid, u64 real: execve succeeded */
        VG_FACT_STARTED = 2,
        /* str container, u64 kills (new ones, > 0), u64 total (since the baseline), u64 real, u64 mono,
         * list(str path, bytes before, bytes after): the held counter files, own first, then ancestors, raw text;
         *   after is empty if it could no longer be read,
         * list(str path, bytes text): snapshot files that could be read,
         * list(str line): lines of /dev/kmsg since the last look that speak of OOM kills (oldest first, at most 64),
         * bool last (read at the init's exit), u32 init_pid, list(str exec, u32 pid): execs alive or just dead */
        VG_FACT_OOM = 3,
        /* str container, str exec, u32 pid, u32 exit_status (code, or 128 + signal), u32 signal (0: none), u64 real,
         * u64 max_rss_bytes, bool started (false: died before execve) */
        VG_FACT_EXITED = 4,
};

/* ---- daemon -> core ---- */
enum vg_command {
        /* u32 abi: hand-over processed, requests can come; resets the crash-loop count */
        VG_CMD_READY = 64,
        /* u64 number: every record up to this one has been taken from the socket and handed to its handler */
        VG_CMD_RECEIPT = 65,
        /* str key: execution begins; from here the request is finished even if its connection closes or its deadline passes */
        VG_CMD_BEGIN = 66,
        /* str key: only waits for a fact (Wait): never poison, dropped with its connection */
        VG_CMD_PARK = 67,
        /* str key, bytes data: a gRPC mutation to be replayed to the next daemon until it is committed; begun at once */
        VG_CMD_HOLD = 68,
        /* str key, struct birth (below) -> RESULT */
        VG_CMD_BIRTH = 69,
        /* str key, bytes ops (enum vg_host_op), bool undo (on failure undo what was made) -> RESULT */
        VG_CMD_SCRIPT = 70,
        /* str key, str container -> RESULT once execve succeeded or failed */
        VG_CMD_START = 71,
        /* str key, str container, str exec, u32 signal -> RESULT; -ESRCH: finished or unknown */
        VG_CMD_SIGNAL = 72,
        /* str key, str container, str exec, u16 columns, u16 rows -> RESULT; no terminal: 0 */
        VG_CMD_RESIZE = 73,
        /* str key, str container, str exec -> RESULT: close the core's write end of stdin */
        VG_CMD_CLOSE_STDIN = 74,
        /* str key, str container, str exec, u32 timeout_ms -> RESULT when all output has reached its reader's pipe or
         * file, -ETIMEDOUT otherwise; afterwards the streams are closed */
        VG_CMD_DRAIN = 75,
        /* str key, str container, str exec -> RESULT: forget an exec, or (exec empty) the container with its watch and its
         * teardown record. -EBUSY while a process of it lives */
        VG_CMD_FORGET = 76,
        /* str key, list(str container, bool present, bytes blob) states, list(u64 fact, bytes entry) outbox,
         * u64 facts_through (0: unchanged), bool reply_present, bytes reply, bool finished
         * All or nothing, on disk before COMMITTED. reply: the ttrpc Response message (the core adds the header), or the kept
         * gRPC reply of a "g:" key. finished: the key's request is answered, its kept results are dropped */
        VG_CMD_COMMIT = 77,
        /* u64 seq: outbox entries up to here have been taken by every consumer that counts */
        VG_CMD_DELIVERED = 78,
        /* no payload: no container is left and the reply is committed: take the group's lock, unlink the socket, flush, exit.
         * A container registered by a `start` meanwhile keeps the core alive */
        VG_CMD_SHUTDOWN = 79,
        /* str key, bytes reply: an answer that changes nothing (State, Pids, Stats, Wait ...): no journal record */
        VG_CMD_REPLY = 80,
        /* str key, struct birth, struct oci_birth -> RESULT as of BIRTH, the message of an init's is its /proc/PID/cgroup: an OCI runtime
         * makes the process and its cgroups. It has passed execve (an exec), or waits for OCI_START */
        VG_CMD_OCI_BIRTH = 84,
        /* str key, str container, bytes ops (enum vg_host_op) -> RESULT: their success is the start of an init that OCI_BIRTH made */
        VG_CMD_OCI_START = 85,
        /* str key, str container, u8 watch, str watch_cgroup, list(str) held, list(str) snapshot (as in struct birth), str teardown
         * (in place of the birth's) -> RESULT: of an init that OCI_BIRTH made; done already, or the init is dead: nothing happens */
        VG_CMD_WATCH = 86,
        /* str key, str sandbox, str network (path of a namespace; empty: the machine's), bool ipc, bool uts (of its own),
         * str hostname (empty: as it is) -> RESULT: the core enters the namespaces which the pod's containers join by its pid */
        VG_CMD_SANDBOX = 100,
        /* as OCI_BIRTH, of an init that is restored: it runs already, so its birth is its start */
        VG_CMD_OCI_RESTORE = 110,
        /* str key, struct birth, struct restore -> RESULT as of BIRTH, of an init that CRIU restores; it runs then */
        VG_CMD_RESTORE = 111,
};

/* ---- struct birth ----
 * str container, str exec (empty: init)
 * str teardown: lines for the teardown record (native/lib/teardown.h), written before anything is made; empty for an exec
 * bool terminal, u32 io_uid, u32 io_gid, u32 io_timeout_ms (opening FIFOs; then -ETIMEDOUT)
 * three times (stdin, stdout, stderr): u8 kind (enum vg_stream), str path
 * list(str) logger argv, list(str) logger environment, bool logger_must_ready   (kind VG_STREAM_LOGGER)
 * bytes script: enum vg_host_op, run first; undone in reverse order if the birth fails
 * u8 watch (0 none, 1 cgroup v1, 2 cgroup v2), str watch_cgroup (absolute directory), list(str) held, list(str) snapshot
 *      held: files with the counters; the first is the deciding one (memory.events, or v1 memory.oom_control)
 * u64 clone_flags (CLONE_NEW...), list(u64 flag, str path) joined namespaces, u64 init_namespaces (an exec: CLONE_NEW... flags
 *      of the init's namespaces to enter through its pidfd)
 * u8 cgroup (0 none, 1: v1, 2: v2), list(str) cgroup directories to be born in (v1: one a hierarchy; v2: one)
 * bytes ops: enum vg_child_op, run in the child in order
 */
/* struct program: list(str) argv, bytes input, str log, u32 timeout_ms: its output goes nowhere, unless it fails and its log (a file
 * that it was told of, or "") is empty; a failure is -EREMOTEIO, and the message is the last line of the log, or the output
 * struct oci_birth: struct program (ends when the process is there), struct program undo (run if the birth fails after it; no argv:
 *      none), str pid_file, str console_socket ("": no terminal), list(str) files (unlinked at the end). The birth has no watch, no
 *      cgroup and no child ops
 * struct criu: str program (looked for in PATH), u32 request (criu_req_type of CRIU's rpc.proto), bytes options (its criu_opts, without
 *      descriptors), str images, str work (directories), u32 timeout_ms: a failure is -EREMOTEIO, CRIU's log says more
 * struct restore: struct criu, str root (what the container's / is made of), list(str) inherited (three: what the images call
 *      descriptors 0, 1 and 2; "": nothing that is to be replaced by the container's end of a stream), list(str) directories, list(str)
 *      files (mount points, made in root if missing), bytes undo (host ops, run if CRIU fails). The birth has no cgroup and no child
 *      ops: CRIU puts processes where the options say */
enum vg_stream {
        VG_STREAM_NULL = 0,    /* /dev/null */
        VG_STREAM_PATH = 1,    /* a FIFO, or an existing regular file (append) */
        VG_STREAM_FILE = 2,    /* file://: made with its parents if missing, append */
        VG_STREAM_LOGGER = 3,  /* binary://: stdout on the logger's fd 3, stderr on 4, ready pipe on 5 */
        VG_STREAM_INHERIT = 4, /* the helper's own: of a command line that runs a container in the foreground */
};

/* Ops: u16 op, u16 flags, u32 length, payload. An op that fails ends the list with its index, unless VG_OP_OPTIONAL. */
#define VG_OP_OPTIONAL 1

enum vg_host_op {
        VG_OP_CGROUP_MKDIR = 1,    /* str root, str path: every missing directory below root; undo removes those made */
        VG_OP_CGROUP_INHERIT = 2,  /* str root, str path, str file: fill an empty file at each level from its parent (cpuset v1) */
        VG_OP_CGROUP_EMPTY = 3,    /* str path: fail with -EBUSY if a process is in it */
        VG_OP_WRITE = 4,           /* str path, bytes value: one write(2) to an existing file */
        VG_OP_CGROUP_KILL = 5,     /* list(str) paths: SIGKILL all processes below (cgroup.kill where it exists) and wait until none
                                   * is left that is not a zombie of ours, at most 10 s */
        VG_OP_CGROUP_SIGNAL = 6,   /* str path, u32 signal: every process below, repeated until no new one appears */
        VG_OP_CGROUP_FREEZE = 7,   /* u8 version, str path, bool frozen, u32 timeout_ms: write, then wait for the state */
        VG_OP_CGROUP_REMOVE = 8,   /* str path, u32 timeout_ms: remove the tree, waiting out EBUSY; absent is success */
        VG_OP_MOUNT = 9,           /* str type, str source, str root, str target (resolved inside root), u64 flags, u64 propagation,
                                   * str data; undo unmounts */
        VG_OP_UMOUNT_TREE = 10,    /* str path: everything mounted at or below, deepest first; EBUSY retried for 2.5 s */
        VG_OP_MKDIR = 11,          /* str path, u32 mode: parents too; undo removes those made */
        VG_OP_UNLINK = 12,         /* str path: absent is success */
        VG_OP_SIGNAL_PROCESS = 13, /* u32 pid, u64 start time (proc(5), clock ticks), u32 signal: -ESRCH when it has ended */
        VG_OP_CGROUP_DEVICES = 14, /* str path (version 2), bytes eBPF program of type CGROUP_DEVICE: attached beside others' */
        VG_OP_OWN_OOM_SCORE = 15,  /* i32: oom_score_adj of the helper, and with it of the child that it makes: for a helper
                                          * that may not write the files of a process in a user namespace */
        VG_OP_AWAIT_END = 16,      /* u32 pid, u64 start time (proc(5)), u32 timeout_ms: until that process has ended */
        VG_OP_DETACH = 17,         /* str path: takes away what is mounted on top there, with all that is mounted in it; nothing
                                    * mounted is success */
        VG_OP_HOOK = 20,           /* str name (for messages), str path, list(str) argv, list(str) environment, u32 timeout_ms (0:
                                   * none), str directory, str state (its standard input): fails unless it exits with 0 */
        VG_OP_INITIAL_CPU_AFFINITY = 21, /* bytes CPU mask: of the helper, and with it of the child that it makes */
        VG_OP_RUN = 25,                  /* struct program */
        VG_OP_SWEEP = 26,                /* str path: a directory of files goes with them; absent is success */
        VG_OP_FILE = 27,                 /* str path, u32 mode, bytes content: a new file, in place of an old one */
        VG_OP_CRIU = 30,                 /* struct criu */
};

enum vg_child_op {
        VG_OP_UNSHARE_CGROUP = 32,   /* after joining the cgroup: cgroup_namespaces(7) takes the root from it */
        VG_OP_HOSTNAME = 33,         /* str */
        VG_OP_DOMAINNAME = 34,       /* str */
        VG_OP_SYSCTL = 35,           /* str key (dots or slashes), str value */
        VG_OP_ROOT_PROPAGATION = 36, /* u64 MS_... flags applied to / of the new mount namespace */
        VG_OP_ROOTFS = 37, /* str path: must be a directory; bound onto itself, becomes the resolution root of what follows */
        VG_OP_BIND_OR_MOUNT = 38, /* str type ("bind" or a file system), str source, str target, u64 flags, u64 clear, u64
                                    * propagation, str data, bool source_is_host_path: target made if missing (file for a
                                    * file), resolved inside the root with openat2 */
        VG_OP_CGROUP_MOUNT = 39,  /* u8 version, str target, u64 flags, list(str name, str host_directory, str options): what
                                    * spec type "cgroup" means: v2 one mount; v1 a tmpfs with one (bind) mount a hierarchy, and
                                    * symlinks for co-mounted names */
        VG_OP_DEVICE = 40,        /* str path, u8 type ('c' 'b' 'p'), u32 major, u32 minor, u32 mode, u32 uid, u32 gid */
        VG_OP_SYMLINK = 41,       /* str target, str path: inside the root; an existing link with the same target is fine */
        VG_OP_CONSOLE = 42,       /* u16 columns, u16 rows (0: leave): open ptmx in the container, send the master, bind
                                    * the slave on /dev/console if init, make it stdin, stdout, stderr and the controlling terminal */
        VG_OP_PIVOT = 43,         /* bool no_pivot (MS_MOVE + chroot), u64 propagation of the new root (0: leave) */
        VG_OP_READONLY_ROOT = 44, /* remount / read-only, keeping its other flags */
        VG_OP_MASK = 45,          /* str path: file: /dev/null over it; directory: read-only tmpfs; absent: fine */
        VG_OP_READONLY_PATH = 46, /* str path: absent: fine */
        VG_OP_RLIMIT = 47,        /* u32 resource, u64 soft, u64 hard */
        VG_OP_OOM_SCORE_ADJ = 48, /* i32 */
        VG_OP_NEW_KEYRING = 49,   /* str name */
        VG_OP_UMASK = 50,         /* u32 */
        VG_OP_USER = 51,          /* u32 uid, u32 gid, list(u32) groups; keeps capabilities until VG_OP_CAPABILITIES */
        VG_OP_CAPABILITIES = 52,  /* u64 bounding, effective, inheritable, permitted, ambient */
        VG_OP_NO_NEW_PRIVS = 53,
        VG_OP_SECCOMP = 54,    /* bytes BPF program (struct sock_filter array), u32 flags of seccomp(2) */
        VG_OP_CWD = 55,        /* str: made if missing when absolute; afterwards must be inside the root */
        VG_OP_WAIT_START = 56, /* report ready, wait for START; the core's death ends the child */
        VG_OP_EXEC = 57,       /* list(str) argv, list(str) environment: searched in the PATH of that environment. Before
                                    * WAIT_START the same payload as VG_OP_FIND checks that it can be found */
        VG_OP_FIND = 58,       /* list(str) argv, list(str) environment: -ENOENT / -EACCES as execve would give */
        VG_OP_BRING_UP_LOOPBACK = 59,
        VG_OP_USER_MAP = 60,  /* str uid_map, str gid_map: the texts of user_namespaces(7) for the user namespace just made; then
                               * as VG_OP_USER_ROOT. The helper writes them, with the host's privileges */
        VG_OP_USER_ROOT = 61, /* become uid 0 and gid 0 of the user namespace entered, before anything is made in it */
        VG_OP_MOUNT_ATTRIBUTES = 62, /* str target, u64 set, u64 clear (MOUNT_ATTR_...): of the mount there and of all below it */
        VG_OP_TMPFS_COPY = 63,     /* str source, str target, u64 flags, u64 propagation, str data: a tmpfs with a copy of what the
                                * target holds */
        VG_OP_IDMAP_BIND = 64,     /* str source, str target, u64 flags, u64 clear, u64 propagation, str uid_map, str gid_map, bool
                                * recursive: bind a path of the host with ids shifted; both maps empty: as the container's user
                                * namespace has them. Made by the helper, as it takes the host's privileges */
        VG_OP_TIME_NAMESPACE = 65, /* str offsets: the text of /proc/PID/timens_offsets, may be empty */
        VG_OP_RUNTIME_HOOK = 70,   /* as VG_OP_HOOK, but str before, str after: the state's text around the child's pid. Run by the
                                    * birth's helper, in the core's namespaces, while the child waits; only before WAIT_START */
        VG_OP_CONTAINER_HOOK = 71, /* the same, run by the child; the pid is the one that it has in its pid namespace */
        VG_OP_SCHEDULER = 72,   /* u32 policy, u64 flags, i32 nice, u32 priority, u64 runtime, deadline, period: sched_setattr(2) */
        VG_OP_IO_PRIORITY = 73, /* u32 class, u32 level */
        VG_OP_PERSONALITY = 74, /* u64 */
        VG_OP_MEMORY_POLICY = 75,  /* u32 mode and flags, bytes node mask */
        VG_OP_CPU_AFFINITY = 76,   /* bytes CPU mask */
        VG_OP_LABEL = 77,          /* str attribute, str older name (empty: none), str value: below attr/ of its own /proc */
        VG_OP_FILE_LABEL = 78,     /* str path, str SELinux label */
        VG_OP_SECCOMP_NOTIFY = 79, /* bytes BPF program, u32 flags, str socket of the agent, list(str) parts: as VG_OP_SECCOMP, and
                                    * the birth's helper sends the listener to the agent with a message: the parts, the child's
                                    * pid between each two. Only before WAIT_START */
        VG_OP_USER_MAP_UNPRIVILEGED = 80, /* str uid_map, str gid_map, str newuidmap, str newgidmap: as VG_OP_USER_MAP by a helper
                                           * without the host's privileges: each map is written by that program (newuidmap(1)), or where
                                           * there is none by the helper itself, which gives setgroups(2) up if it must */
        VG_OP_ROOT = 81,                  /* str path: becomes the resolution root of what follows, as it is */
        VG_OP_CHROOT = 82, /* chroot(2) to the resolution root: without a mount namespace there is no other root to be had */
};

#endif
