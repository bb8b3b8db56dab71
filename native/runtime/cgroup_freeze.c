/* VG_OP_CGROUP_FREEZE. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "runtime/cgroup.h"
#include "runtime/deadline.h"
#include "runtime/host.h"

#define V1_LOOK_MS 2 /* v1 has no notification: how long between two looks at freezer.state */

static bool has_line(const char *text, const char *line) {
        size_t length = strlen(line);
        for (const char *at = text; (at = strstr(at, line)); at++)
                if ((at == text || at[-1] == '\n') && (at[length] == '\n' || at[length] == 0))
                        return true;
        return false;
}

/* cgroup-v2, "cgroup.freeze": freezing takes time; cgroup.events tells when it is done, and raises POLLPRI. */
static int freeze_v2(const char *path, bool frozen, uint64_t deadline) {
        _cleanup_free_ char *file = NULL;
        if (asprintf(&file, "%s/cgroup.events", path) < 0)
                return -ENOMEM;
        _cleanup_close_ int events = open(file, O_RDONLY | O_CLOEXEC);
        if (events < 0)
                return -errno;
        int status = vg_cgroup_write(path, "cgroup.freeze", frozen ? "1" : "0");
        while (status == 0) {
                char text[256];
                ssize_t size = pread(events, text, sizeof text - 1, 0);
                if (size < 0)
                        return -errno;
                text[size] = 0;
                if (has_line(text, frozen ? "frozen 1" : "frozen 0"))
                        return 0;
                int left = vg_time_left_ms(deadline);
                struct pollfd wait = {.fd = events, .events = POLLPRI};
                int changed = left ? poll(&wait, 1, left) : 0;
                if (changed < 0 && errno != EINTR)
                        return -errno;
                if (changed == 0)
                        status = -ETIMEDOUT;
        }
        return status;
}

/* freezer-subsystem: FREEZING can last for as long as a task comes in meanwhile; writing FROZEN again catches it. */
static int freeze_v1(const char *path, bool frozen, uint64_t deadline) {
        const char *wanted = frozen ? "FROZEN" : "THAWED";
        for (;;) {
                char state[32];
                int status = vg_cgroup_write(path, "freezer.state", wanted);
                if (status == 0)
                        status = vg_cgroup_read(path, "freezer.state", state, sizeof state);
                if (status < 0)
                        return status;
                if (strcmp(state, wanted) == 0)
                        return 0;
                int left = vg_time_left_ms(deadline);
                if (left == 0)
                        return -ETIMEDOUT;
                if (poll(NULL, 0, left < V1_LOOK_MS ? left : V1_LOOK_MS) < 0 && errno != EINTR)
                        return -errno;
        }
}

int vg_host_cgroup_freeze(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        bool v2 = a->at[0].number == 2, frozen = a->at[2].number;
        const char *path = a->at[1].string;
        uint64_t deadline = vg_deadline((uint32_t)a->at[3].number);
        int status = v2 ? freeze_v2(path, frozen, deadline) : freeze_v1(path, frozen, deadline);
        if (status < 0 && frozen)
                /* Half frozen is the worst state: the first failure is the one to report. */
                (void)vg_cgroup_write(path, v2 ? "cgroup.freeze" : "freezer.state", v2 ? "0" : "THAWED");
        return status < 0 ? vg_fail(f, status, "%s cgroup %s", frozen ? "freeze" : "thaw", path) : 0;
}
