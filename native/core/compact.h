/* Writing the live content of the journal anew when most of the file is past. */
#ifndef VG_COMPACT_H
#define VG_COMPACT_H

struct vg_core;

/* Makes the state directory's journal with its header. */
int vg_journal_begin(struct vg_core *core);
void vg_compact_if_due(struct vg_core *core);

#endif
