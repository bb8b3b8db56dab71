/* The journal file of a core (format: lib/journal_read.h). Appended with plain writes: what must be outlived is the core, not the
 * machine, whose containers end with it; so the page cache is enough and nothing waits for a disk. */
#ifndef VG_JOURNAL_H
#define VG_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/journal_read.h"
#include "lib/wire.h"

struct vg_journal {
        int directory; /* borrowed */
        int fd;
        uint64_t used, allocated;
        uint64_t compact_at; /* `used` from which on it is worth writing the live content anew */
};

/* Makes `name` in the directory, with blocks ahead of what is written. */
int vg_journal_create(int directory, const char *name, struct vg_journal *ret_journal);
/* Whole or not at all. Only an urgent entry (a fact) may use the blocks that are kept in reserve for a full disk. */
int vg_journal_append(struct vg_journal *journal, enum vg_journal_type type, struct vg_bytes payload, bool urgent);
/* `next` has been written as `next_name`: it takes the place of `journal` under its name. On failure `next` is gone. */
int vg_journal_replace(struct vg_journal *journal, const char *name, struct vg_journal *next, const char *next_name);
void vg_journal_done(struct vg_journal *journal);

#endif
