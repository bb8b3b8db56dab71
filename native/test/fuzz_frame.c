/* ttrpc frames from any bytes in any pieces: the first byte of the input is the size of a piece. */
#include <stdlib.h>

#include "core/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct vg_frame_reader reader = {0};
        size_t piece = size > 0 && data[0] > 0 ? data[0] : 1;
        for (size_t at = 1; at < size; at += piece) {
                const uint8_t *from = data + at, *end = data + (at + piece < size ? at + piece : size);
                struct vg_frame frame;
                uint8_t *body;
                while (vg_frame_take(&reader, &from, end, &frame, &body) == 1) {
                        if (body && frame.length > 0 && body[0] + body[frame.length - 1] > 600)
                                abort();
                        free(body);
                }
        }
        vg_frame_reader_done(&reader);
        return 0;
}
