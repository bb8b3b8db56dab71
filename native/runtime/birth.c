/* The helper of a birth: opens streams, carries out the host ops, makes the child, and stays until there is nothing left that
 * it would have to undo. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/open.h"
#include "lib/cleanup.h"
#include "runtime/favour.h"
#include "runtime/hook.h"
#include "runtime/host.h"
#include "runtime/hygiene.h"
#include "runtime/message.h"
#include "runtime/mount.h"
#include "runtime/oci_birth.h"
#include "runtime/restore.h"
#include "runtime/runtime.h"
#include "runtime/seccomp.h"
#include "runtime/spawn.h"
#include "vigil.h"

#define REAPED_TIMEOUT_MS 1000 /* the core takes its last look at the counters when its child dies, then reaps it */

struct helper {
        const struct vg_birth *birth;
        int channel, init_pidfd;
        struct vg_host host;
        struct vg_streams streams;
};

static int prepare(struct helper *h, struct vg_failure *failure) {
        const int keep[] = {h->channel, h->init_pidfd, h->birth->listener};
        vg_reset_signals();
        umask(0);
        int status = vg_close_others(3 + h->birth->preserved, keep, VG_COUNT(keep));
        if (status == 0)
                status = vg_fill_stdio();
        if (status == 0)
                status = vg_proc_open(&h->host.proc);
        return status < 0 ? vg_fail(failure, status, "prepare helper") : 0;
}

static int send_streams(const struct helper *h) {
        const struct vg_stream_fds *s = &h->streams.fds;
        const int all[VG_MESSAGE_FDS_MAX] = {s->in_fifo,  s->in_keep,  s->in_pipe,  s->out_pipe, s->out_sink,
                                             s->out_keep, s->err_pipe, s->err_sink, s->err_keep};
        int sent[VG_MESSAGE_FDS_MAX];
        char message[1 + VG_MESSAGE_FDS_MAX] = {'i'};
        unsigned count = 0;
        for (unsigned i = 0; i < VG_MESSAGE_FDS_MAX; i++) {
                message[1 + i] = (char)(all[i] >= 0 ? (int)count : -1);
                if (all[i] >= 0)
                        sent[count++] = all[i];
        }
        return vg_message_send(h->channel, message, sizeof message, sent, count);
}

static int hand_over(struct helper *h, struct vg_failure *failure) {
        int status = send_streams(h);
        if (status == 0 && h->streams.logger > 0)
                status = vg_message_send_pid(h->channel, 'l', (uint32_t)h->streams.logger);
        vg_streams_close_core_ends(&h->streams);
        return status < 0 ? vg_fail(failure, status, "hand the streams over") : 0;
}

/* Waits until the core watches the cgroups. */
static int await_watch(struct helper *h, struct vg_failure *failure) {
        int status = vg_message_send_tag(h->channel, 'c');
        char tag = 0;
        if (status == 0)
                status = vg_message_receive(h->channel, &tag, NULL);
        if (status == 0 && tag != 'g')
                status = -EPROTO;
        return status < 0 ? vg_fail(failure, status, "talk to the core") : 0;
}

/* Waits for a message of the child, or for its end. -ECONNABORTED: the core has given this birth up, or is dead. */
static int await_child(const struct helper *h, const struct vg_spawned *spawned) {
        struct pollfd waits[] = {
                {.fd = spawned->talk, .events = POLLIN},
                {.fd = h->channel, .events = POLLRDHUP},
        };
        while (poll(waits, VG_COUNT(waits), -1) < 0)
                if (errno != EINTR)
                        return -errno;
        return waits[1].revents && !waits[0].revents ? -ECONNABORTED : 0;
}

/* Until the child has something else to say than what it wants to be done for it. */
static int do_favours(const struct helper *h, const struct vg_spawned *spawned) {
        char tag = 0;
        int status;
        while ((status = await_child(h, spawned)) == 0 && vg_message_peek(spawned->talk, &tag) == 0 && vg_favour_is(tag)) {
                status = vg_favour_answer(h->host.proc, spawned);
                /* EPIPE, ECONNRESET: it has died meanwhile, which the next look shows. */
                if (status < 0 && status != -EPIPE && status != -ECONNRESET)
                        return status;
        }
        return status;
}

/* The child's next word. */
static int listen_to(struct helper *h, const struct vg_spawned *spawned, char *ret_tag, int *ret_fd, struct vg_failure *failure) {
        int status = do_favours(h, spawned);
        if (status < 0) {
                vg_spawned_kill(spawned);
                return status == -ECONNABORTED ? vg_fail(failure, -ECONNRESET, "talk to the core")
                                               : vg_fail(failure, status, "wait for the container's init");
        }
        if (vg_message_receive_fd(spawned->talk, ret_tag, ret_fd, failure) == 0)
                return 0;
        vg_spawned_wait(spawned, true, REAPED_TIMEOUT_MS);
        return vg_fail_words(failure, -ECHILD, "container init died during set-up");
}

/* What the child has come to in its plan and cannot do itself: 'h' a hook, 'n' its filter's listener. */
static int serve(struct helper *h, const struct vg_spawned *spawned, struct vg_plan_cursor *at, char tag, int fd,
                 struct vg_failure *failure) {
        struct vg_op op;
        if (!vg_plan_find(at, tag == 'h' ? VG_OP_RUNTIME_HOOK : VG_OP_SECCOMP_NOTIFY, &op))
                return vg_fail_words(failure, -EPROTO, "the plan has nothing like '%c' any more", tag);
        int status = tag == 'h' ? vg_runtime_hook(&op, spawned->pid, h->channel, failure)
                                : vg_seccomp_agent_tell(&op, spawned->pid, fd, failure);
        failure->op = at->next_op - 1;
        return status;
}

/* Until the child has become what it should, has failed, or has died. 0: nothing to undo. */
static int attend(struct helper *h, const struct vg_spawned *spawned, uint32_t first_op, struct vg_failure *failure) {
        const struct vg_bytes ops = h->birth->ops;
        struct vg_plan_cursor at = {.at = vg_reader_of(ops.data, ops.size), .next_op = first_op};
        char tag = 0;
        int status;
        for (;;) {
                _cleanup_close_ int fd = -1;
                status = listen_to(h, spawned, &tag, &fd, failure);
                if (status < 0 || (tag != 'h' && tag != 'n'))
                        break;
                status = serve(h, spawned, &at, tag, fd, failure);
                if (status < 0) {
                        vg_spawned_kill(spawned);
                        return status;
                }
                /* A child that has died meanwhile is heard of next. */
                if (tag == 'h')
                        (void)vg_message_send_tag(spawned->talk, 'h');
        }
        if (status < 0)
                return status;
        if (tag == 'e') {
                vg_spawned_kill(spawned);
                return failure->status;
        }
        if (tag == 'r')
                status = vg_message_send_tag(h->channel, 'r');
        if (status < 0) {
                vg_spawned_kill(spawned);
                return vg_fail(failure, status, "talk to the core");
        }
        return 0;
}

static int make_child(struct helper *h, uint32_t first_op, struct vg_failure *failure) {
        struct vg_child child = {
                .birth = h->birth,
                .first_op = first_op,
                .channel = h->channel,
                .init_pidfd = h->init_pidfd,
                .proc = h->host.proc,
        };
        memcpy(child.stdio, h->streams.container, sizeof child.stdio);
        struct vg_spawned spawned;
        int status = vg_spawn(&child, &spawned, failure);
        if (status < 0)
                return status;
        status = vg_message_send_pid(h->channel, 'p', (uint32_t)spawned.pid);
        if (status == 0)
                status = vg_message_send_tag(spawned.talk, 'g');
        if (status < 0) {
                vg_spawned_kill(&spawned);
                return vg_fail(failure, status, "let the container's init go");
        }
        /* Only the container may hold its ends of the pipes. */
        for (int i = 0; i < 3; i++)
                vg_closep(&h->streams.container[i]);
        return attend(h, &spawned, first_op, failure);
}

static int give_birth(struct helper *h, struct vg_failure *failure) {
        uint32_t host_ops;
        /* Nothing is made yet that would have to be undone, and an open can block for long. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return vg_fail(failure, -errno, "prepare helper");
        int status = vg_streams_open(h->birth, &h->streams, failure);
        if (status < 0)
                return status;
        (void)prctl(PR_SET_PDEATHSIG, 0);
        status = vg_host_run(&h->host, h->birth->script, &host_ops, failure);
        if (status == 0)
                status = hand_over(h, failure);
        if (status == 0 && h->birth->oci)
                return vg_oci_birth(h->birth, &h->streams, h->channel, failure);
        if (status == 0)
                status = await_watch(h, failure);
        if (status == 0 && h->birth->restore)
                return vg_restore_birth(h->birth, &h->streams, h->channel, &h->host, failure);
        return status < 0 ? status : make_child(h, host_ops, failure);
}

_Noreturn void vg_birth_run(const struct vg_birth *birth, int init_pidfd, int channel) {
        struct vg_failure failure = {0};
        struct helper h = {
                .birth = birth,
                .channel = channel,
                .init_pidfd = init_pidfd,
                .host.proc = -1,
                .streams = {.fds = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}, .container = {-1, -1, -1}, .logger_pidfd = -1},
        };
        int status = prepare(&h, &failure);
        if (status == 0)
                status = give_birth(&h, &failure);
        if (status == 0) {
                /* In this order: the child goes on when its private socket ends. */
                close(channel);
                _exit(EXIT_SUCCESS);
        }
        vg_undo_run(&h.host.undo, h.host.proc);
        vg_streams_done(&h.streams);
        (void)vg_message_send_failure(channel, &failure); /* not heard: the core is dead */
        _exit(EXIT_FAILURE);
}
