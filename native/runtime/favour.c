#include "runtime/favour.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/message.h"
#include "runtime/mount.h"
#include "runtime/program.h"
#include "runtime/sys.h"

enum {
        OPEN = 'o',
        WRITE = 'w',
        RLIMIT = 'l',
        IDMAP = 'i',
        MAP = 'm',
};

#define MAP_LINES_MAX 340 /* user_namespaces(7) */
#define MAP_TIMEOUT_MS 10000

/* The longest are two maps, each less than a page (user_namespaces(7)), and a path. */
#define TEXT_MAX 16384

struct request {
        char tag;
        char file[16];       /* WRITE */
        uint32_t number;     /* OPEN: flags; RLIMIT: resource; IDMAP: TREE and RECURSIVE */
        struct rlimit limit; /* RLIMIT */
        uint32_t size;       /* of what is in texts */
        char texts
                [TEXT_MAX]; /* OPEN: path; WRITE: text; IDMAP: path, two maps; MAP: program, map; each with its zero; sent as far as
                               * they go */
};

struct answer {
        int32_t status;
        char words[VG_FAVOUR_WORDS_SIZE]; /* with a failed MAP; sent as far as they go */
};

enum { TREE = 1, RECURSIVE = 2 };

static int ask(struct vg_child *c, const struct request *request, int *ret_fd, char *ret_words) {
        int status = vg_message_send(c->helper, request, offsetof(struct request, texts) + request->size, NULL, 0);
        struct answer answer = {0};
        size_t size = sizeof answer;
        if (status == 0)
                status = vg_message_take(c->helper, &answer, &size, ret_fd);
        if (status == 0 && size < sizeof answer.status)
                status = -EPROTO;
        if (ret_words)
                snprintf(ret_words, VG_FAVOUR_WORDS_SIZE, "%s", status < 0 ? strerror(-status) : answer.words);
        return status < 0 ? status : answer.status;
}

/* Of a process that is not dumpable the files in /proc belong to the machine's root, proc(5). A helper that is somebody else could
 * not write them: the child is dumpable for as long as it asks. */
static int ask_about_own_files(struct vg_child *c, const struct request *request, char *ret_words) {
        if (c->unprivileged && prctl(PR_SET_DUMPABLE, 1) < 0)
                return -errno;
        int status = ask(c, request, NULL, ret_words);
        return c->unprivileged && prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : status;
}

static int put_text(struct request *request, const char *text) {
        size_t size = strlen(text) + 1;
        if (size > sizeof request->texts - request->size)
                return -E2BIG;
        memcpy(request->texts + request->size, text, size);
        request->size += (uint32_t)size;
        return 0;
}

enum { TEXTS_MAX = 3 };

/* What is not there is empty: behind what was sent all is zero. */
static void split_texts(const struct request *request, const char *ret_texts[TEXTS_MAX]) {
        size_t at = 0;
        for (unsigned i = 0; i < TEXTS_MAX; i++) {
                ret_texts[i] = at < request->size ? request->texts + at : "";
                at += strlen(ret_texts[i]) + 1;
        }
}

static int ask_for_fd(struct vg_child *c, const struct request *request, int *ret_fd) {
        int fd = -1, status = ask(c, request, &fd, NULL);
        if (status < 0)
                return status;
        if (fd < 0)
                return -EPROTO;
        *ret_fd = fd;
        return 0;
}

int vg_favour_open(struct vg_child *c, const char *path, int flags, int *ret_fd) {
        struct request request = {.tag = OPEN, .number = (uint32_t)flags};
        int status = put_text(&request, path);
        return status < 0 ? status : ask_for_fd(c, &request, ret_fd);
}

int vg_favour_idmap(struct vg_child *c, const struct vg_idmap *wanted, int *ret_fd) {
        struct request request = {.tag = IDMAP, .number = (wanted->tree ? TREE : 0) | (wanted->recursive ? RECURSIVE : 0)};
        int status = put_text(&request, wanted->source);
        if (status == 0)
                status = put_text(&request, wanted->uids);
        if (status == 0)
                status = put_text(&request, wanted->gids);
        return status < 0 ? status : ask_for_fd(c, &request, ret_fd);
}

int vg_favour_write(struct vg_child *c, const char *file, const char *text) {
        struct request request = {.tag = WRITE};
        int status = put_text(&request, text);
        snprintf(request.file, sizeof request.file, "%s", file);
        return status < 0 ? status : ask_about_own_files(c, &request, NULL);
}

int vg_favour_map(struct vg_child *c, const char *program, const char *map, char ret_words[VG_FAVOUR_WORDS_SIZE]) {
        struct request request = {.tag = MAP};
        int status = put_text(&request, program);
        if (status == 0)
                status = put_text(&request, map);
        if (status == 0)
                return ask_about_own_files(c, &request, ret_words);
        snprintf(ret_words, VG_FAVOUR_WORDS_SIZE, "%s", strerror(-status));
        return status;
}

int vg_favour_rlimit(struct vg_child *c, unsigned resource, const struct rlimit *limit) {
        struct request request = {.tag = RLIMIT, .number = resource, .limit = *limit};
        return ask(c, &request, NULL, NULL);
}

bool vg_favour_is(char tag) {
        return tag == OPEN || tag == WRITE || tag == RLIMIT || tag == IDMAP || tag == MAP;
}

/* RESOLVE_IN_ROOT: an absolute symbolic link must not lead into the helper's own mounts, which cannot be bound in the child's. */
static int open_for(int proc, pid_t pid, const struct request *request, int *ret_fd) {
        char link[32];
        snprintf(link, sizeof link, "%d/root", (int)pid);
        _cleanup_close_ int root = openat(proc, link, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return -errno;
        int fd = vg_openat2(root, request->texts, O_PATH | O_CLOEXEC | (uint64_t)request->number, 0, RESOLVE_IN_ROOT);
        if (fd < 0)
                return fd;
        *ret_fd = fd;
        return 0;
}

static int write_for(int proc, pid_t pid, const struct request *request) {
        static const char *const files[] = {"uid_map", "gid_map", "setgroups", "oom_score_adj", "timens_offsets"};
        char path[64];
        for (size_t i = 0; i < VG_COUNT(files); i++)
                if (strcmp(request->file, files[i]) == 0) {
                        snprintf(path, sizeof path, "%d/%s", (int)pid, files[i]);
                        return vg_proc_write(proc, path, request->texts);
                }
        return -EINVAL;
}

/* newuidmap PID CONTAINER-ID HOST-ID SIZE ... */
static int map_for(pid_t pid, const struct request *request, struct vg_failure *failure) {
        const char *texts[TEXTS_MAX];
        split_texts(request, texts);
        char number[16], *argv[2 + 3 * MAP_LINES_MAX + 1] = {(char *)texts[0], number};
        _cleanup_free_ char *map = strdup(texts[1]);
        if (!map)
                return vg_fail(failure, -ENOMEM, "%s", texts[0]);
        snprintf(number, sizeof number, "%d", (int)pid);
        size_t count = 2;
        char *rest = NULL;
        for (char *word = strtok_r(map, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
                if (count == VG_COUNT(argv) - 1)
                        return vg_fail(failure, -E2BIG, "%s", texts[0]);
                argv[count++] = word;
        }
        const struct vg_program program = {.argv = argv, .log = (char *)"", .timeout_ms = MAP_TIMEOUT_MS};
        const struct vg_program_io io = {.watched = -1};
        return vg_program_run(&program, &io, failure);
}

/* By a process that does not come back from the child's mount namespace. -ECHILD: it died without an answer. */
static int answer_idmap(int proc, const struct vg_spawned *spawned, const struct request *request) {
        pid_t pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                const char *texts[TEXTS_MAX];
                split_texts(request, texts);
                const struct vg_idmap wanted = {
                        .source = texts[0],
                        .uids = texts[1],
                        .gids = texts[2],
                        .tree = request->number & TREE,
                        .recursive = request->number & RECURSIVE,
                };
                int fd = -1;
                int32_t answer = vg_idmap_tree(proc, spawned, &wanted, &fd);
                _exit(vg_message_send(spawned->talk, &answer, sizeof answer, &fd, fd >= 0 ? 1 : 0) < 0);
        }
        int status;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) ? 0 : -ECHILD;
}

int vg_favour_answer(int proc, const struct vg_spawned *spawned) {
        struct request request = {0};
        size_t size = sizeof request;
        int status = vg_message_take(spawned->talk, &request, &size, NULL);
        if (status < 0)
                return status;
        if (size < offsetof(struct request, texts) || size != offsetof(struct request, texts) + request.size ||
            (request.size > 0 && request.texts[request.size - 1] != 0))
                return -EBADMSG;
        _cleanup_close_ int fd = -1;
        struct vg_failure failure = {0};
        struct answer answer = {0};
        switch (request.tag) {
        case OPEN:
                answer.status = open_for(proc, spawned->pid, &request, &fd);
                break;
        case WRITE:
                answer.status = write_for(proc, spawned->pid, &request);
                break;
        case RLIMIT:
                answer.status = prlimit(spawned->pid, (int)request.number, &request.limit, NULL) < 0 ? -errno : 0;
                break;
        case MAP:
                answer.status = map_for(spawned->pid, &request, &failure);
                snprintf(answer.words, sizeof answer.words, "%s", failure.message);
                break;
        default: /* IDMAP */
                answer.status = answer_idmap(proc, spawned, &request);
                if (answer.status == 0)
                        return 0;
        }
        size_t answered = offsetof(struct answer, words) + strlen(answer.words);
        return vg_message_send(spawned->talk, &answer, answered, &fd, fd >= 0 ? 1 : 0);
}
