#include "io/timer.h"

#include <errno.h>
#include <signal.h>
#include <sys/time.h>

#define REPEAT_US 20000 /* a signal that arrives just before the call would be lost: the next one is not */

static void interrupt(int number) {
        (void)number;
}

int vg_io_timer_start(uint32_t timeout_ms) {
        const struct sigaction action = {.sa_handler = interrupt}; /* no SA_RESTART */
        if (sigaction(SIGALRM, &action, NULL) < 0)
                return -errno;
        /* Zero would mean: never. */
        const struct itimerval value = {
                .it_value = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms ? timeout_ms % 1000 * 1000 : 1},
                .it_interval = {.tv_usec = REPEAT_US},
        };
        return setitimer(ITIMER_REAL, &value, NULL) < 0 ? -errno : 0;
}

void vg_io_timer_stop(void) {
        const struct itimerval never = {0};
        (void)setitimer(ITIMER_REAL, &never, NULL);
        (void)signal(SIGALRM, SIG_DFL);
}
