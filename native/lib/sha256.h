/* SHA-256 (FIPS 180-4): the socket's file name is the hash of what it serves, as containerd's own shims name it. */
#ifndef VG_SHA256_H
#define VG_SHA256_H

#include <stddef.h>

#define VG_SHA256_HEX 65

/* Lower-case hexadecimal with a terminating zero. */
void vg_sha256_hex(const void *data, size_t size, char ret_hex[VG_SHA256_HEX]);

#endif
