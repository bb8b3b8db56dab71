#include "runtime/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int put_words(struct vg_failure *failure, int status, const char *format, va_list words) {
        failure->status = status;
        if (vsnprintf(failure->message, sizeof failure->message, format, words) < 0)
                failure->message[0] = 0;
        return status;
}

int vg_fail(struct vg_failure *failure, int status, const char *format, ...) {
        va_list words;
        va_start(words, format);
        put_words(failure, status, format, words);
        va_end(words);
        size_t size = strlen(failure->message);
        /* A path can fill the buffer: the reason is worth more than the path's end. */
        char reason[128];
        int length = snprintf(reason, sizeof reason, ": %s", strerror(-status));
        if (length > 0 && (size_t)length < sizeof reason) {
                if (size + (size_t)length >= sizeof failure->message)
                        size = sizeof failure->message - 1 - (size_t)length;
                memcpy(failure->message + size, reason, (size_t)length + 1);
        }
        return status;
}

int vg_fail_words(struct vg_failure *failure, int status, const char *format, ...) {
        va_list words;
        va_start(words, format);
        put_words(failure, status, format, words);
        va_end(words);
        return status;
}

void vg_reason(char into[VG_REASON_SIZE], int status) {
        snprintf(into, VG_REASON_SIZE, "%s", strerror(-status));
        if (into[0] >= 'A' && into[0] <= 'Z')
                into[0] = (char)(into[0] - 'A' + 'a');
}
