/* Whatever a daemon sends, short of births and scripts (which fork) and SHUTDOWN: the input is a list of u8 command, u16 size,
 * payload. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void core_new(struct vg_core *core) {
        char directory[] = "/tmp/vigil-fuzz-XXXXXX"; /* goes with the core: nothing in it is owed to anybody */
        if (!mkdtemp(directory))
                abort();
        *core = (struct vg_core){.log.fd = -1};
        if (vg_loop_new(&core->loop) < 0 || vg_oom_host_new(core->loop, 0, &core->oom_host) < 0)
                abort();
        vg_core_init(core);
        strcpy(core->config.state_dir, directory);
        core->config.namespace = core->config.group = core->config.socket = "fuzz";
        core->state_directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (core->state_directory < 0 || vg_journal_begin(core) < 0)
                abort();
        core->daemon.epoch = 1;
        core->facts.last = 8;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static struct vg_core core;
        core_new(&core);
        struct vg_reader input = vg_reader_of(data, size);
        while (input.end - input.at >= 3) {
                struct vg_record_header header = {.version = VG_ABI_VERSION, .epoch = 1};
                header.type = (uint16_t)(VG_CMD_READY + vg_get_u8(&input) % 18);
                header.length = vg_get_u16(&input);
                if (header.length > (size_t)(input.end - input.at))
                        header.length = (uint32_t)(input.end - input.at);
                struct vg_bytes payload = {input.at, header.length};
                input.at += header.length;
                if (header.type != VG_CMD_BIRTH && header.type != VG_CMD_SCRIPT && header.type != VG_CMD_SHUTDOWN)
                        vg_command_run(&core, &header, payload);
        }
        vg_store_delivered(&core.store, UINT64_MAX);
        vg_core_done(&core);
        return 0;
}
