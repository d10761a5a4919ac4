#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/buf.h"

static void assert_holds(const struct buf *b, const char *expected)
{
    str s = buf_slice(b);
    if (!str_eq(s, str_from(expected))) {
        fail_msg("'%.*s' is not '%s'", STR_ARG(s), expected);
    }
}

static void test_appending(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    assert_holds(&b, "");
    assert_true(buf_puts(&b, "one"));
    assert_true(buf_putc(&b, ' '));
    assert_true(buf_str(&b, STR("two")));
    assert_true(buf_str(&b, STR_NONE));
    assert_true(buf_append(&b, "\0x", 2));
    assert_int_equal(b.len, 9);
    b.len -= 2;
    assert_true(buf_printf(&b, " %d%s", 3, "!"));
    assert_holds(&b, "one two 3!");
    buf_clear(&b);
    assert_holds(&b, "");
    buf_free(&b);
    assert_null(b.data);
    assert_int_equal(b.max, 100);
}

static void test_cap_changes_nothing(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 5);
    assert_true(buf_puts(&b, "1234"));
    assert_false(buf_puts(&b, "56"));
    assert_false(buf_printf(&b, "%d", 56));
    assert_holds(&b, "1234");
    assert_true(buf_printf(&b, "%d", 5));
    assert_holds(&b, "12345");
    assert_false(buf_putc(&b, '6'));
    assert_true(buf_puts(&b, ""));
    assert_null(buf_reserve(&b, 1));
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_non_null(buf_reserve(&b, 0));
    buf_free(&b);
    buf_init(&b, 0);
    assert_false(buf_putc(&b, 'x'));
    assert_true(buf_printf(&b, "%s", ""));
    buf_free(&b);
}

static void test_growing_keeps_contents(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100000);
    for (int i = 0; i < 100000; i++) {
        assert_true(buf_putc(&b, (char)('a' + i % 26)));
    }
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(b.data[i], 'a' + i % 26);
    }
    assert_false(buf_putc(&b, 'x'));
    buf_free(&b);
}

static void test_reserve_and_consume(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    char *to = buf_reserve(&b, 500);
    assert_non_null(to);
    memset(to, 'x', 500);
    memcpy(to, "head", 4);
    b.len += 500;
    buf_consume(&b, 0);
    assert_int_equal(b.len, 500);
    buf_consume(&b, 2);
    assert_int_equal(b.len, 498);
    assert_memory_equal(b.data, "adx", 3);
    buf_consume(&b, 498);
    assert_holds(&b, "");
    buf_free(&b);
}

static void test_take(void **state)
{
    (void)state;
    struct buf b;
    size_t len = 99;
    buf_init(&b, 3);
    char *data = buf_take(&b, &len);
    assert_string_equal(data, "");
    assert_int_equal(len, 0);
    free(data);
    assert_true(buf_puts(&b, "abc"));
    data = buf_take(&b, &len);
    assert_string_equal(data, "abc");
    assert_int_equal(len, 3);
    assert_null(b.data);
    assert_int_equal(b.max, 3);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appending),
        cmocka_unit_test(test_cap_changes_nothing),
        cmocka_unit_test(test_growing_keeps_contents),
        cmocka_unit_test(test_reserve_and_consume),
        cmocka_unit_test(test_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
