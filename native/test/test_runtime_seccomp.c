/* SCMP_ACT_NOTIFY: the agent gets the listener and answers for the container's system calls. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/un.h>

#include "runtime/ops.h"
#include "runtime_bed.h"

static void put_filter(struct vg_writer *w, const char *agent) {
        /* mkdir is the agent's business; anything else goes through. */
        struct sock_filter filter[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdir, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        size_t slot = op_begin(w, VG_OP_SECCOMP_NOTIFY, 0);
        vg_put_bytes(w, filter, sizeof filter);
        vg_put_u32(w, 0);
        vg_put_str(w, agent);
        put_strv(w, ARGV("{\"pid\":", ",\"state\":{\"pid\":", "}}"));
        op_end(w, slot);
}

static void put_begin(struct plan *p, const struct bed *bed) {
        put_root(&p->ops, bed);
        put_pivot(&p->ops);
        plan_streams(p, bed);
}

static int listen_at(const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0);
        return fd;
}

/* The message, to the end of its connection, and the one descriptor that came with it. */
static int take_listener(int server, char *text, size_t room) {
        union {
                struct cmsghdr align;
                char room[CMSG_SPACE(4 * sizeof(int))];
        } control;
        struct pollfd wait = {.fd = server, .events = POLLIN};
        CHECK_INT(poll(&wait, 1, 20000), 1);
        _cleanup_close_ int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
        CHECK(fd >= 0);
        int listener = -1;
        size_t size = 0;
        for (;;) {
                struct iovec part = {text + size, room - 1 - size};
                struct msghdr m = {
                        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control};
                ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
                CHECK(n >= 0);
                struct cmsghdr *head = CMSG_FIRSTHDR(&m);
                if (head) {
                        CHECK(listener < 0 && size == 0);
                        CHECK_INT(head->cmsg_len, CMSG_LEN(sizeof(int)));
                        memcpy(&listener, CMSG_DATA(head), sizeof listener);
                }
                if (n == 0)
                        break;
                size += (size_t)n;
        }
        text[size] = 0;
        CHECK(listener >= 0);
        return listener;
}

static void answered(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        char path[128], text[256], wanted[256];
        snprintf(path, sizeof path, "%s/agent", bed->top);
        _cleanup_close_ int server = listen_at(path);
        put_begin(&p, bed);
        put_filter(&p.ops, path);
        put_program(&p.ops, ARGV("sh", "-c", "ls /proc/self/fd; mkdir /tmp/x 2>&1; mkdir /tmp/y && ls /tmp"));
        birth_begin(&b, &p, -1);
        while (birth_receive(&b) != 'p')
                ;
        _cleanup_close_ int listener = take_listener(server, text, sizeof text);
        if (birth_run(&b) != 'r')
                bed_fail(__FILE__, __LINE__, "not ready: %s", b.message);
        snprintf(wanted, sizeof wanted, "{\"pid\":%d,\"state\":{\"pid\":%d}}", (int)b.child, (int)b.child);
        CHECK_STR(text, wanted);
        birth_start(&b);
        for (int i = 0; i < 2; i++) {
                struct seccomp_notif call = {0};
                struct pollfd wait = {.fd = listener, .events = POLLIN};
                CHECK_INT(poll(&wait, 1, 20000), 1);
                CHECK_INT(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call), 0);
                CHECK_INT(call.data.nr, SYS_mkdir);
                struct seccomp_notif_resp answer = {.id = call.id};
                if (i == 0)
                        answer.error = -ENOANO;
                else
                        answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
                CHECK_INT(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer), 0);
        }
        CHECK_INT(reap(b.helper), 0);
        CHECK_INT(birth_run(&b), 0);
        birth_collect(&b);
        CHECK_INT(reap(b.child), 0);
        birth_done(&b);
        /* The container has no descriptor of it: 3 is the directory that is listed. */
        CHECK_HAS(b.output, "0\n1\n2\n3\nmkdir: can't create directory '/tmp/x': No anode\ny\n");
}

/* Nothing of the container is left when the agent cannot be told. */
static void no_agent(struct bed *bed) {
        _cleanup_plan_ struct plan p = {.clone_flags = ALL_NAMESPACES};
        struct birth b;
        char path[128], wanted[256], made[128];
        snprintf(path, sizeof path, "%s/nobody", bed->top);
        snprintf(made, sizeof made, "%s/made", bed->top);
        OP(&p.script, VG_OP_MKDIR, 0, "s4", made, 0700);
        put_begin(&p, bed);
        put_filter(&p.ops, path);
        put_program(&p.ops, ARGV("true"));
        birth_begin(&b, &p, -1);
        CHECK_INT(birth_run(&b), 'e');
        snprintf(wanted, sizeof wanted, "send the seccomp listener to the agent at %s: No such file or directory", path);
        CHECK_STR(b.message, wanted);
        CHECK_INT(b.status, -ENOENT);
        struct vg_plan_cursor at = {.at = vg_reader_of(p.ops.data, p.ops.size), .next_op = 1};
        struct vg_op op;
        CHECK(vg_plan_find(&at, VG_OP_SECCOMP_NOTIFY, &op));
        CHECK_INT(b.op, at.next_op - 1);
        CHECK_INT(WEXITSTATUS(reap(b.helper)), 1);
        (void)reap(b.child);
        CHECK(access(made, F_OK) < 0);
        birth_done(&b);
}

static void refused(struct bed *bed, struct plan *p, bool after_start, const char *words) {
        struct birth b;
        plan_streams(p, bed);
        birth_begin(&b, p, -1);
        if (after_start) {
                CHECK_INT(birth_run(&b), 'r');
                birth_start(&b);
        }
        CHECK_INT(birth_run(&b), 'e');
        CHECK_HAS(b.message, words);
        CHECK_INT(WEXITSTATUS(reap(b.helper)), after_start ? 0 : 1);
        (void)reap(b.child);
        birth_done(&b);
}

static void misplaced(struct bed *bed) {
        _cleanup_plan_ struct plan late = {.clone_flags = ALL_NAMESPACES}, plain = {.clone_flags = ALL_NAMESPACES};
        OP(&late.ops, VG_OP_WAIT_START, 0, "");
        put_filter(&late.ops, "/nowhere");
        refused(bed, &late, true, "it comes after the helper's time");
        size_t slot = op_begin(&plain.ops, VG_OP_SECCOMP, 0);
        vg_put_bytes(&plain.ops, "12345678", 8);
        vg_put_u32(&plain.ops, SECCOMP_FILTER_FLAG_NEW_LISTENER);
        op_end(&plain.ops, slot);
        refused(bed, &plain, false, "a listener without an agent");
}

int main(void) {
        static void (*const all[])(struct bed *) = {answered, no_agent, misplaced};
        bed_needs();
        for (size_t i = 0; i < VG_COUNT(all); i++) {
                struct bed bed;
                bed_make(&bed);
                all[i](&bed);
                bed_done(&bed);
        }
        return 0;
}
