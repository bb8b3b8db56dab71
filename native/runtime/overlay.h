#ifndef VG_RUNTIME_OVERLAY_H
#define VG_RUNTIME_OVERLAY_H

/* mount(2) takes one page of options, and an image of many layers has more lower directories than fit. If they do not fit,
 * makes them relative to what they have in common: `data` is replaced, and `ret_base` is the directory to mount from.
 * Otherwise leaves both as they are. */
int vg_overlay_shorten(char **data, int *ret_base);

#endif
