/* What access tables ask for one message, added up over its sender and recipients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "router/admission.h"

static struct snapshot snapshot; /* for BLOCK_SIZE and places */

static struct access_verdict verdict(enum access_answer answer)
{
    return (struct access_verdict){.table = ACCESS_SEND, .asked = true, .answer = answer};
}

static void test_delays(void **state)
{
    struct admission m;
    struct arena *a = arena_new();
    struct access_verdict v = verdict(ACCESS_REJECT);
    (void)state;
    admission_init(&m, a);
    v.delay_cs = -300;
    admission_delay(&m, &v);
    v.delay_cs = 100;
    admission_delay(&m, &v);
    v.delay_cs = 50;
    admission_delay(&m, &v);
    assert_int_equal(m.delay_once_ms, 3000);
    assert_int_equal(m.delay_ms, 1000);
    admission_command(&m);
    assert_int_equal(m.delay_once_ms, 0);
    assert_int_equal(m.delay_ms, 1000);
    admission_free(&m);
    arena_free(&a);
}

static void test_limits_are_the_smallest(void **state)
{
    struct admission m;
    struct arena *a = arena_new();
    struct access_verdict v = verdict(ACCESS_SILENT);
    (void)state;
    admission_init(&m, a);
    assert_false(admission_too_large(&m, &snapshot, UINT64_MAX));
    v.limits = (struct access_limits){.blocks = 10, .recipients = 0, .cutoff = 3};
    admission_take(&m, &snapshot, &v);
    v.limits = (struct access_limits){.blocks = 20, .recipients = 2, .cutoff = 0};
    admission_take(&m, &snapshot, &v);
    assert_false(admission_too_large(&m, &snapshot, 10 * 1024));
    assert_true(admission_too_large(&m, &snapshot, 10 * 1024 + 1));
    for (unsigned i = 0; i < 2; i++) {
        assert_true(admission_recipient(&m));
        m.taken++;
    }
    assert_false(admission_recipient(&m));
    assert_false(admission_cutoff(&m));
    admission_recipient(&m);
    assert_true(admission_cutoff(&m));
    admission_free(&m);
    arena_free(&a);
}

static void test_header_lines_once_each(void **state)
{
    struct admission m;
    struct arena *a = arena_new();
    struct access_verdict v = verdict(ACCESS_ACCEPT);
    (void)state;
    admission_init(&m, a);
    v.header = STR("X-One: 1");
    admission_take(&m, &snapshot, &v);
    admission_take(&m, &snapshot, &v);
    v.header = STR("X-Two: 2");
    admission_take(&m, &snapshot, &v);
    assert_true(str_eq(buf_slice(&m.header), STR("X-One: 1\r\nX-Two: 2\r\n")));
    admission_free(&m);
    arena_free(&a);
}

static void test_hold_and_discard(void **state)
{
    struct admission m;
    struct arena *a = arena_new();
    struct access_verdict v = verdict(ACCESS_REJECT);
    (void)state;
    admission_init(&m, a);
    v.hold = v.discard_all = true;
    admission_take(&m, &snapshot, &v); /* of what is refused nothing is taken */
    assert_null(m.hold);
    assert_null(m.discard);
    v.answer = ACCESS_ACCEPT;
    v.discard_all = false;
    v.discard = true; /* of one recipient only */
    admission_take(&m, &snapshot, &v);
    assert_string_equal(m.hold, "SEND_ACCESS, -");
    assert_null(m.discard);
    v.table = ACCESS_FROM;
    admission_take(&m, &snapshot, &v);
    assert_string_equal(m.discard, "FROM_ACCESS, -");
    admission_free(&m);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delays),
        cmocka_unit_test(test_limits_are_the_smallest),
        cmocka_unit_test(test_header_lines_once_each),
        cmocka_unit_test(test_hold_and_discard),
    };
    struct arena *a = arena_new();
    snapshot.options.block_size = 1024;
    snapshot.sources = sources_new(a);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(&a);
    return failed;
}
