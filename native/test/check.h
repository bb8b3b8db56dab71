/* The checks of the native tests: a failed one says where and ends the program with 1. */
#ifndef VG_CHECK_H
#define VG_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                          \
        do {                                                                                      \
                if (!(condition)) {                                                               \
                        fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
                        exit(1);                                                                  \
                }                                                                                 \
        } while (0)

#define SKIP(reason)                             \
        do {                                     \
                printf("skipped: %s\n", reason); \
                exit(77);                        \
        } while (0)

#endif
