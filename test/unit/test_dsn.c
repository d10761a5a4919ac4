/* dsn: the syntax of what clients ask for, and its forms. The transcript mail-dsn.smtp
 * has more of the syntax. */
#include "router/dsn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_notify(void **state)
{
    unsigned set;
    (void)state;
    assert_null(dsn_notify_parse(STR("Never"), &set));
    assert_int_equal(set, QUEUE_NOTIFY_NEVER);
    for (unsigned wanted = 2; wanted < 16; wanted += 2) {
        assert_null(dsn_notify_parse(str_from(dsn_notify_print(wanted)), &set));
        assert_int_equal(set, wanted);
    }
    assert_string_equal(dsn_notify_print(0), "");
    assert_string_equal(dsn_notify_print(QUEUE_NOTIFY_NEVER), "NEVER");
    assert_non_null(dsn_notify_parse(STR("FAILURE,NEVER"), &set));
    assert_non_null(dsn_notify_parse(STR(",FAILURE"), &set));
    assert_non_null(dsn_notify_parse(STR_NONE, &set));
}

static void test_wishes(void **state)
{
    (void)state;
    assert_true(dsn_wants_failure(0) && dsn_wants_delay(0) && !dsn_wants_success(0));
    assert_false(dsn_wants_failure(QUEUE_NOTIFY_NEVER));
    assert_false(dsn_wants_delay(QUEUE_NOTIFY_NEVER));
    assert_false(dsn_wants_failure(QUEUE_NOTIFY_SUCCESS | QUEUE_NOTIFY_DELAY));
    /* one of several: success is told of the alias, unless the message is held */
    static const struct {
        unsigned asked, stored;
    } cases[] = {{0, 0},
                 {QUEUE_NOTIFY_SUCCESS, QUEUE_NOTIFY_NEVER},
                 {QUEUE_NOTIFY_NEVER, QUEUE_NOTIFY_NEVER},
                 {QUEUE_NOTIFY_SUCCESS | QUEUE_NOTIFY_FAILURE, QUEUE_NOTIFY_FAILURE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned asked = cases[i].asked, each = asked | QUEUE_NOTIFY_EXPANDED;
        assert_int_equal(dsn_notify_stored(asked, false), asked);
        assert_int_equal(dsn_notify_stored(each, true), asked);
        assert_int_equal(dsn_notify_stored(each, false), cases[i].stored);
    }
}

static void expect_decoded(bool (*decode)(str, struct buf *), const char *text,
                           const char *wanted)
{
    struct buf out;
    buf_init(&out, 600);
    assert_int_equal(decode(str_from(text), &out), wanted != NULL);
    assert_true(str_eq(buf_slice(&out), str_from(wanted != NULL ? wanted : "")));
    buf_free(&out);
}

static void test_xtext(void **state)
{
    (void)state;
    expect_decoded(dsn_xtext_decode, "a+2Bb+3Dc+20", "a+b=c ");
    expect_decoded(dsn_xtext_decode, "a+2bc", NULL);
    expect_decoded(dsn_xtext_decode, "a+2", NULL);
    expect_decoded(dsn_xtext_decode, "a=b", NULL);
    expect_decoded(dsn_utf8_xtext_decode, "b\\x{F6}b\\x{20AC}\\x{1F600}\\x{5C}",
                   "b\xc3\xb6"
                   "b\xe2\x82\xac\xf0\x9f\x98\x80\\");
    struct arena *a = arena_new();
    str encoded = dsn_xtext_encode(a, STR("a b+c=d\r"));
    assert_true(str_eq(encoded, STR("a+20b+2Bc+3Dd+0D")));
    assert_true(
        str_eq(dsn_orcpt_make(a, STR("\"a b\"@x.test")), STR("rfc822;\"a+20b\"@x.test")));
    assert_null(dsn_orcpt_make(a, STR("b\xc3\xb6@x.test")).ptr);
    arena_free(&a);
}

static void test_utf8_points(void **state)
{
    static const struct {
        const char *orcpt;
        bool good;
    } cases[] = {
        {"utf-8;b\\x{F6}@x.test", true},      {"utf-8;b\\x{10FFFF}@x.test", true},
        {"utf-8;b\\x{110000}@x.test", false}, {"utf-8;b\\x{DFFF}@x.test", false},
        {"utf-8;b\\x{0A}@x.test", false},     {"utf-8;b\\x{85}@x.test", false},
        {"utf-8;b\\x{F6@x.test", false},      {"utf-8;b\\x{}@x.test", false},
        {"utf-8;b\\x{f6}@x.test", false},     {"utf-8;b+2B@x.test", false},
        {"utf-8;b\xc3\xb6@x.test", false},    {"UTF-8;ann@x.test", true},
        {"rfc822;ann@x.test", true},          {"x400;/S=a+3Db/", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool good = dsn_orcpt_flaw(str_from(cases[i].orcpt)) == NULL;
        if (good != cases[i].good) {
            fail_msg("%s", cases[i].orcpt);
        }
    }
}

static void test_lengths(void **state)
{
    char text[DSN_ORCPT_MAX + 2] = "rfc822;";
    (void)state;
    memset(text + 7, 'x', sizeof text - 8);
    assert_non_null(dsn_orcpt_flaw(str_n(text, DSN_ORCPT_MAX + 1)));
    assert_null(dsn_orcpt_flaw(str_n(text, DSN_ORCPT_MAX)));
    assert_null(dsn_envid_flaw(str_n(text + 7, DSN_ENVID_MAX)));
    assert_non_null(dsn_envid_flaw(str_n(text + 7, DSN_ENVID_MAX + 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notify),  cmocka_unit_test(test_wishes),
        cmocka_unit_test(test_xtext),   cmocka_unit_test(test_utf8_points),
        cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
