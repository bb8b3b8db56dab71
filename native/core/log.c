#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A line is written whole or not at all up to PIPE_BUF (pipe(7)). */
struct line {
        char text[4096];
        size_t size;
};

static void put_char(struct line *line, char c) {
        if (line->size < sizeof line->text - 2)
                line->text[line->size++] = c;
}

static void put_text(struct line *line, const char *s) {
        while (*s)
                put_char(line, *s++);
}

static void put_quoted(struct line *line, const char *s) {
        put_char(line, '"');
        for (; *s; s++) {
                if (*s == '"' || *s == '\\')
                        put_char(line, '\\');
                put_char(line, (unsigned char)*s < ' ' ? ' ' : *s);
        }
        put_char(line, '"');
}

void vg_log(const struct vg_log *log, enum vg_log_level level, const char *message, ...) {
        static const char *const names[] = {"debug", "info", "warning", "error"};
        if (log->fd < 0 || (level == VG_LOG_DEBUG && !log->debug))
                return;
        struct line line = {.size = 0};
        struct timespec now;
        struct tm tm;
        char stamp[32];
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &tm);
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
        char head[64];
        snprintf(head, sizeof head, "time=\"%s.%09ldZ\" level=%s msg=", stamp, now.tv_nsec, names[level]);
        put_text(&line, head);
        put_quoted(&line, message);
        va_list pairs;
        va_start(pairs, message);
        for (const char *name; (name = va_arg(pairs, const char *));) {
                const char *value = va_arg(pairs, const char *);
                put_char(&line, ' ');
                put_text(&line, name);
                put_char(&line, '=');
                put_quoted(&line, value ? value : "");
        }
        va_end(pairs);
        line.text[line.size++] = '\n';
        ssize_t written = write(log->fd, line.text, line.size);
        (void)written; /* dropped: see the header */
}
