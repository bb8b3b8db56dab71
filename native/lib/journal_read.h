/* The journal of a core: what it wrote down before anybody else saw it, in entries that are whole or not there.
 *
 * An entry is { u32 crc32c of all that follows, u32 payload size, u32 type, payload }; the file ends at the first one whose
 * checksum is wrong (the rest is preallocated zeroes or a torn write). Payloads are encoded as in vigil.h. */
#ifndef VG_JOURNAL_READ_H
#define VG_JOURNAL_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire.h"

#define VG_JOURNAL_VERSION 1
#define VG_JOURNAL_MAX (256u << 20) /* bytes; a longer file is not ours */
#define VG_JOURNAL_ENTRY_HEADER 12

enum vg_journal_type {
        /* First in the file: u32 version, str boot_id, str namespace, str group, u64 birth_real, u64 facts_through,
         * u64 last_fact, u64 delivered_through, u64 last_outbox */
        VG_JOURNAL_HEADER = 1,
        /* The payload of VG_REC_FACT: u64 seq, u8 kind, ... */
        VG_JOURNAL_FACT = 2,
        /* str key, u64 facts_through (0: unchanged), u64 last_seq (of the outbox, 0: unchanged), list(str container, bool present, bytes blob),
         * list(u64 seq, u64 fact, bytes entry), bool finished */
        VG_JOURNAL_COMMIT = 3,
        /* u64 seq: outbox entries up to it have been delivered */
        VG_JOURNAL_DELIVERED = 4,
        /* str container, bool present, u32 pid, u64 start_time, bool exited, u32 exit_status, u64 exited_real: what `delete` needs of
         * an init even when its facts are covered; the last one of a container counts, present = false forgets it */
        VG_JOURNAL_INIT = 5,
};

struct vg_journal_init {
        const char *container;
        bool present, exited;
        uint32_t pid, exit_status;
        uint64_t start_time, exited_real;
};

/* What is still owed or true, in the order in which it was written. A callback that returns less than 0 ends the reading with
 * that value; any may be NULL. Later calls of state() and init() for a container replace the earlier ones. */
struct vg_journal_visitor {
        void *owner;
        int (*fact)(void *owner, uint64_t seq, uint8_t kind,
                    struct vg_bytes payload); /* not covered by a commit; payload as in VG_REC_FACT */
        int (*state)(void *owner, const char *container, bool present, struct vg_bytes blob);
        int (*outbox)(void *owner, uint64_t seq, uint64_t fact, struct vg_bytes entry); /* not yet delivered */
        int (*init)(void *owner, const struct vg_journal_init *init);
};

struct vg_journal_summary {
        uint64_t birth_real, facts_through, last_fact, delivered_through, last_outbox;
        uint64_t size; /* bytes of whole entries */
};

/* `ret_summary` may be NULL. -EBADMSG: not a journal (no whole header). */
int vg_journal_read(const char *path, const struct vg_journal_visitor *visitor, struct vg_journal_summary *ret_summary);

/* The same for a journal in memory. */
int vg_journal_visit(struct vg_bytes journal, const struct vg_journal_visitor *visitor, struct vg_journal_summary *ret_summary);

#endif
