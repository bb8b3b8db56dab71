#include "runtime/favour.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "runtime/message.h"
#include "runtime/mount.h"
#include "runtime/sys.h"

enum {
        OPEN = 'o',
        WRITE = 'w',
        RLIMIT = 'l',
};

/* Maps are the longest texts: 340 lines, user_namespaces(7). */
#define TEXT_MAX 16384

struct request {
        char tag;
        char file[16];       /* WRITE */
        uint32_t number;     /* OPEN: flags; RLIMIT: resource */
        struct rlimit limit; /* RLIMIT */
        char text[TEXT_MAX]; /* OPEN: path; WRITE: text; sent as far as it goes */
};

static int ask(struct vg_child *c, const struct request *request, int *ret_fd) {
        int status = vg_message_send(c->helper, request, offsetof(struct request, text) + strlen(request->text) + 1, NULL, 0);
        int32_t answer = 0;
        size_t size = sizeof answer;
        if (status == 0)
                status = vg_message_take(c->helper, &answer, &size, ret_fd);
        if (status == 0 && size != sizeof answer)
                status = -EPROTO;
        return status < 0 ? status : answer;
}

static int put_text(struct request *request, const char *text) {
        size_t length = strlen(text);
        if (length >= sizeof request->text)
                return -E2BIG;
        memcpy(request->text, text, length + 1);
        return 0;
}

int vg_favour_open(struct vg_child *c, const char *path, int flags, int *ret_fd) {
        struct request request = {.tag = OPEN, .number = (uint32_t)flags};
        int fd = -1, status = put_text(&request, path);
        if (status == 0)
                status = ask(c, &request, &fd);
        if (status == 0 && fd < 0)
                status = -EPROTO;
        if (status == 0)
                *ret_fd = fd;
        return status;
}

int vg_favour_write(struct vg_child *c, const char *file, const char *text) {
        struct request request = {.tag = WRITE};
        int status = put_text(&request, text);
        snprintf(request.file, sizeof request.file, "%s", file);
        return status < 0 ? status : ask(c, &request, NULL);
}

int vg_favour_rlimit(struct vg_child *c, unsigned resource, const struct rlimit *limit) {
        struct request request = {.tag = RLIMIT, .number = resource, .limit = *limit};
        return ask(c, &request, NULL);
}

bool vg_favour_is(char tag) {
        return tag == OPEN || tag == WRITE || tag == RLIMIT;
}

/* RESOLVE_IN_ROOT: an absolute symbolic link must not lead into the helper's own mounts, which cannot be bound in the child's. */
static int open_for(int proc, pid_t pid, const struct request *request, int *ret_fd) {
        char link[32];
        snprintf(link, sizeof link, "%d/root", (int)pid);
        _cleanup_close_ int root = openat(proc, link, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return -errno;
        int fd = vg_openat2(root, request->text, O_PATH | O_CLOEXEC | (uint64_t)request->number, 0, RESOLVE_IN_ROOT);
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
                        return vg_proc_write(proc, path, request->text);
                }
        return -EINVAL;
}

int vg_favour_answer(int proc, const struct vg_spawned *spawned) {
        struct request request = {0};
        size_t size = sizeof request;
        int status = vg_message_take(spawned->talk, &request, &size, NULL);
        if (status < 0)
                return status;
        if (size <= offsetof(struct request, text) || ((const char *)&request)[size - 1] != 0)
                return -EBADMSG;
        _cleanup_close_ int fd = -1;
        int32_t answer;
        if (request.tag == OPEN)
                answer = open_for(proc, spawned->pid, &request, &fd);
        else if (request.tag == WRITE)
                answer = write_for(proc, spawned->pid, &request);
        else
                answer = prlimit(spawned->pid, (int)request.number, &request.limit, NULL) < 0 ? -errno : 0;
        return vg_message_send(spawned->talk, &answer, sizeof answer, &fd, fd >= 0 ? 1 : 0);
}
