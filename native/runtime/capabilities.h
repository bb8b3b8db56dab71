#ifndef VG_RUNTIME_CAPABILITIES_H
#define VG_RUNTIME_CAPABILITIES_H

/* Makes every permitted capability effective. */
int vg_capabilities_raise(void);

#endif
