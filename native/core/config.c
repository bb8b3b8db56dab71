#include "core/config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/loop.h"
#include "lib/cleanup.h"

enum { OPTIONS_MAX = 1 << 20 };

bool vg_name_is_valid(const char *name) {
        size_t size = strlen(name);
        return size > 0 && size <= 200 && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static const char *environment(const char *name, const char *otherwise) {
        const char *value = getenv(name);
        return value && *value ? value : otherwise;
}

/* vigil-core is installed beside what it starts. /proc/self/exe does not tell where: what runs is a sealed copy. */
static int find_libdir(const char *given, const char *self, char ret_path[PATH_MAX]) {
        if (snprintf(ret_path, PATH_MAX, "%s", given ? given : self) >= PATH_MAX)
                return -ENAMETOOLONG;
        char *slash = strrchr(ret_path, '/');
        if (!given && slash)
                *slash = 0;
        return given || slash ? 0 : -ENOENT;
}

/* The launcher has written all of them before it started us; a pipe that is still open for writing has said what it will. */
static int read_options(struct vg_config *c) {
        lseek(VG_FD_OPTIONS, 0, SEEK_SET); /* a memfd stands at its end; a pipe has no position */
        _cleanup_free_ uint8_t *data = malloc(OPTIONS_MAX);
        if (!data)
                return -ENOMEM;
        size_t size = 0;
        while (size < OPTIONS_MAX) {
                ssize_t n = read(VG_FD_OPTIONS, data + size, OPTIONS_MAX - size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break;
                size += (size_t)n;
        }
        uint8_t *fitted = realloc(data, size ? size : 1);
        if (!fitted)
                return -ENOMEM;
        data = NULL;
        c->options = fitted;
        c->options_size = size;
        return 0;
}

static int derive(struct vg_config *c) {
        const char *run = environment("VIGIL_RUN", "/run/vigil"), *state = environment("VIGIL_STATE", "/var/lib/vigil");
        uint64_t random;
        if (getrandom(&random, sizeof random, 0) != sizeof random)
                return -EIO;
        snprintf(c->boot_id, sizeof c->boot_id, "%016llx", (unsigned long long)random);
        c->birth_real = vg_now_real();
        int cores = snprintf(c->cores, sizeof c->cores, "%s/cores/%s", run, c->namespace);
        int own = snprintf(c->own, sizeof c->own, "%s/cores/%s/%s", run, c->namespace, c->group);
        int dir = snprintf(c->state_dir, sizeof c->state_dir, "%s/%s/%s-%llu", state, c->namespace, c->group,
                           (unsigned long long)c->birth_real);
        return cores < VG_DIRECTORY_MAX && own < VG_DIRECTORY_MAX && dir < VG_DIRECTORY_MAX ? 0 : -ENAMETOOLONG;
}

int vg_config_parse(int argc, char **argv, struct vg_config *ret_config, const char **ret_error) {
        struct vg_config c = {.address = "", .containerd_binary = "", .bundle = "", .socket = ""};
        const char *libdir = NULL;
        const char **const targets[] = {&c.namespace, &c.group,  &c.address, &c.containerd_binary,
                                        &c.socket,    &c.bundle, &libdir,    &c.daemon};
        static const struct option options[] = {
                {"namespace", required_argument, NULL, 0}, {"id", required_argument, NULL, 1},
                {"address", required_argument, NULL, 2},   {"publish-binary", required_argument, NULL, 3},
                {"socket", required_argument, NULL, 4},    {"bundle", required_argument, NULL, 5},
                {"libdir", required_argument, NULL, 6},    {"daemon", required_argument, NULL, 7},
                {"debug", no_argument, NULL, 'd'},         {0},
        };
        c.daemon = environment("VIGIL_DAEMON", NULL);
        c.ttrpc_address = environment("TTRPC_ADDRESS", "");
        opterr = 0;
        for (int o; (o = getopt_long_only(argc, argv, "", options, NULL)) != -1;) {
                if (o == 'd') {
                        c.debug = true;
                } else if (o == '?') {
                        *ret_error = "unknown flag or missing value";
                        return -EINVAL;
                } else {
                        *targets[o] = optarg;
                }
        }
        if (!c.namespace || !c.group || !vg_name_is_valid(c.namespace) || !vg_name_is_valid(c.group)) {
                *ret_error = "-namespace and -id must be names without a slash";
                return -EINVAL;
        }
        if (c.socket[0] != '/') {
                *ret_error = "-socket must be an absolute path";
                return -EINVAL;
        }
        *ret_error = "the paths cannot be composed (no -libdir, and called by a bare name?)";
        int r = derive(&c);
        if (r == 0)
                r = find_libdir(libdir, argv[0], c.libdir);
        if (r == 0)
                r = read_options(&c);
        if (r < 0)
                return r;
        *ret_config = c;
        return 0;
}
