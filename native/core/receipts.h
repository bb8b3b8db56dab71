/* Since when the daemon has owed a receipt: the oldest record that it has not yet taken. */
#ifndef VG_RECEIPTS_H
#define VG_RECEIPTS_H

#include <stdint.h>

/* Records sent within this time are told apart no further: their span counts from its first. */
#define VG_RECEIPT_SPAN_NS 50000000u
/* Spans of one timeout, and some more; when the ring is full the last span grows. */
#define VG_RECEIPT_SPANS 128

struct vg_receipts {
        struct {
                uint64_t number, since;
        } spans[VG_RECEIPT_SPANS];
        unsigned first, count;
        uint64_t acknowledged;
};

void vg_receipts_sent(struct vg_receipts *receipts, uint64_t number, uint64_t now);
void vg_receipts_acknowledge(struct vg_receipts *receipts, uint64_t number);
/* When the oldest unacknowledged record was sent; 0: none is. */
uint64_t vg_receipts_oldest(const struct vg_receipts *receipts);
/* The clock cannot be held against the daemon: everything outstanding counts from now. */
void vg_receipts_restart(struct vg_receipts *receipts, uint64_t now);

#endif
