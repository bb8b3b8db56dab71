/* vigil-core: the parent of a group of containers. Never decides; keeps what must survive its daemon. */
#include <stdio.h>
#include <string.h>

#include "core/run.h"
#include "runtime/seal.h"

int main(int argc, char **argv) {
        /* Before anything is opened or blocked: this is another execve, from a place that no container can write to. */
        int r = vg_seal_self(argv);
        if (r < 0) {
                fprintf(stderr, "vigil-core: cannot run from a sealed copy: %s\n", strerror(-r));
                return 1;
        }
        return vg_core_main(argc, argv);
}
