/* vigil-core: the parent of a group of containers. Never decides; keeps what must survive its daemon. */
#include "core/run.h"

int main(int argc, char **argv) {
        return vg_core_main(argc, argv);
}
