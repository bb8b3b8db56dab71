#include "launcher/settings.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

#ifndef VG_LIBDIR
#error "VG_LIBDIR: the directory that `make install` fills"
#endif

/* A text setting: its key in the file, its variable in the environment, and where it is kept. */
static const struct {
        const char *key, *variable;
        size_t offset, room;
} texts[] = {
        {"protocol", "VIGIL_PROTOCOL", offsetof(struct vg_settings, protocol), sizeof(((struct vg_settings *)0)->protocol)},
        {"node", "VIGIL_NODE", offsetof(struct vg_settings, node), sizeof(((struct vg_settings *)0)->node)},
        {"run", "VIGIL_RUN", offsetof(struct vg_settings, run_dir), sizeof(((struct vg_settings *)0)->run_dir)},
        {"state", "VIGIL_STATE", offsetof(struct vg_settings, state_dir), sizeof(((struct vg_settings *)0)->state_dir)},
        {"libdir", "VIGIL_LIBDIR", offsetof(struct vg_settings, lib_dir), sizeof(((struct vg_settings *)0)->lib_dir)},
};

static int set_text(struct vg_settings *s, size_t which, const char *value, char message[256]) {
        if (strlen(value) >= texts[which].room) {
                snprintf(message, 256, "setting %s: longer than %zu bytes", texts[which].key, texts[which].room - 1);
                return -EINVAL;
        }
        strcpy((char *)s + texts[which].offset, value);
        return 0;
}

static int set_version(struct vg_settings *s, const char *value, char message[256]) {
        if (strcmp(value, "2") != 0 && strcmp(value, "3") != 0) {
                snprintf(message, 256, "setting version: 2 or 3, not \"%.32s\"", value);
                return -EINVAL;
        }
        s->version = value[0] - '0';
        return 0;
}

static int read_file(struct vg_settings *s, const char *path, char message[256]) {
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        if (!f)
                return errno == ENOENT ? 0 : -errno;
        char line[512];
        while (fgets(line, sizeof line, f)) {
                line[strcspn(line, "\n")] = 0;
                char *equals = strchr(line, '=');
                if (line[0] == '#' || !equals)
                        continue;
                *equals = 0;
                int r = strcmp(line, "version") == 0 ? set_version(s, equals + 1, message) : 0;
                for (size_t i = 0; i < VG_COUNT(texts) && r == 0; i++)
                        if (strcmp(line, texts[i].key) == 0)
                                r = set_text(s, i, equals + 1, message);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The compiled-in directory, or else ../lib/vigil beside this executable: a moved installation still finds its files. */
static void find_lib_dir(struct vg_settings *s) {
        char probe[sizeof s->lib_dir + 16], self[4096];
        if (s->lib_dir[0])
                return;
        snprintf(probe, sizeof probe, "%s/vigil-core", VG_LIBDIR);
        strcpy(s->lib_dir, VG_LIBDIR);
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        if (n < 0)
                return;
        self[n] = 0;
        for (int up = 0; up < 2; up++) {
                char *slash = strrchr(self, '/');
                if (!slash)
                        return;
                *slash = 0;
        }
        char beside[sizeof self + 32];
        snprintf(beside, sizeof beside, "%s/lib/vigil/vigil-core", self);
        /* Beside comes first where it exists: a build tree or a second version runs its own core, not the installed one. */
        if (access(beside, X_OK) == 0 || access(probe, X_OK) != 0)
                snprintf(s->lib_dir, sizeof s->lib_dir, "%.*s/lib/vigil", (int)sizeof s->lib_dir - 16, self);
}

int vg_settings_load(struct vg_settings *ret_settings, char ret_message[256]) {
        struct vg_settings s = {.protocol = "ttrpc", .run_dir = "/run/vigil", .state_dir = "/var/lib/vigil"};
        const char *path = getenv("VIGIL_CONF");
        int r = read_file(&s, path ? path : "/etc/vigil/vigil.conf", ret_message);
        for (size_t i = 0; i < VG_COUNT(texts) && r == 0; i++) {
                const char *value = getenv(texts[i].variable);
                if (value && *value)
                        r = set_text(&s, i, value, ret_message);
        }
        const char *version = getenv("VIGIL_VERSION");
        if (r == 0 && version && *version)
                r = set_version(&s, version, ret_message);
        if (r < 0)
                return r;
        if (strcmp(s.protocol, "ttrpc") != 0 && strcmp(s.protocol, "grpc") != 0) {
                snprintf(ret_message, 256, "setting protocol: ttrpc or grpc, not \"%s\"", s.protocol);
                return -EINVAL;
        }
        /* Version 2 works with every containerd over ttrpc; gRPC clients speak the v3 service. */
        if (s.version == 0)
                s.version = strcmp(s.protocol, "grpc") == 0 ? 3 : 2;
        find_lib_dir(&s);
        *ret_settings = s;
        return 0;
}
