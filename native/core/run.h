/* The whole of vigil-core. */
#ifndef VG_RUN_H
#define VG_RUN_H

/* Descriptors 3, 4 and 5 are as the launcher left them (core/config.h). Returns the exit status. */
int vg_core_main(int argc, char **argv);

#endif
