#include "runtime/loop_device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/cleanup.h"

#define RACES_MAX 64 /* the free device may be taken by another before it is ours */

int vg_loop_device_option(const char *data, char **ret_data) {
        char *out = malloc(strlen(data) + 1);
        if (!out)
                return -ENOMEM;
        size_t used = 0;
        int found = 0;
        for (const char *at = data;;) {
                size_t length = strcspn(at, ",");
                if (length == 4 && memcmp(at, "loop", 4) == 0)
                        found = 1;
                else if (length > 0) {
                        if (used > 0)
                                out[used++] = ',';
                        memcpy(out + used, at, length);
                        used += length;
                }
                if (!at[length])
                        break;
                at += length + 1;
        }
        out[used] = 0;
        *ret_data = out;
        return found;
}

static int configure(int device, int file, bool readonly) {
        struct loop_config config = {
                .fd = (unsigned)file,
                .info.lo_flags = LO_FLAGS_AUTOCLEAR | (readonly ? LO_FLAGS_READ_ONLY : 0u),
        };
        return ioctl(device, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
}

int vg_loop_device_attach(const char *file, bool readonly, int *ret_fd, char **ret_path) {
        int access = readonly ? O_RDONLY : O_RDWR;
        _cleanup_close_ int backing = open(file, access | O_CLOEXEC);
        _cleanup_close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
        if (backing < 0 || control < 0)
                return -errno;
        for (unsigned i = 0; i < RACES_MAX; i++) {
                int number = ioctl(control, LOOP_CTL_GET_FREE);
                if (number < 0)
                        return -errno;
                _cleanup_free_ char *path = NULL;
                if (asprintf(&path, "/dev/loop%d", number) < 0)
                        return -ENOMEM;
                _cleanup_close_ int device = open(path, access | O_CLOEXEC);
                if (device < 0)
                        return -errno;
                int status = configure(device, backing, readonly);
                if (status == -EBUSY)
                        continue;
                if (status < 0)
                        return status;
                *ret_fd = TAKE_FD(device);
                *ret_path = TAKE_PTR(path);
                return 0;
        }
        return -EBUSY;
}
