/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): tells a whole journal entry from a torn one. */
#ifndef VG_CRC32C_H
#define VG_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Begin with 0; the value of the bytes so far goes in with more of them. */
uint32_t vg_crc32c(uint32_t crc, const void *data, size_t size);

#endif
