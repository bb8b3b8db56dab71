#include "core/receipts.h"

static unsigned slot(const struct vg_receipts *r, unsigned i) {
        return (r->first + i) % VG_RECEIPT_SPANS;
}

void vg_receipts_sent(struct vg_receipts *r, uint64_t number, uint64_t now) {
        if (r->count > 0) {
                unsigned last = slot(r, r->count - 1);
                if (r->count == VG_RECEIPT_SPANS || now - r->spans[last].since < VG_RECEIPT_SPAN_NS) {
                        r->spans[last].number = number;
                        return;
                }
        }
        unsigned next = slot(r, r->count++);
        r->spans[next].number = number;
        r->spans[next].since = now;
}

void vg_receipts_acknowledge(struct vg_receipts *r, uint64_t number) {
        if (number > r->acknowledged)
                r->acknowledged = number;
        while (r->count > 0 && r->spans[r->first].number <= r->acknowledged) {
                r->first = slot(r, 1);
                r->count--;
        }
}

uint64_t vg_receipts_oldest(const struct vg_receipts *r) {
        return r->count > 0 ? r->spans[r->first].since : 0;
}

void vg_receipts_restart(struct vg_receipts *r, uint64_t now) {
        for (unsigned i = 0; i < r->count; i++)
                r->spans[slot(r, i)].since = now;
}
