#include "runtime/hygiene.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

#include "runtime/sys.h"

/* The kernel's own form of struct sigaction: handler, flags, restorer, mask. All zero is SIG_DFL. */
struct kernel_sigaction {
        unsigned long words[4];
};

void vg_reset_signals(void) {
        const struct kernel_sigaction none = {0};
        const uint64_t empty = 0;
        /* By system call: the C library refuses signals 32 and 33, which it keeps for itself, but a parent may have left them
         * ignored. SIGKILL and SIGSTOP refuse here, too; nothing to do for them. */
        for (int number = 1; number <= 64; number++)
                (void)syscall(SYS_rt_sigaction, number, &none, NULL, sizeof empty);
        (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &empty, NULL, sizeof empty);
}

int vg_close_others(unsigned from, const int *keep, unsigned n_keep) {
        for (;;) {
                bool found = false;
                unsigned next = 0;
                for (unsigned i = 0; i < n_keep; i++)
                        if (keep[i] >= 0 && (unsigned)keep[i] >= from && (!found || (unsigned)keep[i] < next)) {
                                next = (unsigned)keep[i];
                                found = true;
                        }
                if (!found)
                        return vg_close_range(from, ~0u);
                if (next > from) {
                        int status = vg_close_range(from, next - 1);
                        if (status < 0)
                                return status;
                }
                from = next + 1;
        }
}

int vg_fill_stdio(void) {
        for (;;) {
                int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
                if (fd > 2) {
                        close(fd);
                        return 0;
                }
                /* Took the lowest free one: 0, 1 or 2 itself. */
        }
}
