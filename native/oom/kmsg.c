#include "oom/kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/loop.h"
#include "lib/cleanup.h"

#define RECORD_MAX 8192 /* printk's CONSOLE_EXT_LOG_MAX: a smaller buffer gives EINVAL */
#define LINES_BYTES_MAX (16u << 10)

static const char kill_mark[] = "Killed process ";

static const char *const marks[] = {
        kill_mark, " invoked oom-killer: ", "oom-kill:", "memory: usage ", "are going to be killed due to memory.oom.group set",
};

void vg_kmsg_init(struct vg_kmsg *kmsg, int fd) {
        *kmsg = (struct vg_kmsg){.fd = fd};
}

int vg_kmsg_open(void) {
        _cleanup_close_ int fd = open("/dev/kmsg", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || lseek(fd, 0, SEEK_END) < 0)
                return -1;
        return TAKE_FD(fd);
}

/* A record that user space wrote has another facility than the kernel's 0 (Documentation/ABI/testing/dev-kmsg). */
static bool is_from_kernel(const char *record) {
        char *end;
        unsigned long priority = strtoul(record, &end, 10);
        return end != record && *end == ',' && priority >> 3 == 0;
}

static bool has_mark(const char *record) {
        const char *text = strchr(record, ';');
        for (size_t i = 0; text && i < VG_COUNT(marks); i++)
                if (strstr(text, marks[i]))
                        return true;
        return false;
}

static void keep(struct vg_kmsg *kmsg, const char *record) {
        char *copy = strdup(record);
        if (!copy)
                return; /* details may be missing, a count never */
        size_t at = kmsg->next++ % VG_KMSG_LINES;
        free(kmsg->lines[at]);
        kmsg->lines[at] = copy;
        kmsg->tells_kill[at] = strstr(copy, kill_mark) != NULL;
}

bool vg_kmsg_drain(struct vg_kmsg *kmsg, uint64_t deadline) {
        char record[RECORD_MAX + 1];
        if (kmsg->fd < 0)
                return true;
        for (unsigned n = 0; n % 16 != 15 || vg_now_mono() < deadline; n++) {
                ssize_t size = read(kmsg->fd, record, RECORD_MAX);
                /* EPIPE: overwritten before it was read; the next read gives the oldest that is left. */
                if (size < 0 && (errno == EPIPE || errno == EINTR))
                        continue;
                if (size <= 0)
                        return true;
                record[size] = 0;
                /* Continuation lines (" KEY=value") name devices. */
                record[strcspn(record, "\n")] = 0;
                if (is_from_kernel(record) && has_mark(record))
                        keep(kmsg, record);
        }
        return false;
}

static uint64_t first_line(const struct vg_kmsg *kmsg, uint64_t since) {
        uint64_t oldest = kmsg->next > VG_KMSG_LINES ? kmsg->next - VG_KMSG_LINES : 0;
        return since > oldest ? since : oldest;
}

bool vg_kmsg_tells_kill(const struct vg_kmsg *kmsg, uint64_t since) {
        for (uint64_t n = first_line(kmsg, since); n < kmsg->next; n++)
                if (kmsg->tells_kill[n % VG_KMSG_LINES])
                        return true;
        return false;
}

void vg_kmsg_put(const struct vg_kmsg *kmsg, uint64_t since, struct vg_writer *w) {
        uint64_t first = kmsg->next, oldest = first_line(kmsg, since);
        for (size_t bytes = 0; first > oldest; first--) {
                bytes += strlen(kmsg->lines[(first - 1) % VG_KMSG_LINES]);
                if (bytes > LINES_BYTES_MAX)
                        break;
        }
        vg_put_u32(w, (uint32_t)(kmsg->next - first));
        for (uint64_t n = first; n < kmsg->next; n++)
                vg_put_str(w, kmsg->lines[n % VG_KMSG_LINES]);
}

void vg_kmsg_done(struct vg_kmsg *kmsg) {
        vg_closep(&kmsg->fd);
        for (size_t i = 0; i < VG_KMSG_LINES; i++)
                free(kmsg->lines[i]);
        *kmsg = (struct vg_kmsg){.fd = -1};
}
