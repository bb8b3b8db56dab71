/* Ops that run hooks: in the runtime's namespaces by a script or a birth's helper, in the container's by its child. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/child.h"
#include "runtime/hook.h"
#include "runtime/host.h"
#include "runtime/message.h"
#include "vigil.h"

#define HOOK_UMASK 022

/* The six arguments that every hook op begins with. */
static struct vg_hook hook_of(const struct vg_op_args *a, const char *state) {
        return (struct vg_hook){
                .name = a->at[0].string,
                .path = a->at[1].string,
                .argv = a->at[2].strings,
                .environment = a->at[3].strings,
                .timeout_ms = (uint32_t)a->at[4].number,
                .directory = a->at[5].string,
                .state = state,
                .umask = HOOK_UMASK,
                .guard = -1,
        };
}

/* The state with the pid in the middle: nobody knew it when the rest was written. */
static int state_of(const struct vg_op_args *a, pid_t pid, char **ret_state) {
        char *state;
        if (asprintf(&state, "%s%d%s", a->at[6].string, (int)pid, a->at[7].string) < 0)
                return -ENOMEM;
        *ret_state = state;
        return 0;
}

int vg_host_hook(struct vg_host *h, const struct vg_op_args *a, struct vg_failure *f) {
        (void)h;
        const struct vg_hook hook = hook_of(a, a->at[6].string);
        return vg_hook_run(&hook, f);
}

int vg_child_container_hook(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        _cleanup_free_ char *state = NULL;
        int status = state_of(a, getpid(), &state);
        if (status < 0)
                return vg_fail(f, status, "error running %s", a->at[0].string);
        struct vg_hook hook = hook_of(a, state);
        hook.umask = c->umask_settled ? -1 : (int)c->umask;
        return vg_hook_run(&hook, f);
}

int vg_child_runtime_hook(struct vg_child *c, const struct vg_op_args *a, struct vg_failure *f) {
        char tag = 0;
        if (c->helper < 0)
                return vg_fail(f, -EPROTO, "%s: it comes after the helper's time", a->at[0].string);
        int status = vg_message_send_tag(c->helper, 'h');
        if (status == 0)
                status = vg_message_receive(c->helper, &tag, NULL);
        if (status == 0 && tag != 'h')
                status = -EPROTO;
        /* When the hook fails the helper kills this process: then nobody reads this. */
        return status < 0 ? vg_fail(f, status, "%s: talk to the helper", a->at[0].string) : 0;
}

int vg_runtime_hook(const struct vg_op *op, pid_t pid, int guard, struct vg_failure *f) {
        _cleanup_op_args_ struct vg_op_args args = {0};
        _cleanup_free_ char *state = NULL;
        int status = vg_op_args_decode(vg_op_shape_child(op->code)->signature, op->payload, &args);
        if (status == 0)
                status = state_of(&args, pid, &state);
        if (status < 0)
                return vg_fail(f, status, "hook: arguments");
        struct vg_hook hook = hook_of(&args, state);
        hook.guard = guard;
        return vg_hook_run(&hook, f);
}
