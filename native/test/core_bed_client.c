#include "test/core_bed.h"

#include <endian.h>
#include <errno.h>
#include <unistd.h>

#include "core/frame.h"
#include "lib/protobuf.h"

int bed_connect(const struct bed *bed) {
        return bed_connect_to(bed->socket);
}

void bed_send_frame(int fd, uint32_t stream, uint8_t type, uint8_t flags, const char *data) {
        uint8_t header[VG_FRAME_HEADER];
        struct vg_frame frame = {.length = (uint32_t)strlen(data), .stream = stream, .type = type, .flags = flags};
        vg_frame_header(header, &frame);
        bed_send_all(fd, header, sizeof header);
        bed_send_all(fd, data, frame.length);
}

char *bed_expect_response(int fd, uint32_t stream, size_t *ret_size) {
        uint8_t header[VG_FRAME_HEADER];
        uint32_t length, id;
        bed_receive_all(fd, header, sizeof header);
        memcpy(&length, header, sizeof length);
        memcpy(&id, header + 4, sizeof id);
        length = be32toh(length);
        if (be32toh(id) != stream)
                fprintf(stderr, "a response for stream %u came, not for %u\n", be32toh(id), stream);
        CHECK(be32toh(id) == stream && header[8] == VG_FRAME_RESPONSE && header[9] == 0);
        char *body = malloc(length + 1);
        CHECK(body);
        bed_receive_all(fd, body, length);
        body[length] = 0;
        if (ret_size)
                *ret_size = length;
        return body;
}

void bed_expect_status(int fd, uint32_t stream, uint32_t code, const char *words) {
        size_t size;
        _cleanup_free_ char *body = bed_expect_response(fd, stream, &size);
        struct vg_reader response = vg_reader_of(body, size);
        struct vg_pb_field field;
        CHECK(vg_pb_next(&response, &field) && field.number == 1 && field.type == 2);
        struct vg_reader status = vg_reader_of(field.bytes.data, field.bytes.size);
        CHECK(!vg_pb_next(&response, &field));
        CHECK(vg_pb_next(&status, &field) && field.number == 1);
        if (field.value != code)
                fprintf(stderr, "status %u came, not %u\n", (unsigned)field.value, code);
        CHECK(field.value == code);
        CHECK(vg_pb_next(&status, &field) && field.number == 2);
        CHECK(memmem(field.bytes.data, field.bytes.size, words, strlen(words)));
}

void bed_expect_eof(int fd) {
        char byte;
        CHECK(bed_readable(fd, BED_TIMEOUT_MS));
        ssize_t n = read(fd, &byte, 1);
        CHECK(n == 0 || (n < 0 && errno == ECONNRESET));
}
