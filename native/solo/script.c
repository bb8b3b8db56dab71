#include <errno.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "runtime/message.h"
#include "runtime/runtime.h"
#include "solo/solo.h"

int vg_solo_script(const struct vg_solo *solo, struct vg_bytes plan, struct vg_failure *failure) {
        int ends[2], ended;
        char tag;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return vg_fail(failure, -errno, "make a socket");
        _cleanup_close_ int mine = ends[0], theirs = ends[1];
        pid_t pid = fork();
        if (pid < 0)
                return vg_fail(failure, -errno, "make a helper");
        if (pid == 0)
                vg_script_run(plan, solo->undo, theirs);
        vg_closep(&theirs);
        int status = vg_message_receive(mine, &tag, failure);
        while (waitpid(pid, &ended, 0) < 0)
                if (errno != EINTR)
                        return vg_fail(failure, -errno, "wait for the helper");
        if (status == 0 && tag == 'e')
                return failure->status;
        if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0)
                return vg_fail_words(failure, -ECHILD, "the helper was killed");
        vg_solo_answer(solo, "done\n");
        return 0;
}
