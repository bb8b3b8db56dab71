#include <stddef.h>
#include <stdint.h>

#include "launcher/annotations.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct vg_annotation wanted[] = {{.key = "io.containerd.runc.v2.group"}, {.key = "io.kubernetes.cri.sandbox-id"}};
        size_t offset;
        vg_annotations_scan((const char *)data, size, wanted, 2, &offset);
        return 0;
}
