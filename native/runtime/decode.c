#include <errno.h>
#include <stdlib.h>

#include "runtime/ops.h"
#include "runtime/runtime.h"
#include "vigil.h"

static void get_joins(struct vg_reader *r, struct vg_birth *birth) {
        uint32_t count = vg_get_u32(r);
        /* One takes at least its flag and a length word. */
        if (!r->error && count > (size_t)(r->end - r->at) / (sizeof(uint64_t) + sizeof(uint32_t)))
                r->error = -EBADMSG;
        if (r->error || count == 0)
                return;
        birth->joins = calloc(count, sizeof *birth->joins);
        if (!birth->joins) {
                r->error = -ENOMEM;
                return;
        }
        birth->n_joins = count;
        for (uint32_t i = 0; i < count && !r->error; i++) {
                birth->joins[i].flag = vg_get_u64(r);
                birth->joins[i].path = vg_get_str(r);
        }
}

static int check_ops(struct vg_bytes ops, const struct vg_op_shape *(*shape_of)(uint16_t code)) {
        struct vg_reader r = vg_reader_of(ops.data, ops.size);
        struct vg_op op;
        while (vg_op_next(&r, &op)) {
                const struct vg_op_shape *shape = shape_of(op.code);
                if (!shape || (op.flags & ~VG_OP_OPTIONAL))
                        return -EBADMSG;
                _cleanup_op_args_ struct vg_op_args args = {0};
                int status = vg_op_args_decode(shape->signature, op.payload, &args);
                if (status < 0)
                        return status;
        }
        return r.error;
}

static int check_birth(const struct vg_birth *birth) {
        for (unsigned i = 0; i < 3; i++)
                if (birth->streams[i].kind > VG_STREAM_INHERIT)
                        return -EBADMSG;
        bool logger = birth->streams[1].kind == VG_STREAM_LOGGER || birth->streams[2].kind == VG_STREAM_LOGGER;
        if (logger && !birth->logger_argv[0])
                return -EBADMSG;
        if (birth->watch > 2 || birth->cgroup > 2 || (birth->cgroup == 0) != !birth->cgroup_directories[0] ||
            (birth->cgroup == 2 && birth->cgroup_directories[1]))
                return -EBADMSG;
        if (birth->oci && (!birth->oci->program.argv[0] || birth->ops.size > 0 || birth->watch || birth->cgroup))
                return -EBADMSG;
        if (birth->restore &&
            (vg_strings_count(birth->restore->inherited) != 3 || birth->ops.size > 0 || birth->cgroup || birth->exec[0]))
                return -EBADMSG;
        int status = check_ops(birth->script, vg_op_shape_host);
        if (status == 0 && birth->restore)
                status = check_ops(birth->restore->undo, vg_op_shape_host);
        return status < 0 ? status : check_ops(birth->ops, vg_op_shape_child);
}

static struct vg_birth get_birth(struct vg_reader *r) {
        struct vg_birth birth = {.listener = -1};
        birth.container = vg_get_str(r);
        birth.exec = vg_get_str(r);
        birth.teardown = vg_get_str(r);
        birth.terminal = vg_get_u8(r);
        birth.io_uid = vg_get_u32(r);
        birth.io_gid = vg_get_u32(r);
        birth.io_timeout_ms = vg_get_u32(r);
        for (unsigned i = 0; i < 3; i++) {
                birth.streams[i].kind = vg_get_u8(r);
                birth.streams[i].path = vg_get_str(r);
        }
        birth.logger_argv = vg_get_strv(r);
        birth.logger_env = vg_get_strv(r);
        birth.logger_must_ready = vg_get_u8(r);
        birth.script = vg_get_bytes(r);
        birth.watch = vg_get_u8(r);
        birth.watch_cgroup = vg_get_str(r);
        birth.held = vg_get_strv(r);
        birth.snapshot = vg_get_strv(r);
        birth.clone_flags = vg_get_u64(r);
        get_joins(r, &birth);
        birth.init_namespaces = vg_get_u64(r);
        birth.cgroup = vg_get_u8(r);
        birth.cgroup_directories = vg_get_strv(r);
        birth.ops = vg_get_bytes(r);
        return birth;
}

static struct vg_program get_program(struct vg_reader *r) {
        struct vg_program program = {.argv = vg_get_strv(r)};
        program.input = vg_get_bytes(r);
        program.log = vg_get_str(r);
        program.timeout_ms = vg_get_u32(r);
        return program;
}

static void get_oci(struct vg_reader *r, struct vg_birth *birth) {
        birth->oci = calloc(1, sizeof *birth->oci);
        if (!birth->oci) {
                r->error = -ENOMEM;
                return;
        }
        birth->oci->program = get_program(r);
        birth->oci->undo = get_program(r);
        birth->oci->pid_file = vg_get_str(r);
        birth->oci->console = vg_get_str(r);
        birth->oci->files = vg_get_strv(r);
}

static void get_restore(struct vg_reader *r, struct vg_birth *birth) {
        struct vg_restore *restore = birth->restore = calloc(1, sizeof *restore);
        if (!restore) {
                r->error = -ENOMEM;
                return;
        }
        restore->criu.program = vg_get_str(r);
        restore->criu.request = vg_get_u32(r);
        restore->criu.options = vg_get_bytes(r);
        restore->criu.images = vg_get_str(r);
        restore->criu.work = vg_get_str(r);
        restore->criu.timeout_ms = vg_get_u32(r);
        restore->root = vg_get_str(r);
        restore->inherited = vg_get_strv(r);
        restore->directories = vg_get_strv(r);
        restore->files = vg_get_strv(r);
        restore->undo = vg_get_bytes(r);
}

static int check(struct vg_reader *r, struct vg_birth birth, struct vg_birth *ret_birth) {
        int status = vg_reader_end(r);
        if (status == 0)
                status = check_birth(&birth);
        if (status < 0) {
                vg_birth_done(&birth);
                return status;
        }
        *ret_birth = birth;
        return 0;
}

int vg_birth_decode(struct vg_reader *r, struct vg_birth *ret_birth) {
        struct vg_birth birth = get_birth(r);
        return check(r, birth, ret_birth);
}

int vg_birth_decode_oci(struct vg_reader *r, struct vg_birth *ret_birth) {
        struct vg_birth birth = get_birth(r);
        get_oci(r, &birth);
        return check(r, birth, ret_birth);
}

int vg_birth_decode_restore(struct vg_reader *r, struct vg_birth *ret_birth) {
        struct vg_birth birth = get_birth(r);
        get_restore(r, &birth);
        return check(r, birth, ret_birth);
}

static void restore_free(struct vg_restore *restore) {
        if (!restore)
                return;
        free(restore->criu.program);
        free(restore->criu.images);
        free(restore->criu.work);
        free(restore->root);
        vg_strv_free(restore->inherited);
        vg_strv_free(restore->directories);
        vg_strv_free(restore->files);
        free(restore);
}

static void oci_free(struct vg_oci *oci) {
        if (!oci)
                return;
        vg_strv_free(oci->program.argv);
        free(oci->program.log);
        vg_strv_free(oci->undo.argv);
        free(oci->undo.log);
        free(oci->pid_file);
        free(oci->console);
        vg_strv_free(oci->files);
        free(oci);
}

void vg_birth_done(struct vg_birth *birth) {
        free(birth->container);
        free(birth->exec);
        free(birth->teardown);
        for (unsigned i = 0; i < 3; i++)
                free(birth->streams[i].path);
        vg_strv_free(birth->logger_argv);
        vg_strv_free(birth->logger_env);
        free(birth->watch_cgroup);
        vg_strv_free(birth->held);
        vg_strv_free(birth->snapshot);
        for (uint32_t i = 0; i < birth->n_joins; i++)
                free(birth->joins[i].path);
        free(birth->joins);
        vg_strv_free(birth->cgroup_directories);
        oci_free(birth->oci);
        restore_free(birth->restore);
        *birth = (struct vg_birth){0};
}
