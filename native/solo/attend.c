#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/sys.h"
#include "solo/solo.h"

struct attendance {
        int master, pidfd, signals;
        bool input; /* 0 has not ended */
        bool raw;
        struct termios before;
        char typed[4096];
        size_t n_typed, done;
};

static void copy_size(const struct attendance *a) {
        struct winsize size;
        if (a->master >= 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
                (void)ioctl(a->master, TIOCSWINSZ, &size); /* EIO: nobody has the other end any more */
}

static void pass_signal(const struct attendance *a) {
        struct signalfd_siginfo info;
        if (read(a->signals, &info, sizeof info) != sizeof info)
                return;
        if (info.ssi_signo == SIGWINCH && a->master >= 0)
                copy_size(a);
        else if (info.ssi_signo != SIGCHLD)
                (void)vg_pidfd_signal(a->pidfd, (int)info.ssi_signo); /* ESRCH: dead, which the pidfd tells */
}

static int write_all(int fd, const char *data, size_t size) {
        while (size > 0) {
                ssize_t n = write(fd, data, size);
                if (n < 0 && errno == EAGAIN) {
                        struct pollfd wait = {.fd = fd, .events = POLLOUT};
                        (void)poll(&wait, 1, -1);
                } else if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0) {
                        data += n;
                        size -= (size_t)n;
                }
        }
        return 0;
}

/* 1: there was something. A reader that is gone loses what is written, not the container. */
static int copy_output(const struct attendance *a) {
        char part[8192];
        ssize_t size = read(a->master, part, sizeof part);
        if (size <= 0)
                return 0;
        (void)write_all(STDOUT_FILENO, part, (size_t)size);
        return 1;
}

static void take_input(struct attendance *a) {
        ssize_t size = read(STDIN_FILENO, a->typed, sizeof a->typed);
        if (size > 0) {
                a->n_typed = (size_t)size;
                a->done = 0;
        } else if (size == 0 || (errno != EINTR && errno != EAGAIN))
                a->input = false;
}

static void give_input(struct attendance *a) {
        ssize_t size = write(a->master, a->typed + a->done, a->n_typed - a->done);
        if (size > 0)
                a->done += (size_t)size;
        else if (size < 0 && errno != EAGAIN && errno != EINTR)
                a->done = a->n_typed;
        if (a->done == a->n_typed)
                a->n_typed = 0;
}

static int attend(struct attendance *a) {
        for (;;) {
                bool typed = a->n_typed > 0;
                struct pollfd waits[] = {
                        {.fd = a->pidfd, .events = POLLIN},
                        {.fd = a->signals, .events = POLLIN},
                        {.fd = a->master, .events = (short)(POLLIN | (typed ? POLLOUT : 0))},
                        {.fd = a->master >= 0 && a->input && !typed ? STDIN_FILENO : -1, .events = POLLIN},
                };
                if (poll(waits, VG_COUNT(waits), -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (waits[1].revents)
                        pass_signal(a);
                if (waits[2].revents & POLLOUT)
                        give_input(a);
                if (waits[3].revents)
                        take_input(a);
                bool more = (waits[2].revents & (POLLIN | POLLHUP)) && copy_output(a);
                /* Without a slave the master hangs up for as long as nobody opens one: not a reason to look again and again. */
                if (!more && (waits[2].revents & POLLHUP) && !waits[0].revents) {
                        struct pollfd end[] = {waits[0], waits[1]};
                        (void)poll(end, VG_COUNT(end), 20);
                }
                if (waits[0].revents && !more)
                        return 0;
        }
}

static void make_raw(struct attendance *a) {
        struct termios raw;
        if (a->master < 0 || tcgetattr(STDIN_FILENO, &a->before) < 0)
                return;
        raw = a->before;
        cfmakeraw(&raw);
        a->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
        copy_size(a);
}

int vg_solo_attend(int master, int pidfd, struct vg_failure *failure) {
        struct attendance a = {.master = master, .pidfd = pidfd, .signals = -1, .input = true};
        sigset_t all;
        sigfillset(&all);
        /* Faults of this program itself stay its own. */
        static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
        for (size_t i = 0; i < VG_COUNT(faults); i++)
                sigdelset(&all, faults[i]);
        if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
                return vg_fail(failure, -errno, "block signals");
        a.signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
        if (a.signals < 0)
                return vg_fail(failure, -errno, "listen to signals");
        if (master >= 0 && fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
                return vg_fail(failure, -errno, "connect the terminal");
        make_raw(&a);
        int status = attend(&a);
        if (a.raw)
                (void)tcsetattr(STDIN_FILENO, TCSANOW, &a.before); /* the terminal is gone */
        close(a.signals);
        return status < 0 ? vg_fail(failure, status, "wait for the process") : 0;
}
