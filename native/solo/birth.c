/* What the core does for a birth (core/birth.c), less watching and keeping. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/message.h"
#include "runtime/runtime.h"
#include "runtime/sys.h"
#include "solo/solo.h"

struct course {
        const struct vg_solo *solo;
        const struct vg_birth *birth;
        int channel, pidfd, master;
        pid_t helper, pid;
};

static int take_pid(struct course *c, const char *message, size_t size, struct vg_failure *failure) {
        uint32_t pid;
        if (size != 1 + sizeof pid)
                return vg_fail(failure, -EPROTO, "talk to the helper");
        memcpy(&pid, message + 1, sizeof pid);
        c->pid = (pid_t)pid;
        /* Our child, not waited for: the number is its own. */
        c->pidfd = vg_pidfd_open(c->pid);
        if (c->pidfd < 0)
                return vg_fail(failure, c->pidfd, "hold the process");
        vg_solo_answer(c->solo, "pid %u\n", pid);
        return c->solo->restore ? vg_message_send_tag(c->channel, 'g') : 0;
}

static int take_terminal(struct course *c, int master, struct vg_failure *failure) {
        if (!c->solo->console_socket) {
                c->master = master;
                return 0;
        }
        int status = vg_solo_give_terminal(c->solo->console_socket, master);
        close(master);
        return status < 0 ? vg_fail(failure, status, "give the terminal to %s", c->solo->console_socket) : 0;
}

static int read_failure(const char *message, size_t size, struct vg_failure *failure) {
        const size_t head = 1 + sizeof failure->status + sizeof failure->op;
        if (size < head)
                return vg_fail(failure, -EPROTO, "talk to the helper");
        memcpy(&failure->status, message + 1, sizeof failure->status);
        memcpy(&failure->op, message + 1 + sizeof failure->status, sizeof failure->op);
        snprintf(failure->message, sizeof failure->message, "%.*s", (int)(size - head), message + head);
        return failure->status;
}

/* Until the init waits, or the exec's program runs. */
static int follow(struct course *c, struct vg_failure *failure) {
        bool executing = false;
        for (;;) {
                char message[16 + VG_MESSAGE_MAX];
                int fd = -1;
                size_t size = sizeof message;
                int status = vg_message_take(c->channel, message, &size, &fd);
                if (status == -ECONNRESET && (executing || (c->solo->restore && c->pid > 0)))
                        return 0;
                if (status == -ECONNRESET)
                        return vg_fail_words(failure, -ECHILD, "container init died during set-up");
                if (status < 0)
                        return vg_fail(failure, status, "talk to the helper");
                switch (message[0]) {
                case 'c':
                        status = vg_message_send_tag(c->channel, 'g');
                        break;
                case 'p':
                        status = take_pid(c, message, size, failure);
                        break;
                case 't':
                        status = take_terminal(c, TAKE_FD(fd), failure);
                        break;
                case 'r':
                        return 0;
                case 'x':
                        executing = true;
                        break;
                case 'e':
                        status = read_failure(message, size, failure);
                        break;
                default: /* 'i': of streams that are inherited nothing is ours to hold */
                        break;
                }
                vg_closep(&fd);
                if (status < 0)
                        return failure->status ? status : vg_fail(failure, status, "talk to the helper");
        }
}

static int end_of(pid_t pid, int *ret_status) {
        while (waitpid(pid, ret_status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return 0;
}

static int wait_for_end(const struct course *c, struct vg_failure *failure) {
        int ended, status = vg_solo_attend(c->master, c->pidfd, failure);
        if (status < 0)
                return status;
        status = end_of(c->pid, &ended);
        if (status < 0)
                return vg_fail(failure, status, "wait for the process");
        vg_solo_answer(c->solo, "exited %d\n", WIFSIGNALED(ended) ? 128 + WTERMSIG(ended) : WEXITSTATUS(ended));
        return 0;
}

static int run(struct course *c, struct vg_failure *failure) {
        int ends[2], ended, status;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return vg_fail(failure, -errno, "make a socket");
        c->channel = ends[0];
        c->helper = fork();
        if (c->helper < 0)
                return vg_fail(failure, -errno, "make a helper");
        if (c->helper == 0)
                vg_birth_run(c->birth, c->solo->init, ends[1]);
        close(ends[1]);
        status = follow(c, failure);
        if (status < 0) {
                /* The helper's end of the channel closes: it kills and undoes. Its word was the last it had, or it hears of it. */
                vg_closep(&c->channel);
                if (c->pidfd >= 0)
                        (void)vg_pidfd_signal(c->pidfd, SIGKILL); /* ESRCH: dead already */
                (void)end_of(c->helper, &ended);
                if (c->pid > 0)
                        (void)end_of(c->pid, &ended);
                return status;
        }
        vg_solo_answer(c->solo, c->solo->listen ? "ready\n" : "running\n");
        return c->solo->wait ? wait_for_end(c, failure) : 0;
}

int vg_solo_birth(const struct vg_solo *solo, struct vg_bytes plan, struct vg_failure *failure) {
        struct vg_birth birth;
        struct vg_reader reader = vg_reader_of(plan.data, plan.size);
        int status = solo->restore ? vg_birth_decode_restore(&reader, &birth) : vg_birth_decode(&reader, &birth);
        if (status < 0)
                return vg_fail(failure, status, "read the plan");
        /* What is restored comes to us when CRIU ends, and to our caller's subreaper when we do. */
        if (solo->restore && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                status = vg_fail(failure, -errno, "become a subreaper");
        _cleanup_close_ int listener = -1;
        if (solo->listen && status == 0) {
                status = vg_solo_listen(solo->listen, &listener);
                if (status < 0)
                        vg_fail(failure, status, "listen at %s", solo->listen);
        }
        birth.listener = listener;
        birth.preserved = solo->preserved;
        struct course course = {.solo = solo, .birth = &birth, .channel = -1, .pidfd = -1, .master = -1};
        if (status == 0)
                status = run(&course, failure);
        vg_closep(&course.channel);
        vg_closep(&course.pidfd);
        vg_closep(&course.master);
        vg_birth_done(&birth);
        return status;
}
