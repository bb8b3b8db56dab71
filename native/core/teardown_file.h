/* The teardown record of a container (RUN/cores/NS/ID/teardown): what `delete` carries out when the core is dead. The daemon
 * composes it; the core adds the init's pid and the journal, and keeps the number of OOM kills that are facts already. */
#ifndef VG_TEARDOWN_FILE_H
#define VG_TEARDOWN_FILE_H

#include <stdint.h>
#include <sys/types.h>

struct vg_config;

struct vg_teardown_file {
        char *directory; /* NULL: no record */
        char *text;      /* as the daemon wrote it */
        char *journal;
        pid_t pid;
        uint64_t start_time;
        uint64_t baseline; /* of the counter, before the first process */
        uint64_t counted;
        uint64_t fact; /* the last one whose kills are counted */
};

/* An empty text makes no record. The record is replaced as a whole or stays as it was. */
int vg_teardown_file_write(const struct vg_config *config, const char *id, const char *text, struct vg_teardown_file *ret_file);
int vg_teardown_file_pid(struct vg_teardown_file *file, pid_t pid, uint64_t start_time);
/* The watch has taken its baseline, no process is there yet: the counter is read for ours. */
void vg_teardown_file_armed(struct vg_teardown_file *file);
/* Another text, once what it names has come to be; then as vg_teardown_file_armed(). */
int vg_teardown_file_replace(struct vg_teardown_file *file, const char *text);
/* So many kills since then are facts, the last of them the one with that number. */
int vg_teardown_file_counted(struct vg_teardown_file *file, uint64_t total, uint64_t fact);
void vg_teardown_file_remove(struct vg_teardown_file *file);
void vg_teardown_file_done(struct vg_teardown_file *file);

/* Makes every missing directory of the path, 0700. */
int vg_make_directories(const char *path);
/* Replaces the file as a whole. */
int vg_write_file(const char *directory, const char *name, const char *text, size_t size);

#endif
