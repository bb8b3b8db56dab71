#include "launcher/args.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"

#define IDENTIFIER_MAX 76

bool vg_identifier_valid(const char *s) {
        size_t size = strlen(s);
        if (size == 0 || size > IDENTIFIER_MAX)
                return false;
        bool separator = true; /* as if one stood before the first character: it must be a letter or digit */
        for (; *s; s++) {
                bool is_separator = *s == '.' || *s == '_' || *s == '-';
                if (!is_separator && !(isascii((unsigned char)*s) && isalnum((unsigned char)*s)))
                        return false;
                if (is_separator && separator)
                        return false;
                separator = is_separator;
        }
        return !separator;
}

static const struct {
        const char *name;
        size_t offset;
} text_flags[] = {
        {"namespace", offsetof(struct vg_args, name_space)}, {"id", offsetof(struct vg_args, id)},
        {"address", offsetof(struct vg_args, address)},      {"publish-binary", offsetof(struct vg_args, publish_binary)},
        {"bundle", offsetof(struct vg_args, bundle)},        {"socket", offsetof(struct vg_args, socket)},
};

static const struct {
        const char *word;
        enum vg_action action;
} actions[] = {{"start", VG_ACTION_START}, {"delete", VG_ACTION_DELETE}};

static int refuse(char message[256], const char *format, const char *word) {
        char text[128];
        snprintf(text, sizeof text, "%s", word); /* a long word is cut, not spread over the terminal */
        snprintf(message, 256, format, text);
        return -EINVAL;
}

static const char **text_flag(struct vg_args *args, const char *name, size_t size) {
        for (size_t i = 0; i < VG_COUNT(text_flags); i++)
                if (strlen(text_flags[i].name) == size && strncmp(text_flags[i].name, name, size) == 0)
                        return (const char **)((char *)args + text_flags[i].offset);
        return NULL;
}

static int parse_flag(struct vg_args *args, char **argv, int argc, int *at, char message[256]) {
        const char *word = argv[*at];
        const char *name = word + (word[1] == '-' ? 2 : 1);
        const char *equals = strchr(name, '=');
        size_t size = equals ? (size_t)(equals - name) : strlen(name);

        const char **text = text_flag(args, name, size);
        if (text) {
                if (!equals && *at + 1 >= argc)
                        return refuse(message, "flag %s needs a value", word);
                *text = equals ? equals + 1 : argv[++*at];
                return 0;
        }
        if (equals)
                return refuse(message, "unknown flag %s", word);
        if (strcmp(name, "debug") == 0)
                args->debug = true;
        else if (strcmp(name, "info") == 0)
                args->action = VG_ACTION_INFO;
        else if (strcmp(name, "v") == 0 || strcmp(name, "version") == 0)
                args->action = VG_ACTION_VERSION;
        else
                return refuse(message, "unknown flag %s", word);
        return 0;
}

int vg_args_parse(int argc, char **argv, struct vg_args *ret_args, char ret_message[256]) {
        struct vg_args args = {.name_space = "", .id = "", .address = "", .publish_binary = "", .bundle = "", .socket = ""};
        for (int i = 1; i < argc; i++) {
                if (argv[i][0] == '-' && argv[i][1]) {
                        int r = parse_flag(&args, argv, argc, &i, ret_message);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (args.action == VG_ACTION_START || args.action == VG_ACTION_DELETE)
                        return refuse(ret_message, "unexpected argument %s", argv[i]);
                for (size_t a = 0; a < VG_COUNT(actions); a++)
                        if (strcmp(argv[i], actions[a].word) == 0)
                                args.action = actions[a].action;
                if (args.action == VG_ACTION_NONE)
                        return refuse(ret_message, "unknown action %s: start and delete are known", argv[i]);
        }
        if (args.action == VG_ACTION_NONE)
                return refuse(ret_message, "%s", "no action: give start or delete, or -info, or -v");
        if (args.action == VG_ACTION_START || args.action == VG_ACTION_DELETE) {
                if (!vg_identifier_valid(args.name_space))
                        return refuse(ret_message,
                                      "-namespace \"%s\" is not an identifier: letters, digits and single . _ - between them",
                                      args.name_space);
                if (!vg_identifier_valid(args.id))
                        return refuse(ret_message, "-id \"%s\" is not an identifier: letters, digits and single . _ - between them",
                                      args.id);
        }
        *ret_args = args;
        return 0;
}
