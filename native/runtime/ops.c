#include "runtime/ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char **get_triples(struct vg_reader *r) {
        uint32_t count = vg_get_u32(r);
        if (!r->error && count > (size_t)(r->end - r->at) / (3 * sizeof(uint32_t)))
                r->error = -EBADMSG;
        if (r->error)
                return NULL;
        char **v = calloc((size_t)count * 3 + 1, sizeof *v);
        if (!v) {
                r->error = -ENOMEM;
                return NULL;
        }
        for (size_t i = 0; i < (size_t)count * 3; i++) {
                v[i] = vg_get_str(r);
                if (!v[i]) {
                        vg_strv_free(v);
                        return NULL;
                }
        }
        return v;
}

static struct vg_bytes get_numbers(struct vg_reader *r) {
        uint32_t count = vg_get_u32(r);
        if (!r->error && count > (size_t)(r->end - r->at) / sizeof(uint32_t))
                r->error = -EBADMSG;
        if (r->error)
                return (struct vg_bytes){(const uint8_t *)"", 0};
        struct vg_bytes numbers = {r->at, (size_t)count * sizeof(uint32_t)};
        r->at += numbers.size;
        return numbers;
}

int vg_op_args_decode(const char *signature, struct vg_bytes payload, struct vg_op_args *ret_args) {
        struct vg_reader r = vg_reader_of(payload.data, payload.size);
        _cleanup_op_args_ struct vg_op_args args = {.signature = signature};
        for (unsigned i = 0; signature[i]; i++)
                switch (signature[i]) {
                case '1':
                        args.at[i].number = vg_get_u8(&r);
                        break;
                case '2':
                        args.at[i].number = vg_get_u16(&r);
                        break;
                case '4':
                        args.at[i].number = vg_get_u32(&r);
                        break;
                case '8':
                        args.at[i].number = vg_get_u64(&r);
                        break;
                case 's':
                        args.at[i].string = vg_get_str(&r);
                        break;
                case 'S':
                        args.at[i].strings = vg_get_strv(&r);
                        break;
                case 'T':
                        args.at[i].strings = get_triples(&r);
                        break;
                case 'b':
                        args.at[i].bytes = vg_get_bytes(&r);
                        break;
                default: /* N */
                        args.at[i].bytes = get_numbers(&r);
                        break;
                }
        int status = vg_reader_end(&r);
        if (status < 0)
                return status;
        *ret_args = args;
        args = (struct vg_op_args){.signature = ""};
        return 0;
}

void vg_op_args_done(struct vg_op_args *args) {
        for (unsigned i = 0; i < VG_OP_ARGS_MAX; i++) {
                free(args->at[i].string);
                vg_strv_free(args->at[i].strings);
        }
        *args = (struct vg_op_args){.signature = ""};
}

uint32_t vg_op_args_u32_at(const struct vg_op_args *args, unsigned argument, uint32_t index) {
        uint32_t number;
        memcpy(&number, args->at[argument].bytes.data + (size_t)index * sizeof number, sizeof number);
        return number;
}

uint32_t vg_op_args_u32_count(const struct vg_op_args *args, unsigned argument) {
        return (uint32_t)(args->at[argument].bytes.size / sizeof(uint32_t));
}

uint32_t vg_strings_count(char *const *strings) {
        uint32_t count = 0;
        while (strings && strings[count])
                count++;
        return count;
}

bool vg_op_next(struct vg_reader *r, struct vg_op *ret_op) {
        if (r->error || r->at == r->end)
                return false;
        struct vg_op op = {.code = vg_get_u16(r), .flags = vg_get_u16(r)};
        op.payload = vg_get_bytes(r);
        if (r->error)
                return false;
        *ret_op = op;
        return true;
}

bool vg_plan_find(struct vg_plan_cursor *cursor, uint16_t code, struct vg_op *ret_op) {
        while (vg_op_next(&cursor->at, ret_op)) {
                cursor->next_op++;
                if (ret_op->code == code)
                        return true;
        }
        return false;
}
