/* Ownership that the compiler sees: what a function takes it gives back on every way out. */
#ifndef VG_CLEANUP_H
#define VG_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void vg_closep(int *fd) {
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

static inline void vg_freep(void *p) {
        free(*(void **)p);
}

static inline void vg_fclosep(FILE **f) {
        if (*f)
                fclose(*f);
}

static inline void vg_closedirp(DIR **d) {
        if (*d)
                closedir(*d);
}

#define _cleanup_close_ __attribute__((cleanup(vg_closep)))
#define _cleanup_free_ __attribute__((cleanup(vg_freep)))
#define _cleanup_fclose_ __attribute__((cleanup(vg_fclosep)))
#define _cleanup_closedir_ __attribute__((cleanup(vg_closedirp)))

/* Hands a descriptor or a pointer over to the caller: the cleanup attribute then finds nothing. */
#define TAKE_FD(fd)                  \
        ({                           \
                int *_fd_ = &(fd);   \
                int _taken_ = *_fd_; \
                *_fd_ = -1;          \
                _taken_;             \
        })
#define TAKE_PTR(p)                    \
        ({                             \
                typeof(p) *_p_ = &(p); \
                typeof(p) _t_ = *_p_;  \
                *_p_ = NULL;           \
                _t_;                   \
        })

#define VG_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
