#include "runtime/deadline.h"

#include <limits.h>
#include <time.h>

uint64_t vg_deadline(uint32_t timeout_ms) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + timeout_ms;
}

int vg_time_left_ms(uint64_t deadline) {
        uint64_t now = vg_deadline(0);
        uint64_t left = now >= deadline ? 0 : deadline - now;
        return left > INT_MAX ? INT_MAX : (int)left;
}
