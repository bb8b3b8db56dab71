#include "core/script.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "core/core.h"
#include "core/helper.h"
#include "runtime/runtime.h"

struct vg_script {
        LIST_ENTRY(vg_script) link;
        struct vg_helper helper;
        struct vg_kept *kept;
        bool failed;
        struct vg_helper_error error;
};

struct order {
        struct vg_bytes ops;
        bool undo;
};

static void run_script(void *argument, int channel) {
        const struct order *order = argument;
        vg_script_run(order->ops, order->undo, channel);
}

static void script_message(void *owner, struct vg_helper_message *message) {
        struct vg_script *s = owner;
        if (message->tag != 'e' || s->failed)
                return;
        s->failed = true;
        vg_helper_error_read(message, &s->error);
}

/* The result waits for the reap, which also tells a success from a helper that was killed. */
static void script_eof(void *owner) {
        (void)owner;
}

static int answer(struct vg_core *core, struct vg_kept *kept, int status) {
        vg_kept_done(core, kept, &(struct vg_result){.status = status});
        return 0;
}

int vg_script_start(struct vg_core *core, struct vg_kept *kept, struct vg_reader *r) {
        struct order order = {.ops = vg_get_bytes(r)};
        order.undo = vg_get_u8(r);
        if (vg_reader_end(r) < 0)
                return -EBADMSG;
        if (core->scripts.count >= VG_SCRIPTS_MAX)
                return answer(core, kept, -EAGAIN);
        struct vg_script *s = calloc(1, sizeof *s);
        if (!s)
                return answer(core, kept, -ENOMEM);
        s->kept = kept;
        s->helper.owner = s;
        s->helper.message = script_message;
        s->helper.eof = script_eof;
        int q = vg_helper_fork(&s->helper, core->loop, run_script, &order);
        if (q < 0) {
                free(s);
                return answer(core, kept, q);
        }
        LIST_INSERT_HEAD(&core->scripts.list, s, link);
        core->scripts.count++;
        return 0;
}

static void script_free(struct vg_core *core, struct vg_script *s) {
        LIST_REMOVE(s, link);
        core->scripts.count--;
        vg_helper_close(&s->helper);
        free(s);
}

static struct vg_script *find(const struct vg_core *core, pid_t pid) {
        struct vg_script *s;
        LIST_FOREACH(s, &core->scripts.list, link)
                if (s->helper.pid == pid)
                        return s;
        return NULL;
}

bool vg_script_owns(const struct vg_core *core, pid_t pid) {
        return find(core, pid);
}

size_t vg_script_pids(const struct vg_core *core, pid_t *pids, size_t room) {
        const struct vg_script *s;
        size_t n = 0;
        LIST_FOREACH(s, &core->scripts.list, link)
                if (n < room)
                        pids[n++] = s->helper.pid;
        return n;
}

void vg_script_reaped(struct vg_core *core, pid_t pid, int wait_status) {
        struct vg_script *s = find(core, pid);
        vg_helper_drain(&s->helper);
        struct vg_result result = {0};
        if (s->failed) {
                result = (struct vg_result){.status = s->error.status, .op = s->error.op, .message = s->error.text};
        } else if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0) {
                char how[64];
                vg_describe_wait_status(wait_status, how, sizeof how);
                snprintf(s->error.text, sizeof s->error.text, "the helper %s", how);
                result = (struct vg_result){.status = -ECHILD, .message = s->error.text};
        }
        struct vg_kept *kept = s->kept;
        vg_kept_done(core, kept, &result);
        script_free(core, s);
}

void vg_scripts_done(struct vg_core *core) {
        for (struct vg_script *s; (s = LIST_FIRST(&core->scripts.list));)
                script_free(core, s);
}
