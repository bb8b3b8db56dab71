/* A limit on calls that block and know no timeout, as the opening of a FIFO: a signal that interrupts them. For a process with
 * one thread that does nothing else with SIGALRM. */
#ifndef VG_IO_TIMER_H
#define VG_IO_TIMER_H

#include <stdint.h>

/* From then on blocking calls end with EINTR. */
int vg_io_timer_start(uint32_t timeout_ms);
void vg_io_timer_stop(void);

#endif
