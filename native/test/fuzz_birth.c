#include <stddef.h>
#include <stdint.h>

#include "runtime/runtime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct vg_birth birth;
        struct vg_reader r = vg_reader_of(data, size);
        if (vg_birth_decode(&r, &birth) == 0)
                vg_birth_done(&birth);
        return 0;
}
