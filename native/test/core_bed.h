/* A real core with a daemon under the test's hand: the process that the core starts hands its two sockets to the test and then
 * only waits to die. The program of a test is also that process and the core itself (bed_main). */
#ifndef CORE_BED_H
#define CORE_BED_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "lib/cleanup.h"
#include "lib/wire.h"
#include "test/check.h"
#include "vigil.h"

#define BED_TIMEOUT_MS 10000 /* what has not come by then will not come */

struct bed {
        char directory[64], socket[96], run[96], state[96], log[96];
        pid_t core;
        int control; /* where daemons report */
};

/* First in main(): returns in the test only, not in the roles that the same program plays. */
void bed_roles(int argc, char **argv);
/* One after the other, all or the one whose number is argv[1]. Give the program's exit status. */
int bed_run(void (*const tests[])(void), size_t n, int argc, char **argv);
/* Each in a process of its own, at the same time. */
int bed_run_together(void (*const tests[])(void), size_t n);

void bed_start(struct bed *bed);
/* The two halves of it: the directory, then the core. */
void bed_prepare(struct bed *bed);
void bed_go(struct bed *bed);
/* Each daemon that is started from now on exits at once with this status; -1: lives. */
void bed_daemons_exit(struct bed *bed, int status);
/* Registers an id with the group as the launcher does. */
void bed_register(struct bed *bed, const char *id, const char *group);
bool bed_exists(const struct bed *bed, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The whole file, zero-terminated, to be freed; NULL when there is none. */
char *bed_read(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The first entry of a directory that begins so, as a path to be freed. */
char *bed_find(const char *directory, const char *prefix);
bool bed_core_alive(struct bed *bed);
/* Waits for the core's end and gives its wait status. */
int bed_core_wait(struct bed *bed);
/* Kills what is left, removes the directory. */
void bed_end(struct bed *bed);

struct bed_record {
        struct vg_record_header header;
        uint8_t *payload;
        struct vg_reader reader; /* over the payload */
};

struct bed_daemon {
        pid_t pid;
        int control, channel, fds;
        uint32_t epoch;
        uint64_t taken; /* number of the last record read */
};

void bed_daemon_accept(struct bed *bed, struct bed_daemon *ret_daemon);
bool bed_daemon_comes(struct bed *bed, int timeout_ms);
/* The next record, whatever it is. */
void bed_next(struct bed_daemon *d, struct bed_record *ret_record);
/* The next record, which must be of this type. */
struct bed_record bed_expect(struct bed_daemon *d, enum vg_record type);
/* Nothing comes within this time. */
void bed_expect_nothing(struct bed_daemon *d, int ms);
void bed_record_done(struct bed_record *record);
#define _cleanup_record_ __attribute__((cleanup(bed_record_done)))
void bed_receipt(struct bed_daemon *d);
/* Reads the hand-over up to SYNCED (no request may be in it), takes the epoch from HELLO, says READY. */
void bed_ready(struct bed_daemon *d);
void bed_say_ready(struct bed_daemon *d);
/* Sends a command with the granted epoch and empties the writer. */
void bed_command(struct bed_daemon *d, enum vg_command type, struct vg_writer *payload);
void bed_command_as(struct bed_daemon *d, uint32_t epoch, enum vg_command type, struct vg_writer *payload);
/* Commands whose payload is a key and at most some bytes. */
void bed_keyed(struct bed_daemon *d, enum vg_command type, const char *key, const char *bytes);
void bed_daemon_kill(struct bed_daemon *d);
/* Forgets the sockets of a daemon that has died. */
void bed_daemon_gone(struct bed_daemon *d);

/* A daemon that is ready: start, accept, hand-over. */
void bed_start_ready(struct bed *bed, struct bed_daemon *ret_daemon);

/* Reads a REQUEST and checks what a test usually knows of it. Returns the key, to be freed. */
char *bed_expect_request(struct bed_daemon *d, const char *data, uint32_t deliveries, bool begun);
/* Reads a RESULT for the key and gives its status. */
int bed_expect_result(struct bed_daemon *d, const char *key);

int bed_connect(const struct bed *bed);
void bed_send_all(int fd, const void *data, size_t size);
void bed_send_frame(int fd, uint32_t stream, uint8_t type, uint8_t flags, const char *data);
/* The next frame, a response; its body zero-terminated, to be freed. */
char *bed_expect_response(int fd, uint32_t stream, size_t *ret_size);
/* The next frame is a response that holds nothing but this status and a message with these words. */
void bed_expect_status(int fd, uint32_t stream, uint32_t code, const char *words);
void bed_expect_eof(int fd);

/* A birth without namespaces, cgroup or root of its own: `sh -c script`. An init waits for START. */
struct bed_birth {
        const char *container, *exec, *script;
        const char *program; /* instead of /bin/sh */
        const char *teardown;
        const char *output; /* a file for stdout; NULL: /dev/null */
        const char *cgroup; /* a directory of cgroup v1's memory controller, to be born in and watched */
        struct vg_writer host_ops;
        bool no_start; /* without VG_OP_WAIT_START */
};
/* Gives VG_CMD_BIRTH and empties host_ops. */
void bed_give_birth(struct bed_daemon *d, const char *key, struct bed_birth birth);
/* Reads CREATED and the RESULT of an init's birth; the pid. */
pid_t bed_expect_created(struct bed_daemon *d, const char *key, const char *container);
/* Reads STARTED of the init or exec. */
pid_t bed_expect_started(struct bed_daemon *d, const char *container, const char *exec);
/* Reads EXITED: the exit status. */
uint32_t bed_expect_exited(struct bed_daemon *d, const char *container, const char *exec, bool started);
/* VG_CMD_START and such: key, container, and an exec if it is not NULL. */
void bed_address(struct bed_daemon *d, enum vg_command type, const char *key, const char *container, const char *exec);
void bed_signal(struct bed_daemon *d, const char *key, const char *container, const char *exec, int number);

/* What the parts of the bed share. */
int bed_connect_to(const char *path);
bool bed_readable(int fd, int timeout_ms);
void bed_receive_all(int fd, void *data, size_t size);
uint64_t bed_now_ms(void);

#endif
