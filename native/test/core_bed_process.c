#include "test/core_bed.h"

static void put_strings(struct vg_writer *w, const char *const *v) {
        uint32_t n = 0;
        while (v && v[n])
                n++;
        vg_put_u32(w, n);
        for (uint32_t i = 0; i < n; i++)
                vg_put_str(w, v[i]);
}

static void put_child_ops(struct vg_writer *w, const struct bed_birth *b) {
        if (!b->no_start) {
                vg_put_u16(w, VG_OP_WAIT_START);
                vg_put_u16(w, 0);
                vg_put_u32(w, 0);
        }
        vg_put_u16(w, VG_OP_EXEC);
        vg_put_u16(w, 0);
        size_t slot = vg_put_slot(w), from = w->size;
        put_strings(w, (const char *const[]){b->program ? b->program : "/bin/sh", "-c", b->script, NULL});
        put_strings(w, (const char *const[]){"PATH=/usr/bin:/bin", NULL});
        vg_patch_u32(w, slot, (uint32_t)(w->size - from));
}

void bed_give_birth(struct bed_daemon *d, const char *key, struct bed_birth b) {
        struct vg_writer w = {0}, ops = {0};
        put_child_ops(&ops, &b);
        vg_put_str(&w, key);
        vg_put_str(&w, b.container);
        vg_put_str(&w, b.exec);
        vg_put_str(&w, b.teardown);
        vg_put_u8(&w, 0); /* terminal */
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 0);
        vg_put_u32(&w, 5000);
        for (int i = 0; i < 3; i++) {
                bool file = i == 1 && b.output;
                vg_put_u8(&w, file ? VG_STREAM_FILE : VG_STREAM_NULL);
                vg_put_str(&w, file ? b.output : "");
        }
        put_strings(&w, NULL); /* logger */
        put_strings(&w, NULL);
        vg_put_u8(&w, 0);
        vg_put_bytes(&w, b.host_ops.data, b.host_ops.size);
        char held[256];
        snprintf(held, sizeof held, "%s/memory.oom_control", b.cgroup ? b.cgroup : "");
        bool watch = b.cgroup && !*b.exec;
        vg_put_u8(&w, watch); /* 1: cgroup v1 */
        vg_put_str(&w, watch ? b.cgroup : "");
        put_strings(&w, watch ? (const char *const[]){held, NULL} : NULL);
        put_strings(&w, NULL);
        vg_put_u64(&w, 0); /* namespaces */
        vg_put_u32(&w, 0);
        vg_put_u64(&w, 0);
        vg_put_u8(&w, b.cgroup ? 1 : 0);
        put_strings(&w, b.cgroup ? (const char *const[]){b.cgroup, NULL} : NULL);
        vg_put_bytes(&w, ops.data, ops.size);
        vg_writer_done(&ops);
        vg_writer_done(&b.host_ops);
        bed_command(d, VG_CMD_BIRTH, &w);
}

static struct bed_record expect_fact(struct bed_daemon *d, enum vg_fact kind, const char *container) {
        struct bed_record r = bed_expect(d, VG_REC_FACT);
        vg_get_u64(&r.reader);
        uint8_t its = vg_get_u8(&r.reader);
        if (its != kind)
                fprintf(stderr, "a fact of kind %d came, not %d\n", its, kind);
        CHECK(its == kind);
        _cleanup_free_ char *name = vg_get_str(&r.reader);
        CHECK(strcmp(name, container) == 0);
        return r;
}

pid_t bed_expect_created(struct bed_daemon *d, const char *key, const char *container) {
        _cleanup_record_ struct bed_record fact = expect_fact(d, VG_FACT_CREATED, container), r = bed_expect(d, VG_REC_RESULT);
        pid_t pid = (pid_t)vg_get_u32(&fact.reader);
        _cleanup_free_ char *its = vg_get_str(&r.reader);
        CHECK(strcmp(its, key) == 0);
        CHECK(vg_get_u32(&r.reader) == 0);
        vg_get_u32(&r.reader);
        free(vg_get_str(&r.reader));
        CHECK(vg_get_u32(&r.reader) == 4 && (pid_t)vg_get_u32(&r.reader) == pid && pid > 1);
        return pid;
}

pid_t bed_expect_started(struct bed_daemon *d, const char *container, const char *exec) {
        _cleanup_record_ struct bed_record fact = expect_fact(d, VG_FACT_STARTED, container);
        _cleanup_free_ char *its = vg_get_str(&fact.reader);
        CHECK(strcmp(its, exec) == 0);
        return (pid_t)vg_get_u32(&fact.reader);
}

uint32_t bed_expect_exited(struct bed_daemon *d, const char *container, const char *exec, bool started) {
        _cleanup_record_ struct bed_record fact = expect_fact(d, VG_FACT_EXITED, container);
        _cleanup_free_ char *its = vg_get_str(&fact.reader);
        CHECK(strcmp(its, exec) == 0);
        vg_get_u32(&fact.reader);
        uint32_t status = vg_get_u32(&fact.reader), number = vg_get_u32(&fact.reader);
        CHECK(number == (status > 128 ? status - 128 : 0));
        vg_get_u64(&fact.reader);
        vg_get_u64(&fact.reader); /* resident set: Linux 6.2 counts pages in batches, so that a small process may have none */
        CHECK(vg_get_u8(&fact.reader) == started && vg_reader_end(&fact.reader) == 0);
        return status;
}

void bed_address(struct bed_daemon *d, enum vg_command type, const char *key, const char *container, const char *exec) {
        struct vg_writer w = {0};
        vg_put_str(&w, key);
        vg_put_str(&w, container);
        if (exec)
                vg_put_str(&w, exec);
        bed_command(d, type, &w);
}

void bed_signal(struct bed_daemon *d, const char *key, const char *container, const char *exec, int number) {
        struct vg_writer w = {0};
        vg_put_str(&w, key);
        vg_put_str(&w, container);
        vg_put_str(&w, exec);
        vg_put_u32(&w, (uint32_t)number);
        bed_command(d, VG_CMD_SIGNAL, &w);
}
