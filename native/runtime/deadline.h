#ifndef VG_RUNTIME_DEADLINE_H
#define VG_RUNTIME_DEADLINE_H

#include <stdint.h>

/* A moment (CLOCK_MONOTONIC, ms) that waiting must not pass. */
uint64_t vg_deadline(uint32_t timeout_ms);
/* What is left until then; 0: passed. */
int vg_time_left_ms(uint64_t deadline);

#endif
