/* What went wrong, in words for people: "mount proc at /proc: Operation not permitted". */
#ifndef VG_RUNTIME_FAILURE_H
#define VG_RUNTIME_FAILURE_H

#include <stdint.h>

#define VG_MESSAGE_MAX 3072 /* bytes of a message; what is longer is cut */

struct vg_failure {
        int status;  /* -errno; 0: nothing went wrong */
        uint32_t op; /* index of the op; 0 when it was none */
        char message[VG_MESSAGE_MAX];
};

/* Puts the words and ": " and the error's own text into `failure`; returns `status`. */
int vg_fail(struct vg_failure *failure, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same when the words say all: the error's text is left away. */
int vg_fail_words(struct vg_failure *failure, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

#define VG_REASON_SIZE 128
/* The error's text as Go has it, whose words runc's are: beginning in lower case. */
void vg_reason(char into[VG_REASON_SIZE], int status);

#endif
