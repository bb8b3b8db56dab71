/* The receipts' clock: five seconds, so these run side by side. */
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "core/frame.h"
#include "test/core_bed.h"

static void a_daemon_that_hangs_is_replaced(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        poll(NULL, 0, 50);
        int fd = bed_connect(&bed);
        bed_send_frame(fd, 1, VG_FRAME_REQUEST, 0, "state");
        free(bed_expect_request(&d, "state", 1, false));
        CHECK(kill(d.pid, SIGSTOP) == 0);
        uint64_t began = bed_now_ms();
        struct bed_daemon stopped = d;
        bed_daemon_accept(&bed, &d);
        bed_daemon_gone(&stopped);
        uint64_t took = bed_now_ms() - began;
        struct bed_record hello = bed_expect(&d, VG_REC_HELLO);
        d.epoch = hello.header.epoch;
        bed_record_done(&hello);
        _cleanup_free_ char *key = bed_expect_request(&d, "state", 2, false);
        CHECK(took >= 4000);
        bed_keyed(&d, VG_CMD_REPLY, key, "ok");
        free(bed_expect_response(fd, 1, NULL));
        close(fd);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void an_idle_daemon_owes_no_receipt(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        CHECK(!bed_daemon_comes(&bed, 5600));
        bed_daemon_gone(&d);
        bed_end(&bed);
}

int main(int argc, char **argv) {
        bed_roles(argc, argv);
        static void (*const tests[])(void) = {a_daemon_that_hangs_is_replaced, an_idle_daemon_owes_no_receipt};
        return bed_run_together(tests, VG_COUNT(tests));
}
