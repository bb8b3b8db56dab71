/* One logfmt line a call, as containerd's own lines look, to the bundle's log FIFO. Never waits: a line that does not fit is
 * dropped, for there is nowhere to say so. */
#ifndef VG_LOG_H
#define VG_LOG_H

#include <stdbool.h>

struct vg_log {
        int fd;
        bool debug;
};

enum vg_log_level { VG_LOG_DEBUG, VG_LOG_INFO, VG_LOG_WARNING, VG_LOG_ERROR };

/* `message` is constant; then pairs of a name and a value (both const char *), ended by NULL. */
void vg_log(const struct vg_log *log, enum vg_log_level level, const char *message, ...) __attribute__((sentinel));

#endif
