/* Commands by key: each is done once; its result is kept until the key's request is committed as finished. */
#ifndef VG_KEPT_H
#define VG_KEPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/map.h"
#include "lib/wire.h"
#include "vigil.h"

struct vg_core;

struct vg_result {
        int status; /* 0 or -errno */
        uint32_t op;
        const char *message; /* NULL: strerror's */
        struct vg_bytes data;
};

struct vg_kept {
        struct vg_map_entry by_key;
        TAILQ_ENTRY(vg_kept) link;
        char key[VG_KEY_MAX + 1];
        bool done, dropped;          /* dropped: the request is over, the command is not */
        uint32_t asked_epoch, asked; /* commands of that epoch which wait for the result */
        int status;
        uint32_t op;
        char *message;
        uint8_t data[8]; /* a birth's pid */
        size_t size;
};

struct vg_keep {
        struct vg_map by_key;
        TAILQ_HEAD(, vg_kept) list; /* the oldest first */
        size_t count;
};

/* Beyond it the oldest result that no unanswered request owns is forgotten; when there is none, commands get -ENOBUFS. */
#define VG_KEPT_MAX 8192

/* 0: new, the command is to be done and ended with vg_kept_done(). 1: it runs or is done; the answer is or will be given. */
int vg_kept_begin(struct vg_core *core, const char *key, struct vg_kept **ret_kept);
void vg_kept_done(struct vg_core *core, struct vg_kept *kept, const struct vg_result *result);
/* The command was malformed: as if it had never been given. */
void vg_kept_forget(struct vg_core *core, struct vg_kept *kept);
/* The request `key` is over: its results and those of its steps go. */
void vg_kept_drop(struct vg_core *core, const char *key);
void vg_keep_done(struct vg_core *core);
void vg_result_send(struct vg_core *core, const char *key, const struct vg_result *result);

#endif
