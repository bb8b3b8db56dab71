/* One reading of an OOM counter, by path: for whoever holds no descriptor of it (`delete` after the core's death). */
#ifndef VG_OOM_COUNT_H
#define VG_OOM_COUNT_H

#include <stdint.h>

/* The value of `key` in a file of "key value" lines. On v1 the counter is a cgroup's own (Documentation/admin-guide/cgroup-v1/
 * memory.rst), so the files of the same name in all cgroups below are added. */
int vg_oom_count(int version, const char *file, const char *key, uint64_t *ret_count);

#endif
