#include "launcher/options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/protobuf.h"

#define FILE_MAX (1u << 20)
#define KEY "BinaryName"

enum { ANY_TYPE_URL = 1, ANY_VALUE = 2, RUNC_BINARY_NAME = 6, GENERIC_CONFIG_PATH = 2, GENERIC_CONFIG_BODY = 3 };

/* The last field of that number counts, as in every reader of protobuf. */
static int find_bytes(struct vg_bytes message, uint32_t number, struct vg_bytes *ret) {
        struct vg_reader r = vg_reader_of(message.data, message.size);
        struct vg_pb_field f;
        while (vg_pb_next(&r, &f))
                if (f.number == number && f.type == 2)
                        *ret = f.bytes;
        return r.error;
}

static int copy(struct vg_bytes text, char **ret) {
        if (text.size == 0)
                return 0;
        if (memchr(text.data, 0, text.size))
                return -EBADMSG;
        *ret = strndup((const char *)text.data, text.size);
        return *ret ? 0 : -ENOMEM;
}

static size_t skip_blanks(const char *line, size_t at) {
        return at + strspn(line + at, " \t");
}

/* A string of TOML on one line: 'as it is', or "with escapes", of which no writer of paths needs others than these two. */
static int read_string(const char *value, char **ret) {
        char quote = value[0];
        if (quote != '"' && quote != '\'')
                return -EBADMSG;
        _cleanup_free_ char *text = calloc(1, strlen(value) + 1);
        if (!text)
                return -ENOMEM;
        size_t size = 0;
        const char *at = value + 1;
        for (; *at && *at != quote; at++) {
                if (quote == '"' && *at == '\\' && *++at != '"' && *at != '\\')
                        return -EBADMSG;
                text[size++] = *at;
        }
        if (*at != quote)
                return -EBADMSG;
        if (size > 0)
                *ret = TAKE_PTR(text);
        return 0;
}

/* The table of containerd's CRI configuration: its keys come before the first table in it. */
static int read_table(struct vg_bytes body, char **ret) {
        _cleanup_free_ char *text = NULL;
        int status = copy(body, &text);
        char *rest = NULL;
        for (char *line = text ? strtok_r(text, "\r\n", &rest) : NULL; line && status == 0; line = strtok_r(NULL, "\r\n", &rest)) {
                size_t at = skip_blanks(line, 0);
                if (line[at] == '[')
                        break;
                if (strncmp(line + at, KEY, strlen(KEY)) != 0)
                        continue;
                at = skip_blanks(line, at + strlen(KEY));
                if (line[at] == '=')
                        return read_string(line + skip_blanks(line, at + 1), ret);
        }
        return status;
}

static int read_file(struct vg_bytes path, char **ret) {
        _cleanup_writer_ struct vg_writer body = {0};
        _cleanup_free_ char *name = NULL;
        char part[4096];
        int status = copy(path, &name);
        if (status < 0)
                return status;
        _cleanup_fclose_ FILE *f = fopen(name, "re");
        if (!f)
                return -errno;
        for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0 && body.size <= FILE_MAX;)
                vg_put_raw(&body, part, n);
        if (ferror(f))
                return -EIO;
        if (body.size > FILE_MAX)
                return -EFBIG;
        return body.error ? body.error : read_table((struct vg_bytes){body.data, body.size}, ret);
}

static bool ends_with(struct vg_bytes text, const char *end) {
        size_t size = strlen(end);
        return text.size >= size && memcmp(text.data + text.size - size, end, size) == 0;
}

int vg_options_binary_name(struct vg_bytes any, char **ret_name) {
        struct vg_bytes type = {0}, value = {0}, name = {0}, body = {0}, path = {0};
        int status = find_bytes(any, ANY_TYPE_URL, &type);
        *ret_name = NULL;
        if (status == 0)
                status = find_bytes(any, ANY_VALUE, &value);
        if (status == 0 && ends_with(type, "containerd.runc.v1.Options")) {
                status = find_bytes(value, RUNC_BINARY_NAME, &name);
                return status < 0 ? status : copy(name, ret_name);
        }
        if (status < 0 || !ends_with(type, "runtimeoptions.v1.Options"))
                return status;
        status = find_bytes(value, GENERIC_CONFIG_BODY, &body);
        if (status == 0)
                status = find_bytes(value, GENERIC_CONFIG_PATH, &path);
        if (status < 0 || (body.size == 0 && path.size == 0))
                return status;
        return body.size > 0 ? read_table(body, ret_name) : read_file(path, ret_name);
}
