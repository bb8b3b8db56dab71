/* Entering namespaces that exist already. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>

#include "lib/cleanup.h"
#include "runtime/child.h"

static int open_all(const struct vg_birth *birth, int *fds, struct vg_failure *failure) {
        for (uint32_t i = 0; i < birth->n_joins; i++) {
                fds[i] = open(birth->joins[i].path, O_RDONLY | O_CLOEXEC);
                if (fds[i] < 0)
                        return vg_fail(failure, -errno, "open namespace %s", birth->joins[i].path);
        }
        return 0;
}

/* Joins those that `which` has a bit for; one that is refused stays open for another try if it may be `put_off`. */
static int join(const struct vg_birth *birth, int *fds, uint64_t which, bool put_off, struct vg_failure *failure) {
        for (uint32_t i = 0; i < birth->n_joins; i++) {
                if (fds[i] < 0 || !(birth->joins[i].flag & which))
                        continue;
                if (setns(fds[i], (int)birth->joins[i].flag) == 0)
                        vg_closep(&fds[i]);
                else if (errno != EPERM || !put_off)
                        return vg_fail(failure, -errno, "join namespace %s", birth->joins[i].path);
        }
        return 0;
}

int vg_join_paths(const struct vg_birth *birth, bool pid, struct vg_failure *failure) {
        if (birth->n_joins == 0)
                return 0;
        /* All are opened before the first is entered: a mount namespace takes the paths away. Left to exec or _exit on failure. */
        _cleanup_free_ int *fds = calloc(birth->n_joins, sizeof *fds);
        if (!fds)
                return vg_fail(failure, -ENOMEM, "join namespaces");
        uint64_t others = pid ? ~(uint64_t)CLONE_NEWUSER : ~(uint64_t)(CLONE_NEWUSER | CLONE_NEWPID), user = 0;
        for (uint32_t i = 0; i < birth->n_joins; i++)
                user |= birth->joins[i].flag & CLONE_NEWUSER;
        int status = open_all(birth, fds, failure);
        /* user_namespaces(7): a namespace is entered with CAP_SYS_ADMIN in the user namespace that owns it, which is either the
         * present one or the one that is about to be entered. */
        if (status == 0)
                status = join(birth, fds, others, user != 0, failure);
        if (status == 0 && user)
                status = join(birth, fds, CLONE_NEWUSER, false, failure);
        if (status == 0 && user)
                status = join(birth, fds, others, false, failure);
        return status;
}

int vg_join_init(const struct vg_child *child, uint64_t not, struct vg_failure *failure) {
        uint64_t flags = child->birth->init_namespaces & ~not ;
        return flags && setns(child->init_pidfd, (int)flags) < 0 ? vg_fail(failure, -errno, "enter the container's namespaces") : 0;
}

int vg_child_join(struct vg_child *c, struct vg_failure *failure) {
        int status = c->joined ? 0 : vg_join_paths(c->birth, false, failure);
        if (status == 0 && !c->joined)
                status = vg_join_init(c, CLONE_NEWPID, failure);
        if (status < 0)
                return status;
        /* Not by clone3: the new namespace's root would be the helper's cgroup. */
        if (c->birth->clone_flags & CLONE_NEWCGROUP) {
                if (unshare(CLONE_NEWCGROUP) < 0)
                        return vg_fail(failure, -errno, "new cgroup namespace");
                c->cgroup_namespace = true;
        }
        for (uint32_t i = 0; i < c->birth->n_joins; i++)
                c->cgroup_namespace |= (c->birth->joins[i].flag & CLONE_NEWCGROUP) != 0;
        return 0;
}
