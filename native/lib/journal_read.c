#include "lib/journal_read.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/crc32c.h"

/* Next whole entry; false at the end. */
static bool next_entry(struct vg_reader *r, uint32_t *ret_type, struct vg_bytes *ret_payload) {
        size_t have = (size_t)(r->end - r->at);
        if (have < VG_JOURNAL_ENTRY_HEADER)
                return false;
        uint32_t head[3];
        memcpy(head, r->at, sizeof head);
        if (head[1] > have - VG_JOURNAL_ENTRY_HEADER)
                return false;
        if (vg_crc32c(0, r->at + sizeof head[0], VG_JOURNAL_ENTRY_HEADER - sizeof head[0] + head[1]) != head[0])
                return false;
        *ret_type = head[2];
        *ret_payload = (struct vg_bytes){r->at + VG_JOURNAL_ENTRY_HEADER, head[1]};
        r->at += VG_JOURNAL_ENTRY_HEADER + head[1];
        return true;
}

static int read_header(struct vg_reader *r, struct vg_journal_summary *s) {
        if (vg_get_u32(r) != VG_JOURNAL_VERSION && !r->error)
                return -EPROTONOSUPPORT;
        vg_get_bytes(r);
        vg_get_bytes(r);
        vg_get_bytes(r);
        s->birth_real = vg_get_u64(r);
        s->facts_through = vg_get_u64(r);
        s->last_fact = vg_get_u64(r);
        s->delivered_through = vg_get_u64(r);
        s->last_outbox = vg_get_u64(r);
        return vg_reader_end(r);
}

static int visit_states(struct vg_reader *r, const struct vg_journal_visitor *v) {
        uint32_t states = vg_get_u32(r);
        for (uint32_t i = 0; i < states && !r->error; i++) {
                _cleanup_free_ char *container = vg_get_str(r);
                bool present = vg_get_u8(r);
                struct vg_bytes blob = vg_get_bytes(r);
                int q = !r->error && v->state ? v->state(v->owner, container, present, blob) : 0;
                if (q < 0)
                        return q;
        }
        return r->error;
}

static int visit_outbox(struct vg_reader *r, const struct vg_journal_visitor *v, uint64_t delivered) {
        uint32_t entries = vg_get_u32(r);
        for (uint32_t i = 0; i < entries && !r->error; i++) {
                uint64_t seq = vg_get_u64(r), fact = vg_get_u64(r);
                struct vg_bytes entry = vg_get_bytes(r);
                int q = !r->error && v->outbox && seq > delivered ? v->outbox(v->owner, seq, fact, entry) : 0;
                if (q < 0)
                        return q;
        }
        return r->error;
}

static int visit_init(struct vg_reader *r, const struct vg_journal_visitor *v) {
        _cleanup_free_ char *container = vg_get_str(r);
        struct vg_journal_init init = {.container = container};
        init.present = vg_get_u8(r);
        init.pid = vg_get_u32(r);
        init.start_time = vg_get_u64(r);
        init.exited = vg_get_u8(r);
        init.exit_status = vg_get_u32(r);
        init.exited_real = vg_get_u64(r);
        int q = vg_reader_end(r);
        return q < 0 || !v->init ? q : v->init(v->owner, &init);
}

/* Which facts and outbox entries are settled is said by what comes after them, so this runs over the file first. */
static int summarize(struct vg_reader r, struct vg_journal_summary *s) {
        const uint8_t *begin = r.at;
        uint32_t type;
        struct vg_bytes payload;
        for (bool first = true; next_entry(&r, &type, &payload); first = false) {
                struct vg_reader p = vg_reader_of(payload.data, payload.size);
                if (first != (type == VG_JOURNAL_HEADER))
                        return -EBADMSG;
                if (type == VG_JOURNAL_HEADER) {
                        int q = read_header(&p, s);
                        if (q < 0)
                                return q;
                } else if (type == VG_JOURNAL_FACT) {
                        uint64_t seq = vg_get_u64(&p);
                        if (seq > s->last_fact)
                                s->last_fact = seq;
                } else if (type == VG_JOURNAL_COMMIT) {
                        vg_get_bytes(&p);
                        uint64_t through = vg_get_u64(&p), last_seq = vg_get_u64(&p);
                        if (through > s->facts_through)
                                s->facts_through = through;
                        if (last_seq > s->last_outbox)
                                s->last_outbox = last_seq;
                } else if (type == VG_JOURNAL_DELIVERED) {
                        uint64_t seq = vg_get_u64(&p);
                        if (seq > s->delivered_through)
                                s->delivered_through = seq;
                }
                if (p.error)
                        return p.error;
        }
        s->size = (uint64_t)(r.at - begin);
        return s->size > 0 ? 0 : -EBADMSG;
}

static int visit(struct vg_reader r, const struct vg_journal_visitor *v, const struct vg_journal_summary *s) {
        uint32_t type;
        struct vg_bytes payload;
        while (next_entry(&r, &type, &payload)) {
                struct vg_reader p = vg_reader_of(payload.data, payload.size);
                int q = 0;
                if (type == VG_JOURNAL_FACT) {
                        uint64_t seq = vg_get_u64(&p);
                        uint8_t kind = vg_get_u8(&p);
                        q = !p.error && v->fact && seq > s->facts_through ? v->fact(v->owner, seq, kind, payload) : p.error;
                } else if (type == VG_JOURNAL_COMMIT) {
                        vg_get_bytes(&p);
                        vg_get_u64(&p);
                        vg_get_u64(&p);
                        q = visit_states(&p, v);
                        if (q >= 0)
                                q = visit_outbox(&p, v, s->delivered_through);
                } else if (type == VG_JOURNAL_INIT) {
                        q = visit_init(&p, v);
                }
                if (q < 0)
                        return q;
        }
        return 0;
}

int vg_journal_visit(struct vg_bytes journal, const struct vg_journal_visitor *visitor, struct vg_journal_summary *ret_summary) {
        struct vg_journal_summary s = {0};
        struct vg_reader r = vg_reader_of(journal.data, journal.size);
        int q = summarize(r, &s);
        if (q >= 0)
                q = visit(r, visitor, &s);
        if (q < 0)
                return q;
        if (ret_summary)
                *ret_summary = s;
        return 0;
}

int vg_journal_read(const char *path, const struct vg_journal_visitor *visitor, struct vg_journal_summary *ret_summary) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        struct stat st;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > VG_JOURNAL_MAX)
                return -EBADMSG;
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
                return -errno;
        int r = vg_journal_visit((struct vg_bytes){data, (size_t)st.st_size}, visitor, ret_summary);
        munmap(data, (size_t)st.st_size);
        return r;
}
