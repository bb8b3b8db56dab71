#include "test/core_bed.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/frame.h"
#include "core/run.h"
#include "lib/protobuf.h"

uint64_t bed_now_ms(void) {
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static struct sockaddr_un address(const char *path) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
        return a;
}

int bed_connect_to(const char *path) {
        struct sockaddr_un a = address(path);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
        return fd;
}

static int listen_at(const char *path) {
        struct sockaddr_un a = address(path);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 64) == 0);
        return fd;
}

bool bed_readable(int fd, int timeout_ms) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n;
        while ((n = poll(&p, 1, timeout_ms)) < 0 && errno == EINTR)
                ;
        return n > 0;
}

static _Noreturn void play_daemon(void) {
        const char *directory = getenv("VIGIL_BED");
        char path[128];
        /* Nothing of containerd's environment, and no directory that could be removed under it. */
        char where[PATH_MAX];
        CHECK(directory && !getenv("NODE_OPTIONS") && getenv("PATH") && strcmp(getenv("HOME"), "/") == 0);
        CHECK(getcwd(where, sizeof where) && strcmp(where, "/") == 0);
        char *status = bed_read("%s/exit", directory);
        if (status)
                _exit(atoi(status));
        snprintf(path, sizeof path, "%s/control", directory);
        int control = bed_connect_to(path), fds[2] = {VG_DAEMON_CHANNEL_FD, VG_DAEMON_FDS_FD};
        pid_t pid = getpid();
        char space[CMSG_SPACE(sizeof fds)] = {0};
        struct iovec part = {&pid, sizeof pid};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fds);
        memcpy(CMSG_DATA(c), fds, sizeof fds);
        CHECK(sendmsg(control, &m, 0) == (ssize_t)sizeof pid);
        close(fds[0]);
        close(fds[1]);
        uint8_t code;
        _exit(read(control, &code, 1) == 1 ? code : 99);
}

void bed_roles(int argc, char **argv) {
        signal(SIGPIPE, SIG_IGN);
        if (argc > 1 && strcmp(argv[1], "daemon") == 0)
                play_daemon();
        if (argc > 1 && strcmp(argv[1], "core") == 0)
                exit(vg_core_main(argc - 1, argv + 1));
}

int bed_run(void (*const tests[])(void), size_t n, int argc, char **argv) {
        for (size_t i = 0; i < n; i++) {
                if (argc > 1 && (size_t)atoi(argv[1]) != i)
                        continue;
                pid_t pid = fork();
                int status;
                CHECK(pid >= 0);
                if (pid == 0) {
                        tests[i]();
                        exit(EXIT_SUCCESS);
                }
                CHECK(waitpid(pid, &status, 0) == pid);
                if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
                        fprintf(stderr, "test %zu of %zu failed\n", i, n);
                        return EXIT_FAILURE;
                }
        }
        return EXIT_SUCCESS;
}

int bed_run_together(void (*const tests[])(void), size_t n) {
        for (size_t i = 0; i < n; i++) {
                pid_t pid = fork();
                CHECK(pid >= 0);
                if (pid == 0) {
                        tests[i]();
                        exit(EXIT_SUCCESS);
                }
        }
        int status, worst = EXIT_SUCCESS;
        while (wait(&status) > 0)
                if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                        worst = EXIT_FAILURE;
        return worst;
}

static _Noreturn void become_core(const struct bed *bed, int listener, int log, int options) {
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        CHECK(n > 0);
        self[n] = 0;
        CHECK(dup2(log, 14) >= 0 && dup2(options, 15) >= 0 && dup2(listener, 13) >= 0);
        CHECK(dup2(13, 3) >= 0 && dup2(14, 4) >= 0 && dup2(15, 5) >= 0);
        /* The test's death must leave nothing behind. */
        CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
        setenv("VIGIL_RUN", bed->run, 1);
        setenv("VIGIL_STATE", bed->state, 1);
        setenv("VIGIL_DAEMON", self, 1);
        setenv("VIGIL_BED", bed->directory, 1);
        setenv("NODE_OPTIONS", "--must-not-arrive", 1);
        execl(self, self, "core", "-namespace", "ns", "-id", "group", "-address", "/run/containerd.sock", "-publish-binary",
              "/bin/containerd", "-socket", bed->socket, "-bundle", "/bundle", "-libdir", "/nowhere", "-debug", NULL);
        _exit(127);
}

void bed_prepare(struct bed *bed) {
        *bed = (struct bed){.core = -1};
        CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
        snprintf(bed->directory, sizeof bed->directory, "/tmp/vigil-test-XXXXXX");
        CHECK(mkdtemp(bed->directory));
        snprintf(bed->socket, sizeof bed->socket, "%s/s", bed->directory);
        snprintf(bed->run, sizeof bed->run, "%s/run", bed->directory);
        snprintf(bed->state, sizeof bed->state, "%s/state", bed->directory);
        snprintf(bed->log, sizeof bed->log, "%s/log", bed->directory);
        char path[128];
        snprintf(path, sizeof path, "%s/control", bed->directory);
        bed->control = listen_at(path);
}

void bed_go(struct bed *bed) {
        int listener = listen_at(bed->socket);
        int log = open(bed->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        int options = memfd_create("options", MFD_CLOEXEC);
        CHECK(log >= 0 && options >= 0 && write(options, "opts", 4) == 4);
        bed->core = fork();
        CHECK(bed->core >= 0);
        if (bed->core == 0)
                become_core(bed, listener, log, options);
        close(listener);
        close(log);
        close(options);
}

void bed_start(struct bed *bed) {
        bed_prepare(bed);
        bed_go(bed);
}

void bed_daemons_exit(struct bed *bed, int status) {
        char path[128];
        snprintf(path, sizeof path, "%s/exit", bed->directory);
        unlink(path);
        if (status < 0)
                return;
        _cleanup_fclose_ FILE *f = fopen(path, "we");
        CHECK(f && fprintf(f, "%d", status) > 0);
}

void bed_register(struct bed *bed, const char *id, const char *group) {
        char path[256];
        const char *const parts[] = {"", "/cores", "/cores/ns", "/cores/ns/"};
        for (size_t i = 0; i < VG_COUNT(parts); i++) {
                snprintf(path, sizeof path, "%s%s%s", bed->run, parts[i], i == 3 ? id : "");
                CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
        }
        strcat(path, "/shim");
        _cleanup_fclose_ FILE *f = fopen(path, "we");
        CHECK(f && fprintf(f, "group=%s\nsocket=%s\nbundle=/bundle\n", group, bed->socket) > 0);
}

bool bed_exists(const struct bed *bed, const char *format, ...) {
        char tail[256], path[512];
        va_list args;
        va_start(args, format);
        vsnprintf(tail, sizeof tail, format, args);
        va_end(args);
        snprintf(path, sizeof path, "%s/%s", bed->directory, tail);
        return access(path, F_OK) == 0;
}

char *bed_read(const char *format, ...) {
        char path[512];
        va_list args;
        va_start(args, format);
        vsnprintf(path, sizeof path, format, args);
        va_end(args);
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        if (!f)
                return NULL;
        char *text = calloc(1, 1 << 20);
        CHECK(text);
        size_t n = fread(text, 1, (1 << 20) - 1, f);
        text[n] = 0;
        return text;
}

char *bed_find(const char *directory, const char *prefix) {
        _cleanup_closedir_ DIR *d = opendir(directory);
        for (struct dirent *e; d && (e = readdir(d));) {
                char *path;
                if (strncmp(e->d_name, prefix, strlen(prefix)) == 0 && e->d_name[0] != '.')
                        return asprintf(&path, "%s/%s", directory, e->d_name) < 0 ? NULL : path;
        }
        return NULL;
}

bool bed_core_alive(struct bed *bed) {
        siginfo_t info = {0};
        CHECK(waitid(P_PID, (id_t)bed->core, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
        return info.si_pid == 0;
}

int bed_core_wait(struct bed *bed) {
        int status;
        for (uint64_t end = bed_now_ms() + BED_TIMEOUT_MS; bed_now_ms() < end; poll(NULL, 0, 5))
                if (waitpid(bed->core, &status, WNOHANG) == bed->core) {
                        bed->core = -1;
                        return status;
                }
        CHECK(!"the core ends");
        return -1;
}

/* What a core that was killed leaves behind: its containers. They came to us (bed_start). */
static void end_children(void) {
        for (;;) {
                _cleanup_free_ char *children = bed_read("/proc/self/task/%d/children", (int)getpid());
                if (!children || !*children)
                        return;
                char *save = NULL;
                for (char *word = strtok_r(children, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
                        kill((pid_t)atoi(word), SIGKILL);
                        waitpid((pid_t)atoi(word), NULL, 0);
                }
        }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void)st;
        (void)type;
        (void)ftw;
        return remove(path);
}

void bed_end(struct bed *bed) {
        if (bed->core > 0) {
                CHECK(bed_core_alive(bed));
                kill(bed->core, SIGKILL);
                waitpid(bed->core, NULL, 0);
        }
        close(bed->control);
        end_children();
        nftw(bed->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
