#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "launcher/publish.h"
#include "launcher/registry.h"
#include "launcher/verbs.h"
#include "lib/cleanup.h"
#include "lib/oom_count.h"
#include "lib/proc.h"
#include "lib/protobuf.h"
#include "lib/teardown.h"
#include "lib/ttrpc_call.h"
#include "runtime/deadline.h"
#include "runtime/message.h"
#include "runtime/runtime.h"
#include "vigil.h"

/* containerd kills `delete` after 5 s (io.containerd.timeout.shim.cleanup): each part has its share of that. */
#define TEARDOWN_MS 3000
#define PUBLISH_NS 1000000000u
#define RUNTIME_MS 2000
#define CORE_ANSWER_NS 1500000000u
#define CGROUP_REMOVE_MS 1500
#define CORE_LEAVES_MS 1200
#define HOOKS_MS 2000
#define WORD_NS 400000000u

static uint64_t now(clockid_t clock) {
        struct timespec t;
        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* containerd shows what `delete` writes on stderr as warnings of the clean-up. */
static void warn(const char *what, int error) {
        if (error < 0)
                fprintf(stderr, "vigil: %s: %s\n", what, strerror(-error));
}

/* Waits until the process has ended, at most so long. */
static bool wait_end(int pidfd, int timeout_ms) {
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        int n;
        while ((n = poll(&p, 1, timeout_ms)) < 0 && errno == EINTR)
                ;
        return n > 0;
}

/* Gives that very process `grace_ms` to end by itself; then it is killed, if that is asked for. */
static void end_process(pid_t pid, uint64_t start_time, int grace_ms, bool kill_it) {
        uint64_t found;
        _cleanup_close_ int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        /* The pidfd first, then the check: the process that was checked is the one that is killed. */
        if (pidfd < 0 || vg_proc_start_time(pid, &found) < 0 || found != start_time)
                return;
        if (grace_ms > 0 && wait_end(pidfd, grace_ms))
                return;
        if (kill_it && syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0)
                wait_end(pidfd, TEARDOWN_MS);
}

static size_t begin_op(struct vg_writer *w, uint16_t op) {
        vg_put_u16(w, op);
        vg_put_u16(w, VG_OP_OPTIONAL);
        return vg_put_slot(w);
}

static void end_op(struct vg_writer *w, size_t slot) {
        vg_patch_u32(w, slot, (uint32_t)(w->size - slot - sizeof(uint32_t)));
}

static void path_op(struct vg_writer *w, uint16_t op, const char *path) {
        size_t slot = begin_op(w, op);
        vg_put_str(w, path);
        if (op == VG_OP_CGROUP_REMOVE)
                vg_put_u32(w, CGROUP_REMOVE_MS);
        end_op(w, slot);
}

static void put_strings(struct vg_writer *w, const char **strings) {
        size_t count = vg_put_slot(w);
        uint32_t n = 0;
        for (const char **string = strings; string && *string; string++, n++)
                vg_put_str(w, *string);
        vg_patch_u32(w, count, n);
}

static void compose_teardown(const struct vg_teardown *t, struct vg_writer *w) {
        if (t->runtime) {
                size_t slot = begin_op(w, VG_OP_RUN);
                put_strings(w, t->runtime);
                vg_put_bytes(w, "", 0);
                vg_put_str(w, "");
                vg_put_u32(w, RUNTIME_MS);
                end_op(w, slot);
        }
        size_t slot = begin_op(w, VG_OP_CGROUP_KILL);
        put_strings(w, t->cgroups);
        end_op(w, slot);
        for (const char **path = t->cgroups; path && *path; path++)
                path_op(w, VG_OP_CGROUP_REMOVE, *path);
        for (const char **path = t->mounts; path && *path; path++)
                path_op(w, VG_OP_UMOUNT_TREE, *path);
        for (const char **path = t->unlinks; path && *path; path++)
                path_op(w, VG_OP_UNLINK, *path);
        for (const char **path = t->directories; path && *path; path++)
                path_op(w, VG_OP_SWEEP, *path);
}

/* In a process of its own: a mount that hangs costs the time-out, not the answer. */
static int run_ops(const struct vg_writer *ops, int timeout_ms, struct vg_failure *failure) {
        if (ops->error)
                return ops->error;
        int channel[2];
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0)
                return -errno;
        pid_t pid = fork();
        if (pid == 0) {
                close(channel[0]);
                vg_script_run((struct vg_bytes){ops->data, ops->size}, false, channel[1]);
        }
        int r = pid < 0 ? -errno : 0;
        close(channel[1]);
        _cleanup_close_ int ours = channel[0];
        struct pollfd p = {.fd = ours, .events = POLLIN};
        int n = 0;
        while (r == 0 && (n = poll(&p, 1, timeout_ms)) < 0 && errno == EINTR)
                ;
        if (r == 0 && n == 0) {
                kill(pid, SIGKILL);
                return -ETIMEDOUT;
        }
        char tag;
        if (r == 0 && vg_message_receive(ours, &tag, failure) == 0 && tag == 'e')
                r = failure->status;
        if (pid > 0)
                waitpid(pid, NULL, 0);
        return r;
}

static int run_teardown(const struct vg_teardown *t) {
        _cleanup_writer_ struct vg_writer ops = {0};
        struct vg_failure failure = {0};
        compose_teardown(t, &ops);
        return run_ops(&ops, TEARDOWN_MS, &failure);
}

static void put_hex(struct vg_writer *w, const char *hex) {
        for (unsigned byte; sscanf(hex, "%2x", &byte) == 1; hex += 2)
                vg_put_u8(w, (uint8_t)byte);
}

/* The poststop hooks, which the daemon of a dead core cannot run: all of them, whatever becomes of each. */
static void run_hooks(const struct vg_teardown *t) {
        uint64_t deadline = vg_deadline(HOOKS_MS);
        for (const char **hook = t->hooks; hook && *hook; hook++) {
                _cleanup_writer_ struct vg_writer ops = {0};
                struct vg_failure failure = {0};
                vg_put_u16(&ops, VG_OP_HOOK);
                vg_put_u16(&ops, 0);
                size_t slot = vg_put_slot(&ops);
                put_hex(&ops, *hook);
                end_op(&ops, slot);
                int r = run_ops(&ops, vg_time_left_ms(deadline), &failure);
                if (r < 0 && failure.status < 0)
                        fprintf(stderr, "vigil: %s\n", failure.message);
                else
                        warn("a poststop hook", r);
        }
}

/* A daemon whose core has died waits for the answer to the event on its way and leaves the number of the last one taken beside the
 * journal (src/events/farewell.ts). One that died with its core leaves nothing, and is not waited for longer than this. */
static uint64_t read_word(const char *journal) {
        char directory[PATH_MAX + 16], path[PATH_MAX + 32];
        snprintf(directory, sizeof directory, "%s", journal);
        char *slash = strrchr(directory, '/');
        if (!slash)
                return 0;
        *slash = 0;
        snprintf(path, sizeof path, "%s/delivered", directory);
        _cleanup_close_ int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        /* Without inotify (fs.inotify.max_user_instances) the time is waited out. */
        if (watch >= 0)
                inotify_add_watch(watch, directory, IN_MOVED_TO);
        uint64_t deadline = now(CLOCK_MONOTONIC) + WORD_NS;
        for (;;) {
                _cleanup_fclose_ FILE *f = fopen(path, "re");
                unsigned long long delivered;
                if (f)
                        return fscanf(f, "%llu", &delivered) == 1 ? delivered : 0;
                uint64_t at = now(CLOCK_MONOTONIC);
                if (at >= deadline)
                        return 0;
                struct pollfd p = {.fd = watch, .events = POLLIN};
                char events[4096];
                poll(&p, 1, (int)((deadline - at) / 1000000u) + 1);
                while (watch >= 0 && read(watch, events, sizeof events) > 0)
                        ;
        }
}

static void add_uncounted_kills(const struct vg_teardown *t, struct vg_owed *owed) {
        uint64_t count;
        if (t->memory_version && vg_oom_count(t->memory_version, t->memory_file, t->memory_key, &count) == 0 &&
            count > t->memory_count + owed->uncounted_kills)
                vg_owed_add_oom(owed, now(CLOCK_REALTIME));
}

/* Lets a core that still lives forget the container and, as the last of its group, end. -EHOSTDOWN: it has no daemon and can have
 * none. `ret_deleted`: a daemon has answered the Delete. */
static int ask_core(const char *socket, const char *id, bool *ret_deleted) {
        static const char *const methods[] = {"Delete", "Shutdown"};
        uint64_t deadline = now(CLOCK_MONOTONIC) + CORE_ANSWER_NS;
        _cleanup_close_ int fd = -1;
        _cleanup_writer_ struct vg_writer request = {0};
        vg_pb_string(&request, 1, id);
        int r = vg_ttrpc_connect(socket, &fd);
        for (uint32_t i = 0; i < VG_COUNT(methods) && r == 0; i++) {
                uint32_t code = 0;
                r = vg_ttrpc_call(fd, 2 * i + 1, "containerd.task.v2.Task", methods[i],
                                  (struct vg_bytes){request.data, request.size}, deadline, &code);
                if (code == 14) /* UNAVAILABLE */
                        r = -EHOSTDOWN;
                if (r == 0)
                        *ret_deleted = true;
        }
        return r;
}

static void remove_core_files(const struct vg_settings *s, const struct vg_args *args, const char *group, const char *socket,
                              const struct vg_core_entry *core) {
        char path[PATH_MAX * 2];
        if (core->state[0]) {
                static const char *const files[] = {"journal", "journal.new", "delivered", "delivered.new"};
                for (size_t i = 0; i < VG_COUNT(files); i++) {
                        snprintf(path, sizeof path, "%s/%s", core->state, files[i]);
                        unlink(path);
                }
                rmdir(core->state); /* stays when it holds OOM reports */
        }
        unlink(socket);
        static const char *const entries[] = {"core", ".core"};
        for (size_t i = 0; i < VG_COUNT(entries); i++) {
                snprintf(path, sizeof path, "%s/cores/%s/%s/%s", s->run_dir, args->name_space, group, entries[i]);
                unlink(path);
        }
        *strrchr(path, '/') = 0;
        rmdir(path);
        vg_group_remove(s->run_dir, args->name_space, group);
}

static int answer(const struct vg_owed *owed) {
        _cleanup_writer_ struct vg_writer response = {0};
        vg_pb_varint(&response, 1, owed->pid);
        /* Without a record of its end the init died of our SIGKILL, or might as well have: 137 is what the runc shim says. */
        vg_pb_varint(&response, 2, owed->exited ? owed->exit_status : 128 + SIGKILL);
        vg_pb_timestamp(&response, 3, owed->exited ? owed->exited_real : now(CLOCK_REALTIME));
        if (response.error || fwrite(response.data, 1, response.size, stdout) != response.size || fflush(stdout) != 0) {
                fprintf(stderr, "vigil: cannot print the answer\n");
                return 1;
        }
        return 0;
}

static void end_container(const struct vg_args *args, const struct vg_teardown *t, const struct vg_core_entry *core, bool alive,
                          struct vg_owed *owed) {
        char journal[PATH_MAX + 16] = "";
        if (t->journal)
                snprintf(journal, sizeof journal, "%s", t->journal);
        else if (core->state[0])
                snprintf(journal, sizeof journal, "%s/journal", core->state);
        owed->counted_fact = t->counted_fact;
        if (journal[0] && !alive)
                owed->delivered = read_word(journal);
        if (journal[0])
                warn("the journal of the dead core", vg_owed_read(journal, owed));
        if (!owed->pid)
                owed->pid = (uint32_t)t->pid;
        if (!alive)
                add_uncounted_kills(t, owed);
        if (t->pid)
                end_process(t->pid, t->start_time, 0, true);
        const char *ttrpc = getenv("TTRPC_ADDRESS");
        /* A living core delivers what it owes itself. */
        if (!alive && ttrpc && *ttrpc && args->address[0] && owed->count > 0)
                warn("events of the dead core", vg_owed_publish(owed, ttrpc, now(CLOCK_MONOTONIC) + PUBLISH_NS));
        warn("cgroups and mounts of the container", run_teardown(t));
}

int vg_delete(const struct vg_args *args, const struct vg_settings *s) {
        struct vg_owed owed = {.name_space = args->name_space, .container = args->id};
        struct vg_registration registration;
        if (chdir("/") < 0)
                return 1;
        if (vg_registration_read(s->run_dir, args->name_space, args->id, &registration) < 0)
                return answer(&owed); /* never started here, or ended before */

        _cleanup_close_ int lock = -1;
        int r = vg_group_lock(s->run_dir, args->name_space, registration.group, &lock);
        if (r < 0) {
                warn("cannot lock the group under the run directory", r);
                return 1;
        }
        struct vg_core_entry core = {0};
        bool alive = vg_core_entry_read(s->run_dir, args->name_space, registration.group, &core) == 0 && vg_core_alive(&core);
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/cores/%s/%s/teardown", s->run_dir, args->name_space, args->id);
        struct vg_teardown teardown = {0};
        int read = vg_teardown_read(path, &teardown);
        bool created = read == 0;
        if (read != -ENOENT)
                warn(path, read);
        if (created)
                end_container(args, &teardown, &core, alive, &owed);
        bool deleted = false; /* by a daemon, which has run the hooks */
        warn("cannot remove the container's registration", vg_registration_remove(s->run_dir, args->name_space, args->id));

        unsigned others = 0;
        vg_group_members(s->run_dir, args->name_space, registration.group, args->id, &others);
        /* Of a core that has just been started there may be no entry yet, but its socket takes calls; a dead one's refuses at once. */
        bool may_live = alive || !created;
        if (may_live && (created || others == 0)) {
                /* A core that ends takes the lock itself. */
                vg_closep(&lock);
                int asked = ask_core(registration.socket, args->id, &deleted);
                bool leaving = asked == 0 || asked == -ENOENT || asked == -ECONNREFUSED || asked == -EPIPE;
                if (others == 0)
                        end_process(core.pid, core.start, CORE_LEAVES_MS, !leaving);
                r = vg_group_lock(s->run_dir, args->name_space, registration.group, &lock);
                /* One that still delivers its outbox has taken its entry away already and needs the group no more. */
                alive = vg_core_entry_read(s->run_dir, args->name_space, registration.group, &core) == 0 && vg_core_alive(&core);
                vg_group_members(s->run_dir, args->name_space, registration.group, args->id, &others);
                /* It could not note that its last container is gone (a full disk, say), so it would wait for ever. */
                if (alive && created && others == 0) {
                        end_process(core.pid, core.start, 0, true);
                        alive = false;
                }
        }
        if (!alive && others == 0 && r >= 0)
                remove_core_files(s, args, registration.group, registration.socket, &core);
        /* They may take their time: the group waits for nobody. */
        vg_closep(&lock);
        if (created && !deleted)
                run_hooks(&teardown);
        vg_teardown_done(&teardown);
        int result = answer(&owed);
        vg_owed_done(&owed);
        return result;
}
