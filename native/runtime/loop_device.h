/* Mount option "loop": the source is a file that holds a file system. */
#ifndef VG_RUNTIME_LOOP_DEVICE_H
#define VG_RUNTIME_LOOP_DEVICE_H

#include <stdbool.h>

/* Copies the options without "loop". 1: it was there, 0: it was not. */
int vg_loop_device_option(const char *data, char **ret_data);
/* A free loop device on the file; it lets the file go with its last user, which first is `ret_fd`. */
int vg_loop_device_attach(const char *file, bool readonly, int *ret_fd, char **ret_path);

#endif
