#include <fcntl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "oom/state.h"

#define SNAPSHOT_MAX (16u << 10)
/* Behind a log that nobody has read for long, the lines of this kill are not waited for. */
#define KMSG_DRAIN_NS (20 * VG_MS)
#define KMSG_AHEAD_NS (VG_MS / 5)
/* The counter rises a moment before the kernel prints the line; a look in short steps can come in between. */
#define KMSG_LATE_NS (VG_MS / 5)

void vg_oom_read_ahead(struct vg_oom_watch *watch) {
        if (!watch->near.is_ahead)
                watch->near.is_ahead = vg_kmsg_drain(&watch->host->kmsg, vg_now_mono() + KMSG_AHEAD_NS);
}

static void put_held(struct vg_oom_watch *watch, struct vg_writer *w) {
        vg_put_u32(w, (uint32_t)watch->n_held);
        for (size_t i = 0; i < watch->n_held; i++) {
                /* The deciding one was read when the kill was seen: count and text agree. */
                if (i > 0)
                        vg_held_read(&watch->held[i]);
                vg_held_put(&watch->held[i], w);
        }
}

static void put_snapshot(struct vg_oom_watch *watch, struct vg_writer *w) {
        char text[SNAPSHOT_MAX];
        uint32_t count = 0;
        size_t slot = vg_put_slot(w);
        for (char **path = watch->snapshot; *path; path++) {
                _cleanup_close_ int fd = open(*path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
                size_t size = 0;
                ssize_t n = -1;
                while (fd >= 0 && size < sizeof text && (n = read(fd, text + size, sizeof text - size)) > 0)
                        size += (size_t)n;
                if (n < 0)
                        continue;
                vg_put_str(w, *path);
                vg_put_bytes(w, text, size);
                count++;
        }
        vg_patch_u32(w, slot, count);
}

static void put_lines(struct vg_oom_watch *watch, struct vg_writer *w) {
        struct vg_kmsg *kmsg = &watch->host->kmsg;
        uint64_t now = vg_now_mono(), late = now + KMSG_LATE_NS;
        do
                vg_kmsg_drain(kmsg, now + KMSG_DRAIN_NS);
        while (kmsg->fd >= 0 && !vg_kmsg_tells_kill(kmsg, watch->kmsg_since) && vg_now_mono() < late);
        vg_kmsg_put(kmsg, watch->kmsg_since, w);
        watch->kmsg_since = kmsg->next;
}

/* A list that memory was too short for is empty: the kill itself is told in any case. */
static struct vg_bytes bytes_of(const struct vg_writer *w) {
        static const uint8_t empty_list[4];
        return w->error ? (struct vg_bytes){empty_list, sizeof empty_list} : (struct vg_bytes){w->data, w->size};
}

void vg_oom_report(struct vg_oom_watch *watch, bool last) {
        _cleanup_writer_ struct vg_writer held = {0}, snapshot = {0}, lines = {0};
        struct vg_oom_reading reading = {
                .kills = watch->total - watch->reported,
                .total = watch->total,
                .real = watch->seen_real,
                .mono = watch->seen_mono,
                .last = last,
        };
        if (reading.kills == 0) {
                reading.real = vg_now_real();
                reading.mono = vg_now_mono();
        }
        watch->reported = watch->total;
        put_held(watch, &held);
        put_snapshot(watch, &snapshot);
        put_lines(watch, &lines);
        reading.held = bytes_of(&held);
        reading.snapshot = bytes_of(&snapshot);
        reading.lines = bytes_of(&lines);
        watch->killed(watch->owner, &reading);
}
