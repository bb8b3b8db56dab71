/* What a process forked from the core must shed before it is something else. */
#ifndef VG_RUNTIME_HYGIENE_H
#define VG_RUNTIME_HYGIENE_H

/* All signals unblocked and at their default: the core blocks them for its signalfd. */
void vg_reset_signals(void);
/* Closes every descriptor of the number `from` and above but those in `keep` (-1 is skipped). */
int vg_close_others(unsigned from, const int *keep, unsigned n_keep);
/* /dev/null on those of 0, 1, 2 that are closed, so that nothing opened later takes their place. */
int vg_fill_stdio(void);

#endif
