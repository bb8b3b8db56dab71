/* What a core is told by its launcher, and the paths that follow from it. */
#ifndef VG_CONFIG_H
#define VG_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VG_DIRECTORY_MAX 3072 /* leaves room for the names below within PATH_MAX */

struct vg_config {
        const char *namespace, *group, *address, *containerd_binary, *socket, *bundle, *ttrpc_address;
        const char *daemon; /* instead of Node and the bundled daemon; NULL */
        bool debug;
        char libdir[PATH_MAX];
        char cores[VG_DIRECTORY_MAX];     /* RUN/cores/NS: one directory a container */
        char own[VG_DIRECTORY_MAX];       /* RUN/cores/NS/GROUP */
        char state_dir[VG_DIRECTORY_MAX]; /* STATE/NS/GROUP-BIRTH */
        char boot_id[17];
        uint64_t birth_real;
        uint8_t *options; /* what containerd gave `start` on stdin */
        size_t options_size;
};

enum {
        VG_FD_LISTENER = 3,
        VG_FD_LOG = 4,
        VG_FD_OPTIONS = 5,
};

/* On failure *ret_error says in words what is wrong. */
int vg_config_parse(int argc, char **argv, struct vg_config *ret_config, const char **ret_error);
/* Names that become path components: not empty, no slash, not "." or "..", at most 200 bytes. */
bool vg_name_is_valid(const char *name);

#endif
