/* vigil-solo: carries one plan out without a core, for a runtime that is a command (vigil-runtime).
 *
 * The plan comes on descriptor 3 (until its end), answers go to descriptor 4, a line each:
 *
 *   pid NUMBER          the process exists
 *   ready               an init waits on its socket: whoever connects and sends 's' lets it go, and reads 'x' before its execve,
 *                       then the end (it succeeded) or a failure as in runtime/runtime.h
 *   running             an exec's execve succeeded; an init was restored
 *   done                a script was carried out
 *   exited NUMBER       with --wait: the process has ended; its code, or 128 + signal
 *   failed STATUS OP    and the words, until the end: what was made is undone
 */
#ifndef VG_SOLO_H
#define VG_SOLO_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire.h"
#include "runtime/failure.h"

struct vg_solo {
        bool script, undo, wait;
        bool restore;               /* the plan is of VG_CMD_RESTORE: its init runs at once */
        const char *listen;         /* where an init waits for its start; NULL for an exec */
        const char *console_socket; /* who gets the terminal; NULL: with a terminal it is copied to 0 and 1 */
        int init;                   /* pidfd of the container's init, for an exec; -1 */
        uint32_t preserved;         /* descriptors from 3 on that the process inherits */
        int answers;
};

/* Reports nothing but facts on the way; a failure is the caller's to tell. */
int vg_solo_birth(const struct vg_solo *solo, struct vg_bytes plan, struct vg_failure *failure);
int vg_solo_script(const struct vg_solo *solo, struct vg_bytes plan, struct vg_failure *failure);

void vg_solo_answer(const struct vg_solo *solo, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Until the process of the pidfd has ended: passes signals on to it and, with a terminal (`master` >= 0), copies between it and
 * 0 and 1, whose own terminal is raw meanwhile. */
int vg_solo_attend(int master, int pidfd, struct vg_failure *failure);
/* A socket that only its owner can connect to. */
int vg_solo_listen(const char *path, int *ret_fd);
/* Gives the master to the program that listens at the path, as runc does: one message, the name as its data. */
int vg_solo_give_terminal(const char *path, int master);

#endif
