/* Journals with any payloads: the input is a list of u16 size, u8 type, payload; the checksums are made to be right. */
#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "lib/journal_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int see_fact(void *owner, uint64_t seq, uint8_t kind, struct vg_bytes payload) {
        (void)owner;
        return seq > 0 && kind == 255 && payload.size > 1000 ? -1 : 0;
}

static int see_state(void *owner, const char *container, bool present, struct vg_bytes blob) {
        (void)owner;
        return strlen(container) > 1000 && present && blob.size > 1000 ? -1 : 0;
}

static int see_outbox(void *owner, uint64_t seq, uint64_t fact, struct vg_bytes entry) {
        (void)owner;
        return seq > fact && entry.size > 1000 ? -1 : 0;
}

static int see_init(void *owner, const struct vg_journal_init *init) {
        (void)owner;
        return strlen(init->container) > 1000 && init->present ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct vg_reader input = vg_reader_of(data, size);
        struct vg_writer journal = {0};
        while (input.end - input.at >= 3) {
                uint16_t want = vg_get_u16(&input);
                uint32_t head[3] = {0, want, vg_get_u8(&input)};
                if (head[1] > (size_t)(input.end - input.at))
                        head[1] = (uint32_t)(input.end - input.at);
                head[0] = vg_crc32c(vg_crc32c(0, head + 1, sizeof head - sizeof head[0]), input.at, head[1]);
                vg_put_raw(&journal, head, sizeof head);
                vg_put_raw(&journal, input.at, head[1]);
                input.at += head[1];
        }
        const struct vg_journal_visitor visitor = {.fact = see_fact, .state = see_state, .outbox = see_outbox, .init = see_init};
        vg_journal_visit((struct vg_bytes){journal.data, journal.size}, &visitor, NULL);
        vg_writer_done(&journal);
        return 0;
}
