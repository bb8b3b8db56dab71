/* What a child in a user namespace has no privilege for, done for it by the helper, which has the host's: the child asks over
 * their private socket and waits. Paths are looked up in the child's mount namespace, so that what comes back can be bound there. */
#ifndef VG_RUNTIME_FAVOUR_H
#define VG_RUNTIME_FAVOUR_H

#include <stdbool.h>
#include <sys/resource.h>

#include "runtime/idmap_tree.h"
#include "runtime/spawn.h"

/* O_PATH and `flags`; every symbolic link is followed as the child's mount namespace has it. */
int vg_favour_open(struct vg_child *c, const char *path, int flags, int *ret_fd);
/* Writes `text` to the child's own file in /proc: "uid_map", "gid_map", "setgroups", "oom_score_adj", "timens_offsets". */
int vg_favour_write(struct vg_child *c, const char *file, const char *text);
#define VG_FAVOUR_WORDS_SIZE 512
/* Has `program` (newuidmap, newgidmap) write a map; on failure with its words. */
int vg_favour_map(struct vg_child *c, const char *program, const char *map, char ret_words[VG_FAVOUR_WORDS_SIZE]);
int vg_favour_rlimit(struct vg_child *c, unsigned resource, const struct rlimit *limit);
/* A detached mount. */
int vg_favour_idmap(struct vg_child *c, const struct vg_idmap *wanted, int *ret_fd);

/* The helper's side. Whether a message with that tag is for vg_favour_answer(). */
bool vg_favour_is(char tag);
/* Takes one message from the child, answers it. -errno: the child cannot be talked to; that a favour failed is the child's matter. */
int vg_favour_answer(int proc, const struct vg_spawned *spawned);

#endif
