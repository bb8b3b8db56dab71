/* What a client sees of its requests, whatever the daemon does. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/frame.h"
#include "core/request.h"
#include "test/core_bed.h"

enum { INVALID_ARGUMENT = 3, RESOURCE_EXHAUSTED = 8, UNIMPLEMENTED = 12, INTERNAL = 13, UNAVAILABLE = 14 };

static void expect_answer(int fd, uint32_t stream, const char *text) {
        _cleanup_free_ char *answer = bed_expect_response(fd, stream, NULL);
        CHECK(strcmp(answer, text) == 0);
}

static void requests_are_relayed_and_answered_in_any_order(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        int fd = bed_connect(&bed);
        bed_send_frame(fd, 1, VG_FRAME_REQUEST, 0, "create");
        bed_send_frame(fd, 3, VG_FRAME_REQUEST, 0, "wait");
        _cleanup_free_ char *first = bed_expect_request(&d, "create", 1, false), *second = bed_expect_request(&d, "wait", 1, false);
        CHECK(strcmp(first, second) != 0 && strncmp(first, "t:", 2) == 0);
        bed_keyed(&d, VG_CMD_REPLY, second, "two");
        bed_keyed(&d, VG_CMD_REPLY, first, "one");
        expect_answer(fd, 3, "two");
        expect_answer(fd, 1, "one");
        close(fd);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void requests_wait_for_the_first_daemon(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start(&bed);
        int fd = bed_connect(&bed);
        bed_send_frame(fd, 1, VG_FRAME_REQUEST, 0, "early");
        bed_daemon_accept(&bed, &d);
        bed_ready(&d);
        _cleanup_free_ char *key = bed_expect_request(&d, "early", 1, false);
        bed_keyed(&d, VG_CMD_REPLY, key, "late");
        expect_answer(fd, 1, "late");
        close(fd);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void frames_come_in_pieces(const struct bed *bed, struct bed_daemon *d) {
        int fd = bed_connect(bed);
        const char bytes[] = {0, 0, 0, 3, 0, 0, 0, 1, 1, 0, 'a', 'b', 'c', 0, 0, 0, 0, 0, 0, 0, 3, 1, 0};
        for (size_t i = 0; i < sizeof bytes; i++) {
                bed_send_all(fd, &bytes[i], 1);
                poll(NULL, 0, 1);
        }
        _cleanup_free_ char *key = bed_expect_request(d, "abc", 1, false), *empty = bed_expect_request(d, "", 1, false);
        bed_keyed(d, VG_CMD_REPLY, key, "");
        bed_keyed(d, VG_CMD_REPLY, empty, "x");
        expect_answer(fd, 1, "");
        expect_answer(fd, 3, "x");
        close(fd);
        _cleanup_record_ struct bed_record closed = bed_expect(d, VG_REC_CLOSED);
}

static void an_over_long_frame_is_refused_and_the_next_one_served(const struct bed *bed, struct bed_daemon *d) {
        int fd = bed_connect(bed);
        uint8_t header[VG_FRAME_HEADER], piece[65536] = {0};
        vg_frame_header(header, &(struct vg_frame){.length = VG_FRAME_MAX + 1, .stream = 1, .type = VG_FRAME_REQUEST});
        bed_send_all(fd, header, sizeof header);
        for (size_t left = VG_FRAME_MAX + 1; left > 0;) {
                size_t n = left < sizeof piece ? left : sizeof piece;
                bed_send_all(fd, piece, n);
                left -= n;
        }
        bed_expect_status(fd, 1, RESOURCE_EXHAUSTED, "4194304");
        bed_send_frame(fd, 3, VG_FRAME_REQUEST, 0, "fine");
        _cleanup_free_ char *key = bed_expect_request(d, "fine", 1, false);
        bed_keyed(d, VG_CMD_REPLY, key, "ok");
        expect_answer(fd, 3, "ok");
        close(fd);
        _cleanup_record_ struct bed_record closed = bed_expect(d, VG_REC_CLOSED);
}

static void bad_streams_are_refused(const struct bed *bed, struct bed_daemon *d) {
        int fd = bed_connect(bed);
        bed_send_frame(fd, 2, VG_FRAME_REQUEST, 0, "even");
        bed_expect_status(fd, 2, INVALID_ARGUMENT, "odd");
        bed_send_frame(fd, 5, VG_FRAME_REQUEST, 0, "five");
        _cleanup_free_ char *key = bed_expect_request(d, "five", 1, false);
        bed_send_frame(fd, 5, VG_FRAME_REQUEST, 0, "again");
        bed_expect_status(fd, 5, INVALID_ARGUMENT, "re-used");
        bed_send_frame(fd, 3, VG_FRAME_REQUEST, 0, "lower");
        bed_expect_status(fd, 3, INVALID_ARGUMENT, "re-used");
        bed_send_frame(fd, 7, VG_FRAME_DATA, 0, "data");
        bed_expect_status(fd, 7, INVALID_ARGUMENT, "active");
        bed_send_frame(fd, 9, VG_FRAME_REQUEST, VG_FRAME_REMOTE_OPEN, "stream");
        bed_expect_status(fd, 9, UNIMPLEMENTED, "streaming");
        bed_send_frame(fd, 11, 77, 0, "a type to come");
        bed_send_frame(fd, 13, VG_FRAME_REQUEST, 0, "after");
        _cleanup_free_ char *after = bed_expect_request(d, "after", 1, false);
        bed_keyed(d, VG_CMD_REPLY, after, "ok");
        expect_answer(fd, 13, "ok");
        close(fd);
        _cleanup_record_ struct bed_record closed = bed_expect(d, VG_REC_CLOSED);
}

static void garbage_ends_the_connection(const struct bed *bed, struct bed_daemon *d) {
        int fd = bed_connect(bed);
        bed_send_all(fd, "GET / HTTP/1.1\r\n\r\n", 18);
        bed_expect_eof(fd);
        close(fd);
        bed_expect_nothing(d, 20);
}

static void framing(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        frames_come_in_pieces(&bed, &d);
        an_over_long_frame_is_refused_and_the_next_one_served(&bed, &d);
        bad_streams_are_refused(&bed, &d);
        garbage_ends_the_connection(&bed, &d);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void too_many_requests_are_refused(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        int fd = bed_connect(&bed);
        uint32_t stream = 1;
        for (unsigned i = 0; i < VG_REQUESTS_MAX; i++, stream += 2) {
                bed_send_frame(fd, stream, VG_FRAME_REQUEST, 0, "wait");
                free(bed_expect_request(&d, "wait", 1, false));
                if (i % 64 == 0)
                        bed_receipt(&d);
        }
        bed_send_frame(fd, stream, VG_FRAME_REQUEST, 0, "one more");
        bed_expect_status(fd, stream, RESOURCE_EXHAUSTED, "too many unanswered requests");
        /* Another connection has limits of its own. */
        int other = bed_connect(&bed);
        bed_send_frame(other, 1, VG_FRAME_REQUEST, 0, "other");
        free(bed_expect_request(&d, "other", 1, false));
        close(other);
        close(fd);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void too_many_bytes_are_refused(void) {
        struct bed bed;
        bed_start(&bed);
        int fd = bed_connect(&bed);
        size_t size = VG_REQUEST_BYTES_MAX / 4;
        _cleanup_free_ char *data = malloc(size + 1);
        CHECK(data);
        memset(data, 'x', size);
        data[size] = 0;
        for (uint32_t stream = 1; stream <= 7; stream += 2)
                bed_send_frame(fd, stream, VG_FRAME_REQUEST, 0, data);
        bed_send_frame(fd, 9, VG_FRAME_REQUEST, 0, "x");
        bed_expect_status(fd, 9, RESOURCE_EXHAUSTED, "bytes");
        close(fd);
        bed_end(&bed);
}

static void a_request_survives_the_daemon(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        int fd = bed_connect(&bed);
        bed_send_frame(fd, 1, VG_FRAME_REQUEST, 0, "create");
        bed_send_frame(fd, 3, VG_FRAME_REQUEST, 0, "list");
        _cleanup_free_ char *key = bed_expect_request(&d, "create", 1, false);
        free(bed_expect_request(&d, "list", 1, false));
        bed_keyed(&d, VG_CMD_BEGIN, key, NULL);
        poll(NULL, 0, 120);
        bed_daemon_kill(&d);

        bed_daemon_accept(&bed, &d);
        struct bed_record hello = bed_expect(&d, VG_REC_HELLO);
        CHECK(hello.header.epoch == 2);
        d.epoch = 2;
        bed_record_done(&hello);
        struct bed_record r = bed_expect(&d, VG_REC_REQUEST);
        _cleanup_free_ char *again = vg_get_str(&r.reader);
        CHECK(strcmp(again, key) == 0);
        vg_get_u64(&r.reader);
        uint64_t age = vg_get_u64(&r.reader);
        CHECK(age >= 120000000u && age < 10000000000u);
        CHECK(vg_get_u32(&r.reader) == 2);
        CHECK(vg_get_u8(&r.reader) == 1); /* begun */
        bed_record_done(&r);
        _cleanup_free_ char *list = bed_expect_request(&d, "list", 2, false);
        bed_record_done(&(struct bed_record){.payload = bed_expect(&d, VG_REC_SYNCED).payload});
        bed_say_ready(&d);
        bed_keyed(&d, VG_CMD_REPLY, list, "answer");
        expect_answer(fd, 3, "answer");
        close(fd);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

/* The hand-over of a later daemon that holds this one request. */
static char *reborn(struct bed *bed, struct bed_daemon *d, const char *data, uint32_t deliveries, bool begun) {
        bed_daemon_accept(bed, d);
        struct bed_record hello = bed_expect(d, VG_REC_HELLO);
        d->epoch = hello.header.epoch;
        bed_record_done(&hello);
        char *key = data ? bed_expect_request(d, data, deliveries, begun) : NULL;
        struct bed_record synced = bed_expect(d, VG_REC_SYNCED);
        bed_record_done(&synced);
        bed_say_ready(d);
        return key;
}

static void the_third_death_over_a_request_answers_it(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        int fd = bed_connect(&bed);
        bed_send_frame(fd, 1, VG_FRAME_REQUEST, 0, "wait");
        _cleanup_free_ char *wait = bed_expect_request(&d, "wait", 1, false);
        bed_keyed(&d, VG_CMD_PARK, wait, NULL);
        bed_send_frame(fd, 3, VG_FRAME_REQUEST, 0, "poison");
        free(bed_expect_request(&d, "poison", 1, false));
        for (uint32_t death = 2; death <= 3; death++) {
                bed_daemon_kill(&d);
                bed_daemon_accept(&bed, &d);
                struct bed_record hello = bed_expect(&d, VG_REC_HELLO);
                d.epoch = hello.header.epoch;
                bed_record_done(&hello);
                free(bed_expect_request(&d, "wait", death, false));
                free(bed_expect_request(&d, "poison", death, false));
                bed_record_done(&(struct bed_record){.payload = bed_expect(&d, VG_REC_SYNCED).payload});
                bed_say_ready(&d);
                bed_keyed(&d, VG_CMD_BEGIN, "t:none", NULL);
        }
        bed_daemon_kill(&d);
        bed_expect_status(fd, 3, INTERNAL, "died three times");
        /* The one that only waits is given on. */
        free(reborn(&bed, &d, "wait", 4, false));
        bed_keyed(&d, VG_CMD_REPLY, wait, "exited");
        expect_answer(fd, 1, "exited");
        close(fd);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void a_closed_connection_takes_along_what_has_not_begun(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        int fd = bed_connect(&bed);
        bed_send_frame(fd, 1, VG_FRAME_REQUEST, 0, "create");
        bed_send_frame(fd, 3, VG_FRAME_REQUEST, 0, "wait");
        bed_send_frame(fd, 5, VG_FRAME_REQUEST, 0, "list");
        bed_send_frame(fd, 7, VG_FRAME_REQUEST, 0, "kill");
        _cleanup_free_ char *create = bed_expect_request(&d, "create", 1, false), *wait = bed_expect_request(&d, "wait", 1, false);
        free(bed_expect_request(&d, "list", 1, false));
        _cleanup_free_ char *late = bed_expect_request(&d, "kill", 1, false);
        bed_keyed(&d, VG_CMD_BEGIN, create, NULL);
        bed_keyed(&d, VG_CMD_PARK, wait, NULL);
        poll(NULL, 0, 20);
        close(fd);
        _cleanup_record_ struct bed_record closed = bed_expect(&d, VG_REC_CLOSED);
        CHECK(vg_get_u64(&closed.reader) == 1);
        /* Begun before the daemon heard of the end: it stays to be finished. */
        bed_keyed(&d, VG_CMD_BEGIN, late, NULL);
        bed_receipt(&d);
        poll(NULL, 0, 20);
        bed_daemon_kill(&d);

        bed_daemon_accept(&bed, &d);
        struct bed_record hello = bed_expect(&d, VG_REC_HELLO);
        d.epoch = hello.header.epoch;
        bed_record_done(&hello);
        free(bed_expect_request(&d, "create", 2, true));
        free(bed_expect_request(&d, "kill", 2, true));
        bed_record_done(&(struct bed_record){.payload = bed_expect(&d, VG_REC_SYNCED).payload});
        bed_say_ready(&d);
        bed_keyed(&d, VG_CMD_REPLY, create, "discarded");
        bed_keyed(&d, VG_CMD_REPLY, late, "discarded");
        poll(NULL, 0, 20);
        bed_daemon_kill(&d);
        free(reborn(&bed, &d, NULL, 0, false)); /* nothing is left */
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void last_words_count_and_half_records_do_not(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        int fd = bed_connect(&bed);
        bed_send_frame(fd, 1, VG_FRAME_REQUEST, 0, "one");
        bed_send_frame(fd, 3, VG_FRAME_REQUEST, 0, "two");
        _cleanup_free_ char *one = bed_expect_request(&d, "one", 1, false), *two = bed_expect_request(&d, "two", 1, false);
        CHECK(kill(bed.core, SIGSTOP) == 0);
        bed_keyed(&d, VG_CMD_REPLY, one, "first");
        _cleanup_writer_ struct vg_writer w = {0};
        struct vg_record_header h = {.length = 100, .type = VG_CMD_REPLY, .version = VG_ABI_VERSION, .epoch = d.epoch};
        vg_put_raw(&w, &h, sizeof h);
        vg_put_str(&w, two);
        bed_send_all(d.channel, w.data, w.size);
        bed_daemon_kill(&d);
        poll(NULL, 0, 20);
        CHECK(kill(bed.core, SIGCONT) == 0);
        expect_answer(fd, 1, "first");
        free(reborn(&bed, &d, "two", 2, false));
        bed_keyed(&d, VG_CMD_REPLY, two, "second");
        expect_answer(fd, 3, "second");
        close(fd);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void send_broken(struct bed_daemon *d, unsigned which) {
        struct vg_writer w = {0};
        struct vg_record_header h = {.type = VG_CMD_REPLY, .version = VG_ABI_VERSION, .epoch = d->epoch};
        switch (which) {
        case 0: /* payload ends inside the key */
                vg_put_u32(&w, 1000);
                bed_command(d, VG_CMD_REPLY, &w);
                break;
        case 1: /* trailing bytes */
                vg_put_str(&w, "t:x");
                vg_put_u8(&w, 1);
                bed_command(d, VG_CMD_BEGIN, &w);
                break;
        case 2: /* no such command */
                bed_command(d, (enum vg_command)999, &w);
                break;
        case 3: /* another version */
                h.version = VG_ABI_VERSION + 1;
                bed_send_all(d->channel, &h, sizeof h);
                break;
        case 4: /* longer than a record may be */
                h.length = VG_RECORD_MAX + 1;
                bed_send_all(d->channel, &h, sizeof h);
                break;
        case 5: /* a key that is too long */
                vg_put_u32(&w, VG_KEY_MAX + 1);
                for (int i = 0; i < VG_KEY_MAX + 1; i++)
                        vg_put_u8(&w, 'k');
                bed_command(d, VG_CMD_BEGIN, &w);
                break;
        case 6: /* counts that cannot be */
                vg_put_str(&w, "t:x");
                vg_put_u32(&w, UINT32_MAX);
                bed_command(d, VG_CMD_COMMIT, &w);
                break;
        case 7: /* a birth that is none, and a receipt for what was never sent */
                vg_put_str(&w, "t:x");
                vg_put_str(&w, "c");
                bed_command(d, VG_CMD_BIRTH, &w);
                break;
        default:
                vg_put_u64(&w, UINT64_MAX);
                bed_command(d, VG_CMD_RECEIPT, &w);
        }
}

static void a_daemon_that_breaks_the_protocol_is_replaced(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        for (unsigned which = 0; which < 9; which++) {
                send_broken(&d, which);
                bed_daemon_gone(&d);
                free(reborn(&bed, &d, NULL, 0, false));
        }
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void a_daemon_that_never_starts_is_told_of(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        int fd = bed_connect(&bed);
        bed_send_frame(fd, 1, VG_FRAME_REQUEST, 0, "begun");
        bed_send_frame(fd, 3, VG_FRAME_REQUEST, 0, "not begun");
        _cleanup_free_ char *begun = bed_expect_request(&d, "begun", 1, false);
        free(bed_expect_request(&d, "not begun", 1, false));
        bed_keyed(&d, VG_CMD_BEGIN, begun, NULL);
        bed_daemons_exit(&bed, 3);
        poll(NULL, 0, 20);
        bed_daemon_kill(&d);
        bed_expect_status(fd, 1, UNAVAILABLE, "exited with status 3");
        bed_expect_status(fd, 3, UNAVAILABLE, "exited with status 3");
        bed_send_frame(fd, 5, VG_FRAME_REQUEST, 0, "new");
        bed_expect_status(fd, 5, UNAVAILABLE, "does not start");

        bed_daemons_exit(&bed, -1);
        free(reborn(&bed, &d, "begun", 2, true)); /* its caller has been told, but it is finished */
        bed_keyed(&d, VG_CMD_REPLY, begun, "discarded");
        poll(NULL, 0, 20);
        bed_send_frame(fd, 7, VG_FRAME_REQUEST, 0, "served");
        _cleanup_free_ char *key = bed_expect_request(&d, "served", 1, false);
        bed_keyed(&d, VG_CMD_REPLY, key, "ok");
        expect_answer(fd, 7, "ok");
        close(fd);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void http2_is_handed_to_the_daemon(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start(&bed);
        int fd = bed_connect(&bed);
        bed_send_all(fd, "PRI * HTTP/2.0\r\n", 16);
        bed_daemon_accept(&bed, &d);
        bed_ready(&d);
        _cleanup_record_ struct bed_record r = bed_expect(&d, VG_REC_CONNECTION);
        uint64_t tag = vg_get_u64(&r.reader), sent = 0;
        char space[CMSG_SPACE(sizeof(int))], bytes[17] = "";
        struct iovec part = {&sent, sizeof sent};
        struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
        CHECK(recvmsg(d.fds, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) == sizeof sent && sent == tag);
        int theirs;
        CHECK(CMSG_FIRSTHDR(&m));
        memcpy(&theirs, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof theirs);
        CHECK(read(theirs, bytes, 16) == 16 && strcmp(bytes, "PRI * HTTP/2.0\r\n") == 0);
        bed_send_all(theirs, "settings", 8);
        CHECK(read(fd, bytes, 8) == 8);
        close(theirs);
        bed_expect_eof(fd); /* the core holds no copy */
        close(fd);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void a_client_that_does_not_read_is_let_go(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        int slow = bed_connect(&bed), quick = bed_connect(&bed);
        size_t size = 1 << 20;
        _cleanup_free_ char *big = malloc(size + 1);
        CHECK(big);
        memset(big, 'x', size);
        big[size] = 0;
        for (uint32_t i = 0; i < 17; i++) { /* VG_REPLY_BYTES_MAX and one */
                bed_send_frame(slow, 1 + 2 * i, VG_FRAME_REQUEST, 0, "big");
                _cleanup_free_ char *key = bed_expect_request(&d, "big", 1, false);
                bed_keyed(&d, VG_CMD_REPLY, key, big);
        }
        _cleanup_record_ struct bed_record closed = bed_expect(&d, VG_REC_CLOSED);
        bed_send_frame(quick, 1, VG_FRAME_REQUEST, 0, "quick");
        _cleanup_free_ char *key = bed_expect_request(&d, "quick", 1, false);
        bed_keyed(&d, VG_CMD_REPLY, key, "ok");
        expect_answer(quick, 1, "ok");
        close(slow);
        close(quick);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void a_response_that_is_too_long_is_told_of(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        int fd = bed_connect(&bed);
        bed_send_frame(fd, 1, VG_FRAME_REQUEST, 0, "all");
        _cleanup_free_ char *key = bed_expect_request(&d, "all", 1, false), *big = malloc(VG_FRAME_MAX + 2);
        CHECK(big);
        memset(big, 'x', VG_FRAME_MAX + 1);
        big[VG_FRAME_MAX + 1] = 0;
        bed_keyed(&d, VG_CMD_REPLY, key, big);
        bed_expect_status(fd, 1, RESOURCE_EXHAUSTED, "response exceeds");
        close(fd);
        bed_daemon_gone(&d);
        bed_end(&bed);
}

static void a_held_request_is_replayed_until_it_is_committed(void) {
        struct bed bed;
        struct bed_daemon d;
        bed_start_ready(&bed, &d);
        bed_keyed(&d, VG_CMD_HOLD, "g:abc", "mutation");
        poll(NULL, 0, 20);
        bed_daemon_kill(&d);
        _cleanup_free_ char *key = reborn(&bed, &d, "mutation", 2, true);
        CHECK(strcmp(key, "g:abc") == 0);
        bed_keyed(&d, VG_CMD_REPLY, "g:abc", "done");
        poll(NULL, 0, 20);
        bed_daemon_kill(&d);
        free(reborn(&bed, &d, NULL, 0, false));
        bed_daemon_gone(&d);
        bed_end(&bed);
}

int main(int argc, char **argv) {
        bed_roles(argc, argv);
        static void (*const tests[])(void) = {
                requests_are_relayed_and_answered_in_any_order,
                requests_wait_for_the_first_daemon,
                framing,
                too_many_requests_are_refused,
                too_many_bytes_are_refused,
                a_request_survives_the_daemon,
                the_third_death_over_a_request_answers_it,
                a_closed_connection_takes_along_what_has_not_begun,
                last_words_count_and_half_records_do_not,
                a_daemon_that_breaks_the_protocol_is_replaced,
                http2_is_handed_to_the_daemon,
                a_client_that_does_not_read_is_let_go,
                a_response_that_is_too_long_is_told_of,
                a_held_request_is_replayed_until_it_is_committed,
                a_daemon_that_never_starts_is_told_of,
        };
        return argc > 1 ? bed_run(tests, VG_COUNT(tests), argc, argv) : bed_run_together(tests, VG_COUNT(tests));
}
