#include "runtime/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum { LINES_MAX = 65536 }; /* of a file that the container's owner wrote */

/* name:password:uid:gid:gecos:home:shell (passwd(5)); the home's place in the line, ended by a zero. */
static char *home_in_line(char *line, uid_t uid) {
        char *fields[7] = {line};
        for (int i = 1; i < 7; i++) {
                char *colon = strchr(fields[i - 1], ':');
                if (!colon)
                        return NULL;
                *colon = 0;
                fields[i] = colon + 1;
        }
        char *end;
        unsigned long number = strtoul(fields[2], &end, 10);
        return fields[2][0] && !*end && number == uid && fields[5][0] == '/' ? fields[5] : NULL;
}

static char *find_home(uid_t uid) {
        struct stat st;
        /* A FIFO in its place must not hold the birth up. */
        _cleanup_close_ int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return NULL;
        _cleanup_fclose_ FILE *file = fdopen(fd, "r");
        if (!file)
                return NULL;
        fd = -1;
        char line[1024];
        for (int i = 0; i < LINES_MAX && fgets(line, sizeof line, file); i++) {
                char *home = home_in_line(line, uid);
                if (home)
                        return strdup(home);
        }
        return NULL;
}

int vg_home_complete(char **environment, char ***ret_environment) {
        size_t count = 0;
        for (; environment[count]; count++)
                if (strncmp(environment[count], "HOME=", 5) == 0 && environment[count][5]) {
                        *ret_environment = environment;
                        return 0;
                }
        _cleanup_free_ char *home = find_home(geteuid());
        _cleanup_free_ char **copy = calloc(count + 2, sizeof *copy);
        if (!copy || asprintf(&copy[count], "HOME=%s", home ? home : "/") < 0)
                return -ENOMEM;
        memcpy(copy, environment, count * sizeof *copy);
        *ret_environment = TAKE_PTR(copy);
        return 0;
}
