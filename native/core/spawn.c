#include "core/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/config.h"
#include "lib/cleanup.h"
#include "vigil.h"

extern char **environ;

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum { FIRST_FREE = 10 };

static const char *search_path(void) {
        const char *path = getenv("PATH");
        return path && *path ? path : DEFAULT_PATH;
}

static int find_node(char ret_path[PATH_MAX]) {
        const char *given = getenv("VIGIL_NODE");
        if (given && strchr(given, '/')) {
                snprintf(ret_path, PATH_MAX, "%s", given);
                return access(ret_path, X_OK) < 0 ? -errno : 0;
        }
        const char *name = given && *given ? given : "node";
        for (const char *at = search_path(); *at;) {
                size_t size = strcspn(at, ":");
                snprintf(ret_path, PATH_MAX, "%.*s/%s", (int)size, at, name);
                /* A relative entry would be looked up in whatever directory we are in. */
                if (*at == '/' && access(ret_path, X_OK) == 0)
                        return 0;
                at += size;
                at += *at == ':';
        }
        snprintf(ret_path, PATH_MAX, "%s", name);
        return -ENOENT;
}

/* PATH, HOME=/ and VIGIL_*: containerd's environment can slow Node by tens of milliseconds (NODE_EXTRA_CA_CERTS), and
 * NODE_OPTIONS would run code of whoever set it. */
static char **fresh_environment(void) {
        size_t n = 0;
        while (environ[n])
                n++;
        char **fresh = calloc(n + 3, sizeof *fresh), *path = NULL;
        if (!fresh || asprintf(&path, "PATH=%s", search_path()) < 0) {
                free(fresh);
                return NULL;
        }
        size_t at = 0;
        fresh[at++] = path;
        fresh[at++] = (char *)"HOME=/";
        for (char **e = environ; *e; e++)
                if (strncmp(*e, "VIGIL_", 6) == 0)
                        fresh[at++] = *e;
        return fresh;
}

/* Between fork and execve: only calls that are safe there. */
static _Noreturn void become_daemon(char *const *argv, char *const *environment, const int from[], const int to[], size_t n,
                                    int failure) {
        int high[8], error;
        sigset_t none;
        sigemptyset(&none);
        for (size_t i = 0; i < n; i++) {
                high[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FIRST_FREE);
                if (high[i] < 0)
                        goto failed;
        }
        failure = fcntl(failure, F_DUPFD_CLOEXEC, FIRST_FREE);
        for (size_t i = 0; i < n; i++)
                if (dup2(high[i], to[i]) < 0)
                        goto failed;
        /* Whatever else is open is CLOEXEC from birth. */
        if (sigprocmask(SIG_SETMASK, &none, NULL) == 0 && chdir("/") == 0)
                execve(argv[0], argv, environment);
failed:
        error = errno;
        ssize_t written = write(failure, &error, sizeof error);
        _exit(written == sizeof error ? 127 : 126);
}

static int make_pair(int type, int *ret_ours, int *ret_theirs) {
        int pair[2];
        if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        *ret_ours = pair[0];
        *ret_theirs = pair[1];
        return 0;
}

static int start(char *const *argv, int log, struct vg_spawned *s) {
        _cleanup_close_ int channel = -1, channel_theirs = -1, fds = -1, fds_theirs = -1, failure = -1, failure_theirs = -1;
        int r = make_pair(SOCK_STREAM, &channel, &channel_theirs), ends[2];
        if (r == 0)
                r = make_pair(SOCK_SEQPACKET, &fds, &fds_theirs);
        if (r < 0)
                return r;
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        failure = ends[0];
        failure_theirs = ends[1];
        _cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        char **environment = fresh_environment();
        if (null < 0 || !environment) {
                free(environment);
                return environment ? -errno : -ENOMEM;
        }
        if (log < 0)
                log = null;
        const int from[] = {null, log, log, channel_theirs, fds_theirs};
        const int to[] = {0, 1, 2, VG_DAEMON_CHANNEL_FD, VG_DAEMON_FDS_FD};
        pid_t pid = fork();
        if (pid == 0)
                become_daemon(argv, environment, from, to, VG_COUNT(from), failure_theirs);
        r = pid < 0 ? -errno : 0;
        free(environment[0]);
        free(environment);
        if (r < 0)
                return r;
        s->pid = pid;
        /* Our own child and not reaped yet: the pid is still its own. Without a pidfd kill(2) is as safe for the same reason. */
        s->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (s->pidfd >= 0)
                fcntl(s->pidfd, F_SETFD, FD_CLOEXEC);
        s->channel = TAKE_FD(channel);
        s->fds = TAKE_FD(fds);
        s->failure = TAKE_FD(failure);
        return 0;
}

int vg_daemon_spawn(const struct vg_config *config, int log, struct vg_spawned *ret_spawned) {
        struct vg_spawned s = {.pidfd = -1, .channel = -1, .fds = -1, .failure = -1};
        char boot[PATH_MAX + 16];
        int r = 0;
        if (config->daemon)
                snprintf(s.path, sizeof s.path, "%s", config->daemon);
        else
                r = find_node(s.path);
        snprintf(boot, sizeof boot, "%s/boot.cjs", config->libdir);
        char *const with_node[] = {s.path, boot, (char *)"daemon", NULL};
        char *const without[] = {s.path, (char *)"daemon", NULL};
        if (r == 0)
                r = start(config->daemon ? without : with_node, log, &s);
        *ret_spawned = s;
        return r;
}
