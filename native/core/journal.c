#include "core/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/crc32c.h"

enum {
        STEP = 256 << 10,    /* blocks are asked for in these */
        RESERVE = 256 << 10, /* for facts alone: some 1 700 exits */
        COMPACT = 1 << 20,
};

/* NFS before 4.2 and some FUSE file systems have no fallocate; then zeroes are written. */
static int allocate(int fd, uint64_t from, uint64_t size) {
        if (fallocate(fd, 0, (off_t)from, (off_t)size) == 0)
                return 0;
        if (errno != EOPNOTSUPP)
                return -errno;
        static const char zeroes[4096];
        for (uint64_t done = 0; done < size;) {
                uint64_t left = size - done;
                ssize_t n = pwrite(fd, zeroes, left < sizeof zeroes ? left : sizeof zeroes, (off_t)(from + done));
                if (n < 0)
                        return -errno;
                done += (uint64_t)n;
        }
        return 0;
}

int vg_journal_create(int directory, const char *name, struct vg_journal *ret_journal) {
        _cleanup_close_ int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        int r = allocate(fd, 0, STEP + RESERVE);
        if (r < 0) {
                unlinkat(directory, name, 0);
                return r;
        }
        *ret_journal = (struct vg_journal){
                .directory = directory,
                .fd = TAKE_FD(fd),
                .allocated = STEP + RESERVE,
                .compact_at = COMPACT,
        };
        return 0;
}

static int make_room(struct vg_journal *j, uint64_t size, bool urgent) {
        uint64_t need = j->used + size + (urgent ? 0 : RESERVE);
        if (need <= j->allocated)
                return 0;
        uint64_t more = (need - j->allocated + STEP - 1) / STEP * STEP;
        if (j->allocated + more > VG_JOURNAL_MAX)
                return -EFBIG;
        int r = allocate(j->fd, j->allocated, more);
        if (r < 0)
                return r;
        j->allocated += more;
        return 0;
}

static int write_at(int fd, const struct iovec *parts, int n, uint64_t at) {
        struct iovec left[2] = {parts[0], parts[1]}, *v = left;
        while (n > 0) {
                ssize_t written = pwritev(fd, v, n, (off_t)at);
                if (written < 0 && errno == EINTR)
                        continue;
                if (written < 0)
                        return -errno;
                at += (uint64_t)written;
                for (; n > 0 && (size_t)written >= v->iov_len; v++, n--)
                        written -= (ssize_t)v->iov_len;
                if (n > 0) {
                        v->iov_base = (char *)v->iov_base + written;
                        v->iov_len -= (size_t)written;
                }
        }
        return 0;
}

int vg_journal_append(struct vg_journal *j, enum vg_journal_type type, struct vg_bytes payload, bool urgent) {
        uint32_t head[3] = {0, (uint32_t)payload.size, type};
        head[0] = vg_crc32c(vg_crc32c(0, head + 1, sizeof head - sizeof head[0]), payload.data, payload.size);
        int r = make_room(j, sizeof head + payload.size, urgent);
        if (r < 0)
                return r;
        struct iovec parts[] = {{head, sizeof head}, {(void *)payload.data, payload.size}};
        /* A write that failed half way leaves `used` where it was: the next entry overwrites the torn one. */
        r = write_at(j->fd, parts, 2, j->used);
        if (r < 0)
                return r;
        j->used += sizeof head + payload.size;
        return 0;
}

int vg_journal_replace(struct vg_journal *journal, const char *name, struct vg_journal *next, const char *next_name) {
        if (renameat(next->directory, next_name, journal->directory, name) < 0) {
                int r = -errno;
                unlinkat(next->directory, next_name, 0);
                vg_journal_done(next);
                return r;
        }
        vg_journal_done(journal);
        *journal = *next;
        journal->compact_at = journal->used * 2 > COMPACT ? journal->used * 2 : COMPACT;
        next->fd = -1;
        return 0;
}

void vg_journal_done(struct vg_journal *journal) {
        if (journal->fd >= 0)
                close(journal->fd);
        journal->fd = -1;
}
