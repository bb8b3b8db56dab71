#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/annotations.h"
#include "launcher/bootstrap.h"
#include "launcher/registry.h"
#include "launcher/socket.h"
#include "launcher/spawn.h"
#include "launcher/verbs.h"
#include "lib/cleanup.h"

#define CONFIG_MAX (16u << 20) /* bytes of config.json; a larger one is refused */

static int fail(const char *what, int error) {
        fprintf(stderr, "vigil: %s: %s\n", what, strerror(-error));
        return 1;
}

/* Which containers share a shim (containerd's runc shim knows the same two annotations); without them each has its own. */
static int find_group(const char *id, char ret_group[VG_ANNOTATION_MAX]) {
        struct vg_annotation wanted[] = {{.key = "io.containerd.runc.v2.group"}, {.key = "io.kubernetes.cri.sandbox-id"}};
        snprintf(ret_group, VG_ANNOTATION_MAX, "%s", id);
        _cleanup_close_ int fd = open("config.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
                return errno == ENOENT ? 0 : -errno; /* the Create that follows refuses a bundle without one, and says so */
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        if (st.st_size > CONFIG_MAX)
                return -EFBIG;
        if (st.st_size == 0)
                return 0;
        char *json = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (json == MAP_FAILED)
                return -errno;
        size_t offset;
        /* What is no JSON has no group either: Create refuses it with the path of the fault. */
        int r = vg_annotations_scan(json, (size_t)st.st_size, wanted, VG_COUNT(wanted), &offset);
        munmap(json, (size_t)st.st_size);
        for (size_t i = 0; r == 0 && i < VG_COUNT(wanted); i++)
                if (wanted[i].value[0]) {
                        if (!vg_identifier_valid(wanted[i].value))
                                return -EINVAL;
                        snprintf(ret_group, VG_ANNOTATION_MAX, "%s", wanted[i].value);
                        break;
                }
        return 0;
}

/* containerd 1.7 reads this file when it restarts; a bare ttrpc address also suits a 2.x daemon that takes over. */
static int write_address(const char *text) {
        _cleanup_fclose_ FILE *f = fopen(".address", "we");
        if (!f)
                return -errno;
        if (fputs(text, f) < 0 || fflush(f) != 0 || rename(".address", "address") < 0) {
                int r = -errno;
                unlink(".address");
                return r;
        }
        return 0;
}

static int reply(const struct vg_settings *settings, const char *socket) {
        bool grpc = strcmp(settings->protocol, "grpc") == 0;
        char json[VG_SOCKET_PATH_MAX + 96], plain[VG_SOCKET_PATH_MAX + 16];
        /* containerd dials a gRPC address as a bare path and a ttrpc one as a URL. */
        snprintf(json, sizeof json, "{\"version\":%d,\"address\":\"%s%s\",\"protocol\":\"%s\"}", settings->version,
                 grpc ? "" : "unix://", socket, settings->protocol);
        snprintf(plain, sizeof plain, "unix://%s", socket);
        int r = write_address(!grpc && settings->version == 2 ? plain : json);
        if (r < 0)
                return fail("cannot write the bundle's address file", r);
        if (fputs(json, stdout) < 0 || fflush(stdout) != 0)
                return fail("cannot print the reply", -errno);
        return 0;
}

static int start_under_lock(struct vg_spawn *spawn, const struct vg_settings *settings) {
        const struct vg_args *args = spawn->args;
        struct vg_registration registration = {0};
        snprintf(registration.group, sizeof registration.group, "%s", spawn->group);
        snprintf(registration.socket, sizeof registration.socket, "%s", spawn->socket);
        snprintf(registration.bundle, sizeof registration.bundle, "%s", spawn->bundle);
        int r = vg_registration_write(settings->run_dir, args->name_space, args->id, &registration);
        if (r < 0)
                return fail("cannot register the container under the run directory", r);

        int listener = -1;
        r = vg_shim_socket_listen(spawn->socket, &listener);
        _cleanup_close_ int owned = listener;
        char message[256] = "cannot start the core";
        int result = 0;
        if (r < 0 && r != -EADDRINUSE)
                result = fail(spawn->socket, r);
        else if (r == 0) {
                spawn->listener = listener;
                r = vg_spawn_core(spawn, message);
                if (r < 0) {
                        unlink(spawn->socket);
                        fprintf(stderr, "vigil: %s\n", message);
                        result = 1;
                }
        }
        if (result == 0)
                result = reply(settings, spawn->socket);
        if (result != 0) {
                unsigned members = 1;
                vg_registration_remove(settings->run_dir, args->name_space, args->id);
                vg_group_members(settings->run_dir, args->name_space, spawn->group, args->id, &members);
                if (members == 0)
                        vg_group_remove(settings->run_dir, args->name_space, spawn->group);
        }
        return result;
}

int vg_start(const struct vg_args *args, const struct vg_settings *settings) {
        char group[VG_ANNOTATION_MAX], socket[VG_SOCKET_PATH_MAX + 1], bundle[PATH_MAX], directory[160];
        if (!getcwd(bundle, sizeof bundle))
                return fail("the bundle (current directory)", -errno);
        if (strchr(bundle, '\n'))
                return fail("the bundle's path has a line break", -EINVAL);
        struct vg_bootstrap bootstrap;
        int r = vg_bootstrap_read(STDIN_FILENO, args, &bootstrap);
        if (r < 0)
                return fail("cannot read the parameters on stdin", r);

        const char *ttrpc = bootstrap.ttrpc_address[0] ? bootstrap.ttrpc_address : getenv("TTRPC_ADDRESS");
        /* Without containerd its directory is not ours to fill. */
        if (bootstrap.socket_dir[0])
                snprintf(directory, sizeof directory, "%s", bootstrap.socket_dir);
        else if (args->address[0])
                snprintf(directory, sizeof directory, "/run/containerd/s");
        else
                snprintf(directory, sizeof directory, "%s/s", settings->run_dir);

        int result;
        _cleanup_close_ int lock = -1;
        if ((r = find_group(args->id, group)) < 0)
                result = fail("config.json: cannot tell the container's group", r);
        else if ((r = vg_shim_socket_path(directory, args->address, args->name_space, group, socket)) < 0)
                result = fail("the socket's path is longer than 106 bytes", r);
        else if ((r = vg_group_lock(settings->run_dir, args->name_space, group, &lock)) < 0)
                result = fail("cannot lock the group under the run directory", r);
        else {
                struct vg_spawn spawn = {
                        .args = args,
                        .settings = settings,
                        .group = group,
                        .socket = socket,
                        .bundle = bundle,
                        .ttrpc_address = args->address[0] && ttrpc ? ttrpc : "",
                        .options = {bootstrap.options.data, bootstrap.options.size},
                };
                result = start_under_lock(&spawn, settings);
        }
        vg_bootstrap_done(&bootstrap);
        return result;
}
