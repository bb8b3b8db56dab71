/* The command line that containerd gives a shim: Go's flag syntax, one dash (two are accepted), value in the next word or
 * after '='; the action is the first word that is no flag. */
#ifndef VG_ARGS_H
#define VG_ARGS_H

#include <stdbool.h>

enum vg_action { VG_ACTION_NONE, VG_ACTION_START, VG_ACTION_DELETE, VG_ACTION_INFO, VG_ACTION_VERSION };

struct vg_args {
        enum vg_action action;
        const char *name_space, *id, *address, *publish_binary, *bundle, *socket;
        bool debug;
};

/* -EINVAL with a message of at most 255 bytes that says which word is wrong. */
int vg_args_parse(int argc, char **argv, struct vg_args *ret_args, char ret_message[256]);

/* containerd's identifiers: letters and digits, single '.', '_' or '-' between them, at most 76 (pkg/identifiers). */
bool vg_identifier_valid(const char *s);

#endif
