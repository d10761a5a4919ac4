#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "router/body.h"
#include "test/unit/queue_fixture.h"

/* Takes the place of the C library's: notes what is synced ('f' a file, 'd' a folder)
 * and fails at the wanted one. */
static struct {
    char order[16];
    atomic_uint count;
    unsigned fail_at; /* from 1; 0: never */
} synced;

int fsync(int fd)
{
    struct stat st;
    check(fstat(fd, &st) == 0);
    unsigned at = atomic_fetch_add(&synced.count, 1);
    if (at < sizeof synced.order - 1) {
        synced.order[at] = S_ISDIR(st.st_mode) ? 'd' : 'f';
    }
    if (synced.fail_at == at + 1) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

/* One body being written and read; the queue's folder is the fixture's. */
struct writing {
    struct fixture f;
    struct body *b;
    unsigned answers;
    bool done;
    int error;
};

static void writing_start(struct writing *t)
{
    memset(t, 0, sizeof *t);
    fixture_start(&t->f);
    t->b = body_new(0x100000 + 0x3f, queue_body_directory(t->f.daemon.queue));
}

static void on_answer(struct body *b, int error, void *arg)
{
    struct writing *t = arg;
    check(b == t->b && !t->done);
    t->answers++;
    t->error = error;
    t->done = true;
}

static int append(struct writing *t, str data)
{
    int error;
    t->done = false;
    if (body_append(t->f.w, t->b, data, on_answer, t, &error)) {
        return error;
    }
    check(!t->done); /* never inside the call */
    fixture_wait(t->f.w, &t->done);
    return t->error;
}

static int seal(struct writing *t)
{
    int error;
    t->done = false;
    if (body_seal(t->f.w, t->b, on_answer, t, &error)) {
        return error;
    }
    fixture_wait(t->f.w, &t->done);
    return t->error;
}

static char octet(uint64_t i)
{
    return (char)(i * 31 + i / 251);
}

/* Appends the octets from..from+len of the test pattern. */
static int append_pattern(struct writing *t, size_t from, size_t len)
{
    char *data = malloc(len + 1);
    check(data != NULL);
    for (size_t i = 0; i < len; i++) {
        data[i] = octet(from + i);
    }
    int error = append(t, str_n(data, len));
    free(data);
    return error;
}

static bool file_there(struct writing *t)
{
    char name[64], path[256];
    snprintf(name, sizeof name, "bodies/%s", body_file(t->b));
    return access(fixture_path(&t->f, name, path), F_OK) == 0;
}

static void expect_blocking(const struct body *b, uint64_t size)
{
    char chunk[1000];
    uint64_t at = 0;
    long got;
    while ((got = body_read_blocking(b, chunk, sizeof chunk, at)) > 0) {
        for (long i = 0; i < got; i++) {
            assert_int_equal(chunk[i], octet(at + (uint64_t)i));
        }
        at += (uint64_t)got;
    }
    assert_int_equal(got, 0);
    assert_int_equal(at, size);
}

struct reading {
    struct body_reader *r;
    char into[20000];
    uint64_t at;
    bool done;
    long got;
};

static void on_read(struct body_reader *r, long got, void *arg)
{
    struct reading *d = arg;
    check(r == d->r);
    d->got = got;
    d->done = true;
}

static void expect_reader(struct writing *t, uint64_t size)
{
    struct reading *d = calloc(1, sizeof *d);
    check(d != NULL);
    d->r = body_reader_new(t->f.w, t->b);
    do {
        d->done = false;
        d->got = body_read(d->r, d->into, sizeof d->into, d->at, on_read, d);
        if (d->got == -1) {
            fixture_wait(t->f.w, &d->done);
        }
        assert_true(d->got >= 0);
        for (long i = 0; i < d->got; i++) {
            assert_int_equal(d->into[i], octet(d->at + (uint64_t)i));
        }
        d->at += (uint64_t)d->got;
    } while (d->got > 0);
    assert_int_equal(d->at, size);
    body_reader_free(&d->r);
    free(d);
}

/* Written in pieces of the given size; in memory up to the limit, above in a file. */
static void run_sizes(uint64_t size, size_t piece)
{
    struct writing t;
    writing_start(&t);
    for (uint64_t at = 0; at < size; at += piece) {
        size_t len = size - at < piece ? (size_t)(size - at) : piece;
        assert_int_equal(append_pattern(&t, (size_t)at, len), 0);
    }
    assert_int_equal(seal(&t), 0);
    assert_int_equal(body_size(t.b), size);
    if (size <= BODY_INLINE_MAX) {
        assert_null(body_file(t.b));
        assert_int_equal(body_part(t.b, 0).len, size);
        assert_non_null(body_part(t.b, 0).ptr);
        assert_int_equal(t.answers, 0);
    } else {
        assert_string_equal(body_file(t.b), "3f/1001Z");
        assert_null(body_part(t.b, 0).ptr);
        assert_true(file_there(&t));
        assert_true(t.answers > 0);
    }
    expect_blocking(t.b, size);
    expect_reader(&t, size);
    body_unref(&t.b);
    assert_null(t.b);
    fixture_end(&t.f);
}

static void test_sizes(void **state)
{
    (void)state;
    run_sizes(0, 1);
    run_sizes(1, 1);
    run_sizes(BODY_INLINE_MAX, 1000);
    run_sizes(BODY_INLINE_MAX + 1, 1000);
    run_sizes(BODY_INLINE_MAX, BODY_INLINE_MAX);
    run_sizes(BODY_INLINE_MAX + 1, BODY_INLINE_MAX + 1);
    run_sizes(300000, 7001);
    run_sizes(300000, 300000);
}

/* The last reference of a body that no queue owns takes its file along. */
static void test_unlink(void **state)
{
    (void)state;
    struct writing t;
    char name[64], path[256];
    for (unsigned sealed = 0; sealed < 2; sealed++) {
        writing_start(&t);
        assert_int_equal(append_pattern(&t, 0, 100000), 0);
        assert_true(file_there(&t));
        if (sealed) {
            assert_int_equal(seal(&t), 0);
        }
        snprintf(name, sizeof name, "bodies/%s", body_file(t.b));
        struct body *second = body_ref(t.b);
        body_unref(&t.b);
        fixture_path(&t.f, name, path);
        assert_int_equal(access(path, F_OK), 0);
        body_unref(&second);
        assert_int_not_equal(access(path, F_OK), 0);
        fixture_end(&t.f);
    }
}

static void test_adopted(void **state)
{
    (void)state;
    struct writing t;
    int error;
    writing_start(&t);
    assert_int_equal(append_pattern(&t, 0, 100000), 0);
    assert_int_equal(seal(&t), 0);
    body_adopt(t.b);
    body_unref(&t.b);
    t.b = body_from_file(queue_body_directory(t.f.daemon.queue), "3f/1001Z", &error);
    assert_non_null(t.b);
    assert_int_equal(body_size(t.b), 100000);
    expect_reader(&t, 100000);
    body_unref(&t.b);
    t.b = body_from_file(queue_body_directory(t.f.daemon.queue), "3f/1001Z", &error);
    assert_non_null(t.b); /* still there */
    body_unref(&t.b);
    t.b = body_from_file(queue_body_directory(t.f.daemon.queue), "3f/NONE", &error);
    assert_null(t.b);
    assert_int_equal(error, UV_ENOENT);
    fixture_end(&t.f);
}

/* A file that is there already is neither written nor removed. */
static void test_exclusive(void **state)
{
    (void)state;
    struct writing t;
    char path[256];
    writing_start(&t);
    fixture_path(&t.f, "bodies/3f/1001Z", path);
    assert_int_equal(symlink("/tmp/pm-elsewhere", path), 0);
    assert_int_equal(append_pattern(&t, 0, 100000), UV_EEXIST);
    assert_int_equal(append(&t, STR("more")), UV_EEXIST); /* and so it stays */
    assert_int_equal(seal(&t), UV_EEXIST);
    body_unref(&t.b);
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    assert_int_not_equal(access("/tmp/pm-elsewhere", F_OK), 0);
    fixture_end(&t.f);
}

/* A folder that somebody removed comes back. */
static void test_folder_missing(void **state)
{
    (void)state;
    struct writing t;
    char path[256];
    writing_start(&t);
    assert_int_equal(rmdir(fixture_path(&t.f, "bodies/3f", path)), 0);
    assert_int_equal(append_pattern(&t, 0, 100000), 0);
    assert_int_equal(seal(&t), 0);
    expect_blocking(t.b, 100000);
    body_unref(&t.b);
    fixture_end(&t.f);
}

/* The file and then its folder are on the disk before the seal is answered; a sync that
 * fails is never tried again, and the file goes. */
static void test_syncs(void **state)
{
    (void)state;
    for (unsigned fail_at = 0; fail_at <= 2; fail_at++) {
        struct writing t;
        char path[256];
        writing_start(&t);
        assert_int_equal(append_pattern(&t, 0, 100000), 0);
        memset(&synced, 0, sizeof synced);
        synced.fail_at = fail_at;
        assert_int_equal(seal(&t), fail_at == 0 ? 0 : UV_EIO);
        assert_string_equal(synced.order, fail_at == 1 ? "f" : "fd");
        synced.fail_at = 0;
        body_unref(&t.b);
        assert_int_not_equal(access(fixture_path(&t.f, "bodies/3f/1001Z", path), F_OK),
                             0);
        fixture_end(&t.f);
    }
}

/* A disk that takes no more: the error comes back, the file goes. */
static void test_no_space(void **state)
{
    (void)state;
    struct writing t;
    struct rlimit old, small;
    char path[256];
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (unsigned at_seal = 0; at_seal < 2; at_seal++) {
        writing_start(&t);
        small = old;
        small.rlim_cur = 90000;
        assert_int_equal(append_pattern(&t, 0, 70000), 0);
        if (at_seal) {
            assert_int_equal(append_pattern(&t, 70000, 30000), 0);
        }
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        int error = at_seal ? seal(&t) : append_pattern(&t, 70000, 100000);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(error, UV_EFBIG);
        body_unref(&t.b);
        assert_int_not_equal(access(fixture_path(&t.f, "bodies/3f/1001Z", path), F_OK),
                             0);
        fixture_end(&t.f);
    }
    signal(SIGXFSZ, SIG_DFL);
}

/* The owner goes away while the pool writes or reads: what was lent may go at once. */
static void test_left_alone(void **state)
{
    (void)state;
    struct writing t;
    int error;
    writing_start(&t);
    char *data = calloc(1, 200000);
    check(data != NULL);
    assert_false(body_append(t.f.w, t.b, str_n(data, 200000), on_answer, &t, &error));
    free(data);
    struct body *b = t.b;
    body_unref(&b);
    fixture_wait(t.f.w, &t.done);
    char path[256];
    fixture_path(&t.f, "bodies/3f/1001Z", path);
    assert_int_not_equal(access(path, F_OK), 0);

    t.b = body_new(0x100000 + 0x3f, queue_body_directory(t.f.daemon.queue));
    assert_int_equal(append_pattern(&t, 0, 100000), 0);
    assert_int_equal(seal(&t), 0);
    struct reading *d = calloc(1, sizeof *d);
    check(d != NULL);
    d->r = body_reader_new(t.f.w, t.b);
    assert_int_equal(body_read(d->r, d->into, sizeof d->into, 0, on_read, d), -1);
    body_reader_free(&d->r);
    free(d);
    body_unref(&t.b);
    while (uv_run(&t.f.w->loop, UV_RUN_NOWAIT) && access(path, F_OK) == 0) {
        usleep(1000);
    }
    fixture_end(&t.f);
}

static void test_from_memory(void **state)
{
    (void)state;
    char *big = calloc(1, 100000);
    check(big != NULL);
    struct body *b = body_from_memory("abc", 3);
    assert_memory_equal(body_part(b, 0).ptr, "abc", 3);
    assert_null(body_file(b));
    body_unref(&b);
    b = body_from_memory(big, 100000);
    assert_int_equal(body_part(b, 0).len, 100000);
    body_unref(&b);
    b = body_from_memory(NULL, 0);
    assert_int_equal(body_part(b, 0).len, 0);
    body_unref(&b);
    free(big);
}

/* Another beginning in front of a body of `size` octets: read by all three ways. */
static void run_overlay(size_t size, uint64_t skip)
{
    struct writing t;
    char head[3000], *all = malloc(sizeof head + size);
    check(all != NULL);
    writing_start(&t);
    assert_int_equal(append_pattern(&t, 0, size), 0);
    assert_int_equal(seal(&t), 0);
    memset(head, '#', sizeof head);
    struct body *first = body_from_memory(head, sizeof head);
    struct body *base = t.b, *b = body_overlay(first, base, skip);
    body_unref(&first);
    uint64_t at = 0, total = sizeof head + size - skip;
    assert_int_equal(body_size(b), total);
    assert_int_equal(body_part(b, 10).len, sizeof head - 10);
    long got;
    while ((got = body_read_blocking(b, all + at, 1000, at)) > 0) {
        at += (uint64_t)got;
    }
    assert_int_equal(at, total);
    for (at = 0; at < total; at++) {
        uint64_t in_base = at - sizeof head + skip;
        assert_int_equal(all[at], at < sizeof head ? '#' : octet(in_base));
    }
    struct reading *d = calloc(1, sizeof *d);
    check(d != NULL);
    d->r = body_reader_new(t.f.w, b);
    while (d->at < total) {
        d->done = false;
        d->got = body_read(d->r, d->into, sizeof d->into, d->at, on_read, d);
        bool file = d->at >= sizeof head && body_file(base) != NULL;
        assert_int_equal(d->got == -1, file); /* what is in memory comes at once */
        assert_int_equal(body_part(b, d->at).ptr == NULL, file);
        if (file) {
            fixture_wait(t.f.w, &d->done);
        }
        assert_true(d->got > 0);
        assert_memory_equal(d->into, all + d->at, d->got);
        d->at += (uint64_t)d->got;
    }
    body_reader_free(&d->r);
    free(d);
    free(all);
    body_unref(&b);
    body_unref(&t.b);
    fixture_end(&t.f);
}

static void test_overlay(void **state)
{
    (void)state;
    run_overlay(5000, 2000);
    run_overlay(5000, 0);
    run_overlay(5000, 5000);
    run_overlay(100000, 70000);
    run_overlay(100000, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlay),    cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_unlink),     cmocka_unit_test(test_adopted),
        cmocka_unit_test(test_exclusive),  cmocka_unit_test(test_folder_missing),
        cmocka_unit_test(test_syncs),      cmocka_unit_test(test_no_space),
        cmocka_unit_test(test_left_alone), cmocka_unit_test(test_from_memory),
    };
    return cmocka_run_group_tests_name("body", tests, NULL, NULL);
}
