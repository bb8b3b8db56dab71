#include "launcher/annotations.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define DEPTH_MAX 256

struct scanner {
        const char *start, *at, *end;
};

static void skip_space(struct scanner *s) {
        while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
                s->at++;
}

static bool take(struct scanner *s, char c) {
        skip_space(s);
        if (s->at >= s->end || *s->at != c)
                return false;
        s->at++;
        return true;
}

/* A string; its text goes to `into` when it fits and has no escapes but \" \\ \/, else `into` becomes empty. */
static int take_string(struct scanner *s, char *into, size_t room) {
        if (!take(s, '"'))
                return -EINVAL;
        size_t size = 0;
        bool plain = true;
        for (; s->at < s->end && *s->at != '"'; s->at++) {
                char c = *s->at;
                if ((unsigned char)c < 0x20)
                        return -EINVAL;
                if (c == '\\') {
                        if (++s->at >= s->end)
                                return -EINVAL;
                        c = *s->at;
                        if (c != '"' && c != '\\' && c != '/')
                                plain = false;
                }
                if (size + 1 < room)
                        into[size] = c;
                size++;
        }
        if (s->at >= s->end)
                return -EINVAL;
        s->at++;
        if (room > 0)
                into[plain && size < room ? size : 0] = 0;
        return 0;
}

/* Numbers and the three words: whatever ends at a delimiter; the daemon validates the document properly. */
static int skip_word(struct scanner *s) {
        const char *from = s->at;
        while (s->at < s->end &&
               (strchr("+-.", *s->at) || (*s->at >= '0' && *s->at <= '9') || (*s->at >= 'a' && *s->at <= 'z') || *s->at == 'E'))
                s->at++;
        return s->at > from ? 0 : -EINVAL;
}

/* Skips any value, without recursion: only the kind of each open bracket has to be remembered. */
static int skip_value(struct scanner *s) {
        char open[DEPTH_MAX];
        size_t depth = 0;
        do {
                skip_space(s);
                if (s->at >= s->end)
                        return -EINVAL;
                int r = 0;
                bool value_done = true;
                if (*s->at == '{' || *s->at == '[') {
                        if (depth == DEPTH_MAX)
                                return -EINVAL;
                        char close = *s->at++ == '{' ? '}' : ']';
                        if (!take(s, close)) {
                                open[depth++] = close;
                                value_done = false;
                        }
                } else
                        r = *s->at == '"' ? take_string(s, NULL, 0) : skip_word(s);
                if (r < 0)
                        return r;
                while (value_done && depth > 0) {
                        if (take(s, ','))
                                value_done = false;
                        else if (take(s, open[depth - 1]))
                                depth--;
                        else
                                return -EINVAL;
                }
                if (depth > 0 && open[depth - 1] == '}' && (take_string(s, NULL, 0) < 0 || !take(s, ':')))
                        return -EINVAL;
        } while (depth > 0);
        return 0;
}

static int scan_annotations(struct scanner *s, struct vg_annotation *wanted, size_t count) {
        if (!take(s, '{')) /* null, or something the daemon will refuse with its path */
                return skip_value(s);
        if (take(s, '}'))
                return 0;
        do {
                char key[VG_ANNOTATION_MAX];
                skip_space(s);
                if (take_string(s, key, sizeof key) < 0 || !take(s, ':'))
                        return -EINVAL;
                struct vg_annotation *found = NULL;
                for (size_t i = 0; i < count; i++)
                        if (strcmp(wanted[i].key, key) == 0)
                                found = &wanted[i];
                skip_space(s);
                int r = found && s->at < s->end && *s->at == '"' ? take_string(s, found->value, sizeof found->value)
                                                                 : skip_value(s);
                if (r < 0)
                        return r;
        } while (take(s, ','));
        return take(s, '}') ? 0 : -EINVAL;
}

int vg_annotations_scan(const char *json, size_t size, struct vg_annotation *wanted, size_t count, size_t *ret_offset) {
        struct scanner s = {json, json, json + size};
        for (size_t i = 0; i < count; i++)
                wanted[i].value[0] = 0;
        int r = take(&s, '{') ? 0 : -EINVAL;
        bool empty = r == 0 && take(&s, '}');
        while (r == 0 && !empty) {
                char key[32];
                r = take_string(&s, key, sizeof key);
                if (r == 0 && !take(&s, ':'))
                        r = -EINVAL;
                if (r == 0)
                        r = strcmp(key, "annotations") == 0 ? scan_annotations(&s, wanted, count) : skip_value(&s);
                if (r == 0 && !take(&s, ',')) {
                        r = take(&s, '}') ? 0 : -EINVAL;
                        break;
                }
        }
        *ret_offset = (size_t)(s.at - s.start);
        return r;
}
