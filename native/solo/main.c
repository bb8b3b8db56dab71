#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/proc.h"
#include "runtime/runtime.h"
#include "runtime/seal.h"
#include "runtime/sys.h"
#include "solo/solo.h"
#include "vigil.h"

#define PLAN_FD 3
#define ANSWERS_FD 4
#define PRESERVED_FD 5 /* the first of those that the process is to have from 3 on */
#define OUT_OF_THE_WAY 256

void vg_solo_answer(const struct vg_solo *solo, const char *format, ...) {
        va_list arguments;
        va_start(arguments, format);
        /* Nobody there to hear it: what was asked for is still done, or undone. */
        (void)vdprintf(solo->answers, format, arguments);
        va_end(arguments);
}

/* The plan's and the answers' descriptors away, and those to be preserved where the process will have them. */
static int arrange_descriptors(struct vg_solo *solo, int *ret_plan) {
        if (solo->preserved > VG_PRESERVED_MAX)
                return -E2BIG;
        int plan = fcntl(PLAN_FD, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
        int answers = fcntl(ANSWERS_FD, F_DUPFD_CLOEXEC, OUT_OF_THE_WAY);
        if (plan < 0 || answers < 0)
                return -errno;
        for (int i = 0; i < (int)solo->preserved; i++)
                if (dup2(PRESERVED_FD + i, PLAN_FD + i) < 0)
                        return -errno;
        solo->answers = answers;
        *ret_plan = plan;
        return vg_close_range(PLAN_FD + solo->preserved, OUT_OF_THE_WAY - 1);
}

static int read_plan(int fd, struct vg_writer *plan) {
        for (;;) {
                uint8_t part[65536];
                ssize_t size = read(fd, part, sizeof part);
                if (size < 0 && errno == EINTR)
                        continue;
                if (size < 0)
                        return -errno;
                if (size == 0)
                        return plan->error;
                if (plan->size + (size_t)size > VG_RECORD_MAX)
                        return -E2BIG;
                vg_put_raw(plan, part, (size_t)size);
        }
}

/* PID:START-TIME, so that it is the init and nobody who got its number. */
static int open_init(const char *text, int *ret_pidfd) {
        int pid;
        unsigned long long ticks;
        uint64_t found;
        char rest;
        if (sscanf(text, "%d:%llu%c", &pid, &ticks, &rest) != 2 || pid <= 0)
                return -EINVAL;
        _cleanup_close_ int fd = vg_pidfd_open(pid);
        if (fd < 0)
                return fd;
        int status = vg_proc_start_time(pid, &found);
        if (status < 0)
                return status;
        if (found != ticks)
                return -ESRCH;
        *ret_pidfd = TAKE_FD(fd);
        return 0;
}

static int parse(int argc, char **argv, struct vg_solo *solo, const char **ret_init) {
        static const struct option options[] = {
                {"listen", required_argument, NULL, 'l'},   {"console-socket", required_argument, NULL, 'c'},
                {"init", required_argument, NULL, 'i'},     {"wait", no_argument, NULL, 'w'},
                {"preserve", required_argument, NULL, 'p'}, {"undo", no_argument, NULL, 'u'},
                {"restore", no_argument, NULL, 'r'},        {NULL, 0, NULL, 0},
        };
        for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
                switch (option) {
                case 'l':
                        solo->listen = optarg;
                        break;
                case 'c':
                        solo->console_socket = optarg;
                        break;
                case 'i':
                        *ret_init = optarg;
                        break;
                case 'p':
                        solo->preserved = (uint32_t)strtoul(optarg, NULL, 10);
                        break;
                case 'w':
                        solo->wait = true;
                        break;
                case 'r':
                        solo->restore = true;
                        break;
                case 'u':
                        solo->undo = true;
                        break;
                default:
                        return -EINVAL;
                }
        if (optind + 1 != argc || (strcmp(argv[optind], "birth") != 0 && strcmp(argv[optind], "script") != 0))
                return -EINVAL;
        solo->script = strcmp(argv[optind], "script") == 0;
        return 0;
}

static int carry_out(struct vg_solo *solo, const char *init, struct vg_failure *failure) {
        __attribute__((cleanup(vg_writer_done))) struct vg_writer plan = {0};
        _cleanup_close_ int from = -1;
        int status = arrange_descriptors(solo, &from);
        if (status == 0)
                status = read_plan(from, &plan);
        if (status < 0)
                return vg_fail(failure, status, "read the plan");
        if (init) {
                status = open_init(init, &solo->init);
                if (status < 0)
                        return vg_fail(failure, status, "find the container's init");
        }
        const struct vg_bytes bytes = {plan.data, plan.size};
        return solo->script ? vg_solo_script(solo, bytes, failure) : vg_solo_birth(solo, bytes, failure);
}

int main(int argc, char **argv) {
        struct vg_solo solo = {.init = -1, .answers = STDERR_FILENO};
        struct vg_failure failure = {0};
        const char *init = NULL;
        if (parse(argc, argv, &solo, &init) < 0) {
                fprintf(stderr, "vigil-solo: carries out what vigil-runtime tells it; it is of no use alone\n");
                return 64;
        }
        int status = vg_seal_self(argv);
        if (status < 0)
                vg_fail(&failure, status, "run from a sealed copy");
        else
                status = carry_out(&solo, init, &failure);
        if (status == 0)
                return EXIT_SUCCESS;
        vg_solo_answer(&solo, "failed %d %u\n%s", failure.status, failure.op, failure.message);
        return EXIT_FAILURE;
}
