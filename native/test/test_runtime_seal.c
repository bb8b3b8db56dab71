/* What CVE-2019-5736 does: hold the executable of a process that has run in the container, and write to it when it has ended. */
#include "runtime/seal.h"

#include "runtime_bed.h"

/* The program itself, run again as what a container would hold on to. */
static int victim(char **argv) {
        int status = vg_seal_self(argv);
        if (status < 0)
                return 10;
        if (getenv("VIGIL_SEALED") || strcmp(argv[1], "victim") != 0)
                return 11;
        char go, name[32] = "";
        if (prctl(PR_GET_NAME, name) < 0 || strcmp(name, "program") != 0)
                return 14;
        return read(0, &go, 1) == 1 ? 0 : 12;
}

static void attack(const char *self) {
        int gate[2];
        char path[64], name[64];
        struct stat before, after;
        CHECK(stat(self, &before) == 0);
        CHECK(pipe(gate) == 0);
        pid_t pid = fork();
        if (pid == 0) {
                dup2(gate[0], 0);
                execl(self, self, "victim", NULL);
                _exit(13);
        }
        /* Until it runs sealed: its mount is read-only then. */
        snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
        int held = -1;
        for (int i = 0; i < 1000 && held < 0; i++) {
                char environment[8192] = "";
                snprintf(name, sizeof name, "/proc/%d/environ", (int)pid);
                _cleanup_close_ int fd = open(name, O_RDONLY | O_CLOEXEC);
                ssize_t size = fd >= 0 ? read(fd, environment, sizeof environment) : 0;
                if (size > 0 && memmem(environment, (size_t)size, "VIGIL_SEALED=1", 14))
                        held = open(path, O_PATH | O_CLOEXEC);
                else
                        (void)poll(NULL, 0, 5);
        }
        CHECK(held >= 0);
        CHECK(write(gate[1], "g", 1) == 1);
        CHECK_INT(WEXITSTATUS(reap(pid)), 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", held);
        CHECK(open(path, O_WRONLY | O_CLOEXEC) < 0 && (errno == EROFS || errno == EPERM));
        CHECK(open(path, O_RDWR | O_TRUNC | O_CLOEXEC) < 0);
        CHECK(mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL) < 0);
        CHECK(stat(self, &after) == 0 && after.st_size == before.st_size && after.st_mtim.tv_nsec == before.st_mtim.tv_nsec);
        close(held);
        close(gate[0]);
        close(gate[1]);
}

int main(int argc, char **argv) {
        if (argc > 1)
                return victim(argv);
        bed_needs();
        /* A copy: the file of a program that runs cannot be written to anyway (ETXTBSY). */
        struct bed bed;
        char copy[96];
        bed_make(&bed);
        snprintf(copy, sizeof copy, "%s/program", bed.top);
        CHECK(bed_command("cp /proc/%d/exe %s", (int)getpid(), copy) == 0);
        attack(copy);
        bed_done(&bed);
        return 0;
}
