#include "core/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/core.h"
#include "core/registered.h"
#include "lib/proc.h"

void vg_core_unavailable(struct vg_core *core, const char *what, const char *how) {
        char *reason;
        if (asprintf(&reason, "%s%s", what, how) < 0)
                return;
        if (!core->unavailable)
                vg_log(&core->log, VG_LOG_ERROR, "requests are refused from now on", "reason", reason, NULL);
        free(core->unavailable);
        core->unavailable = reason;
        vg_requests_unavailable(core);
        vg_handoffs_done(core);
        vg_shutdown_look(core);
}

void vg_core_available(struct vg_core *core) {
        if (core->unavailable)
                vg_log(&core->log, VG_LOG_INFO, "requests are served again", NULL);
        free(TAKE_PTR(core->unavailable));
}

/* 0, 1 and 2 open, so that nothing opened later takes their place; ours closed on exec; nothing else inherited. */
static int settle_descriptors(void) {
        for (;;) {
                int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
                if (fd > 2) {
                        close(fd);
                        break;
                }
        }
        close_range(VG_FD_OPTIONS + 1, ~0U, 0);
        for (int fd = VG_FD_LISTENER; fd <= VG_FD_OPTIONS; fd++)
                if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 && fd == VG_FD_LISTENER)
                        return -errno;
        return 0;
}

/* A full FIFO must not stop us. A terminal keeps its mode: it is other people's, too. */
static int open_log(void) {
        struct stat st;
        int flags = fcntl(VG_FD_LOG, F_GETFL);
        if (flags < 0 || fstat(VG_FD_LOG, &st) < 0)
                return -1;
        if (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
                fcntl(VG_FD_LOG, F_SETFL, flags | O_NONBLOCK);
        return VG_FD_LOG;
}

static int write_entry(const struct vg_core *core) {
        const struct vg_config *c = &core->config;
        char text[2 * PATH_MAX + 128];
        uint64_t start = 0;
        int r = vg_proc_start_time(getpid(), &start);
        if (r == 0)
                r = vg_make_directories(c->own);
        if (r < 0)
                return r;
        int n = snprintf(text, sizeof text, "pid=%d\nstart=%llu\nsocket=%s\nstate=%s\n", (int)getpid(), (unsigned long long)start,
                         c->socket, c->state_dir);
        if (n < 0 || n >= (int)sizeof text)
                return -ENAMETOOLONG;
        return vg_write_file(c->own, "core", text, (size_t)n);
}

static int open_state(struct vg_core *core) {
        int r = vg_make_directories(core->config.state_dir);
        if (r < 0)
                return r;
        core->state_directory = open(core->config.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (core->state_directory < 0)
                return -errno;
        return vg_journal_begin(core);
}

void vg_core_init(struct vg_core *core) {
        core->state_directory = core->journal.fd = -1;
        TAILQ_INIT(&core->facts.list);
        vg_store_init(&core->store);
        TAILQ_INIT(&core->keep.list);
        TAILQ_INIT(&core->requests.sent);
        TAILQ_INIT(&core->requests.waiting);
        TAILQ_INIT(&core->requests.closing);
        TAILQ_INIT(&core->connections.list);
        STAILQ_INIT(&core->handoffs.waiting);
        LIST_INIT(&core->scripts.list);
        vg_daemon_init(core);
        vg_shutdown_init(core);
}

/* A core that cannot keep its facts serves nobody, but says why to whoever asks, and ends when nobody does. */
static int run(struct vg_core *core) {
        int r = vg_reaper_open(core);
        if (r == 0)
                r = vg_listener_open(core, VG_FD_LISTENER);
        if (r < 0)
                return r;
        r = write_entry(core);
        if (r == 0)
                r = open_state(core);
        if (r < 0)
                vg_core_unavailable(core, "vigil-core cannot keep its state: ", strerror(-r));
        else
                vg_daemon_start(core);
        return vg_loop_run(core->loop);
}

void vg_core_done(struct vg_core *core) {
        vg_shutdown_clean(core);
        vg_daemon_done(core);
        vg_connections_done(core);
        vg_handoffs_done(core);
        vg_requests_done(core);
        vg_scripts_done(core);
        vg_containers_done(core);
        vg_oom_host_free(core->oom_host);
        vg_registered_done(core);
        vg_keep_done(core);
        vg_store_done(&core->store);
        vg_facts_covered(&core->facts, UINT64_MAX);
        vg_journal_done(&core->journal);
        vg_reaper_close(core);
        vg_closep(&core->state_directory);
        vg_loop_free(core->loop);
        free(core->unavailable);
        free(core->config.options);
}

int vg_core_main(int argc, char **argv) {
        vg_signals_block();
        struct vg_core core = {0};
        const char *error = "the descriptors cannot be set up";
        int r = settle_descriptors();
        if (r == 0)
                r = vg_config_parse(argc, argv, &core.config, &error);
        if (r < 0) {
                fprintf(stderr, "vigil-core: %s: %s\n", error, strerror(-r));
                return EXIT_FAILURE;
        }
        core.log = (struct vg_log){.fd = open_log(), .debug = core.config.debug};
        /* Orphans of containers come to us. Not dumpable: /proc/PID of this process opens to nobody whom it did not let in. */
        if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || (geteuid() == 0 && prctl(PR_SET_DUMPABLE, 0) < 0))
                vg_log(&core.log, VG_LOG_WARNING, "prctl", "error", strerror(errno), NULL);
        r = vg_loop_new(&core.loop);
        if (r == 0)
                r = vg_oom_host_new(core.loop, 0, &core.oom_host);
        if (r == 0) {
                vg_core_init(&core);
                r = run(&core);
        }
        if (r < 0)
                vg_log(&core.log, VG_LOG_ERROR, "core failed", "error", strerror(-r), NULL);
        if (core.oom_host)
                vg_core_done(&core);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
