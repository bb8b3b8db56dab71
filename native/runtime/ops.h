/* The payloads of ops: each op has a signature, one letter an argument, so that one decoder reads them all. */
#ifndef VG_RUNTIME_OPS_H
#define VG_RUNTIME_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire.h"

#define VG_OP_ARGS_MAX 8

/*   1 2 4 8   an unsigned number of so many bytes      s   str                S   list(str)
 *   b         bytes                                    N   list(u32)          T   list(str, str, str) */
struct vg_op_args {
        const char *signature;
        struct {
                uint64_t number;
                char *string;
                char **strings;        /* S: as it is; T: three for one */
                struct vg_bytes bytes; /* b, and the packed numbers of N */
        } at[VG_OP_ARGS_MAX];
};

/* Strings are copies, bytes are borrowed from the payload. 0, -EBADMSG or -ENOMEM. */
int vg_op_args_decode(const char *signature, struct vg_bytes payload, struct vg_op_args *ret_args);
void vg_op_args_done(struct vg_op_args *args);
#define _cleanup_op_args_ __attribute__((cleanup(vg_op_args_done)))

uint32_t vg_op_args_u32_at(const struct vg_op_args *args, unsigned argument, uint32_t index);
uint32_t vg_op_args_u32_count(const struct vg_op_args *args, unsigned argument);
uint32_t vg_strings_count(char *const *strings);

struct vg_op {
        uint16_t code, flags;
        struct vg_bytes payload;
};

/* True with the next op of a list; false at its end, with r->error set when it was malformed. */
bool vg_op_next(struct vg_reader *r, struct vg_op *ret_op);

/* A plan as somebody goes along in it who only carries out some of its ops. */
struct vg_plan_cursor {
        struct vg_reader at;
        uint32_t next_op; /* index of the op that comes next */
};

/* The next op with that code; false when there is none any more. */
bool vg_plan_find(struct vg_plan_cursor *cursor, uint16_t code, struct vg_op *ret_op);

struct vg_op_shape {
        uint16_t code;
        const char *signature;
        const char *name;
};

/* NULL for a code that there is not. */
const struct vg_op_shape *vg_op_shape_host(uint16_t code);
const struct vg_op_shape *vg_op_shape_child(uint16_t code);

#endif
