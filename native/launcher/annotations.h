/* The one look that C takes into config.json: the values of a few annotations, which say what group a container is in. */
#ifndef VG_ANNOTATIONS_H
#define VG_ANNOTATIONS_H

#include <stddef.h>

#define VG_ANNOTATION_MAX 256

struct vg_annotation {
        const char *key;
        char value[VG_ANNOTATION_MAX]; /* empty: absent, longer than this, or written with escapes other than plain ones */
};

/* Scans `size` bytes of JSON for the string values of these keys in the top-level object "annotations". -EINVAL if the text is not
 * JSON as far as it was read, with the offset in `ret_offset`. Nesting deeper than 256 is refused. */
int vg_annotations_scan(const char *json, size_t size, struct vg_annotation *wanted, size_t count, size_t *ret_offset);

#endif
