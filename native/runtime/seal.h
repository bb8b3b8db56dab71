/* A container can make a process that is about to execve inside of it run the program it comes from ("#!/proc/self/exe"), and
 * then write to that program through /proc/PID/exe once nobody runs it (CVE-2019-5736). So the core runs from where nobody can
 * write: a read-only mount of its file that is not in any namespace, or a sealed copy in memory. */
#ifndef VG_RUNTIME_SEAL_H
#define VG_RUNTIME_SEAL_H

/* First thing in main: executes the program anew unless it is sealed already, descriptors and all. Returns 0 in the sealed
 * one, -errno when it could not be done. */
int vg_seal_self(char **argv);

#endif
