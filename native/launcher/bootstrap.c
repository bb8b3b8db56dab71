#include "launcher/bootstrap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/protobuf.h"

/* Fields of containerd.runtime.bootstrap.v1.BootstrapParams and of its Extension. */
enum {
        PARAMS_INSTANCE_ID = 1,
        PARAMS_NAMESPACE = 2,
        PARAMS_TTRPC_ADDRESS = 5,
        PARAMS_EXTENSIONS = 8,
        PARAMS_SOCKET_DIR = 9,
        EXTENSION_VALUE = 1,
        ANY_TYPE_URL = 1,
};

static const char *const option_types[] = {
        "containerd.runc.v1.Options",
        "containerd.linux.runc.CreateOptions",
        "runtimeoptions.v1.Options",
};

static bool text_is(struct vg_bytes b, const char *s) {
        return b.size == strlen(s) && memcmp(b.data, s, b.size) == 0;
}

/* The part behind the last slash names the message, with and without a prefix. */
static bool is_options(struct vg_bytes any) {
        struct vg_reader r = vg_reader_of(any.data, any.size);
        struct vg_pb_field f;
        while (vg_pb_next(&r, &f)) {
                if (f.number != ANY_TYPE_URL || f.type != 2)
                        continue;
                const uint8_t *slash = memrchr(f.bytes.data, '/', f.bytes.size);
                if (slash)
                        f.bytes = (struct vg_bytes){slash + 1, (size_t)(f.bytes.data + f.bytes.size - slash - 1)};
                for (size_t i = 0; i < sizeof option_types / sizeof *option_types; i++)
                        if (text_is(f.bytes, option_types[i]))
                                return true;
        }
        return false;
}

static void keep_text(struct vg_bytes b, char *into, size_t room) {
        if (b.size < room && !memchr(b.data, 0, b.size)) {
                memcpy(into, b.data, b.size);
                into[b.size] = 0;
        }
}

/* True only for parameters that name this very instance: an Any of options never does. */
static bool read_params(struct vg_bytes input, const struct vg_args *args, struct vg_bootstrap *b) {
        struct vg_reader r = vg_reader_of(input.data, input.size);
        struct vg_pb_field f;
        bool id = false, name_space = false;
        while (vg_pb_next(&r, &f)) {
                if (f.type != 2)
                        continue;
                if (f.number == PARAMS_INSTANCE_ID)
                        id = text_is(f.bytes, args->id);
                else if (f.number == PARAMS_NAMESPACE)
                        name_space = text_is(f.bytes, args->name_space);
                else if (f.number == PARAMS_TTRPC_ADDRESS)
                        keep_text(f.bytes, b->ttrpc_address, sizeof b->ttrpc_address);
                else if (f.number == PARAMS_SOCKET_DIR)
                        keep_text(f.bytes, b->socket_dir, sizeof b->socket_dir);
                else if (f.number == PARAMS_EXTENSIONS) {
                        struct vg_reader extension = vg_reader_of(f.bytes.data, f.bytes.size);
                        struct vg_pb_field e;
                        while (vg_pb_next(&extension, &e))
                                if (e.number == EXTENSION_VALUE && e.type == 2 && is_options(e.bytes) && b->options.size == 0)
                                        vg_put_raw(&b->options, e.bytes.data, e.bytes.size);
                }
        }
        return !r.error && id && name_space;
}

int vg_bootstrap_read(int fd, const struct vg_args *args, struct vg_bootstrap *ret_bootstrap) {
        _cleanup_writer_ struct vg_writer input = {0};
        uint8_t chunk[4096];
        while (!isatty(fd)) {
                ssize_t n = read(fd, chunk, sizeof chunk);
                if (n == 0 || (n < 0 && errno == EBADF))
                        break;
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                vg_put_raw(&input, chunk, (size_t)n);
                if (input.size > VG_BOOTSTRAP_MAX)
                        return -EMSGSIZE;
        }
        if (input.error)
                return input.error;

        struct vg_bootstrap b = {0};
        if (!read_params((struct vg_bytes){input.data, input.size}, args, &b)) {
                vg_bootstrap_done(&b);
                b = (struct vg_bootstrap){0};
                vg_put_raw(&b.options, input.data, input.size);
        }
        if (b.options.error) {
                vg_bootstrap_done(&b);
                return -ENOMEM;
        }
        *ret_bootstrap = b;
        return 0;
}

void vg_bootstrap_done(struct vg_bootstrap *b) {
        vg_writer_done(&b->options);
}
