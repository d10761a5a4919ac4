#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/clock.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void test_dates(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *rfc5322, *rfc3339;
    } cases[] = {
        {0, "Thu, 1 Jan 1970 00:00:00 +0000", "1970-01-01T00:00:00.000000+00:00"},
        {1795220530123, "Sat, 21 Nov 2026 00:22:10 +0000",
         "2026-11-21T00:22:10.123000+00:00"},
        {1709210096007, "Thu, 29 Feb 2024 12:34:56 +0000",
         "2024-02-29T12:34:56.007000+00:00"},
        {-1, "Wed, 31 Dec 1969 23:59:59 +0000", "1969-12-31T23:59:59.999000+00:00"},
        {253402300799999, "Fri, 31 Dec 9999 23:59:59 +0000",
         "9999-12-31T23:59:59.999000+00:00"},
        {INT64_MAX, "Thu, 1 Jan 1970 00:00:00 +0000", "1970-01-01T00:00:00.000000+00:00"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[40];
        clock_rfc5322(cases[i].ms, out, sizeof out);
        assert_string_equal(out, cases[i].rfc5322);
        clock_rfc3339(cases[i].ms, out, sizeof out);
        assert_string_equal(out, cases[i].rfc3339);
    }
}

static void test_dates_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t s; /* -1: refused */
    } cases[] = {
        {"Thu, 1 Jan 1970 00:00:00 +0000", 0},
        {" Sat, 21 Nov 2026 00:22:10 +0000", 1795220530},
        {"Sat, 21 Nov 2026 01:22:10 +0100 (CET)", 1795220530},
        {"21 nov 26 00:22:10 GMT", 1795220530},
        {"20 Nov 2026 19:22:10 EST", 1795220530},
        {"20 Nov 126 19:22 -0500", 1795220520},
        {"Thu, 29 Feb 2024 12:34:56 +0000", 1709210096},
        {"1 Mar 2024 00:00 UT", 1709251200},
        {"1 Mar 2100 00:00 UT", 4107542400},
        {"31 Dec 9999 23:59:60 +0000", 253402300800},
        {"32 Dec 2026 00:00 UT", -1},
        {"0 Dec 2026 00:00 UT", -1},
        {"1 Foo 2026 00:00 UT", -1},
        {"1 Dec 2026 24:00 UT", -1},
        {"1 Dec 2026 00 UT", -1},
        {"1 Dec 2026 00:00:00:00 UT", -1},
        {"1 Dec 2026 00:00", -1},
        {"1 Dec 2026 00:00 +1", -1},
        {"1 Dec 2026 00:00 +0070", -1},
        {"tomorrow", -1},
        {"", -1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms = -1000;
        bool good = clock_rfc5322_read(str_from(cases[i].text), &ms);
        if (good != (cases[i].s >= 0) || ms != cases[i].s * 1000) {
            fail_msg("%s: %lld", cases[i].text, (long long)ms);
        }
    }
}

static void test_periods(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {{"PT10S", 10000},
                 {"P1DT4H", 28 * 3600000LL},
                 {"p1dt4h", 28 * 3600000LL},
                 {"PT1H30M5S", 5405000},
                 {"P5D", 5 * 86400000LL},
                 {"PT0S", 0},
                 {"PT90M", 5400000},
                 {"", -1},
                 {"P", -1},
                 {"PT", -1},
                 {"P1DT", -1},
                 {"P1", -1},
                 {"1D", -1},
                 {"P1M", -1}, /* a month is not a fixed time */
                 {"P1S", -1},
                 {"PT1D", -1},
                 {"PT1S1M", -1},
                 {"PT1M1M", -1},
                 {"PTT1M", -1},
                 {"P-1D", -1},
                 {"PT1.5S", -1},
                 {"PT1S ", -1},
                 {"P99999999999999999999D", -1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms = -1;
        bool good = clock_period_ms(str_from(cases[i].text), &ms);
        if (good != (cases[i].ms >= 0) || ms != cases[i].ms) {
            fail_msg("%s gave %lld", cases[i].text, (long long)ms);
        }
    }
}

static void test_durations(void **state)
{
    (void)state;
    enum { MINUTE = 60000, HOUR = 60 * MINUTE };
    static const struct {
        const char *text;
        int64_t unit_ms, ms; /* -1: refused */
    } cases[] = {{"10", MINUTE, 600000},
                 {"0", MINUTE, 0},
                 {"10", 10, 100}, /* hundredths of a second */
                 {"0.5", MINUTE, 30000},
                 {".5", MINUTE, 30000},
                 {"0.083333", MINUTE, 5000},
                 {"0.001666", MINUTE, 100},
                 {"1.00000000000001", MINUTE, 60000},
                 {"16%1E", 1000, 30000},
                 {"2%101", 1000, 5000},
                 {"60", MINUTE, HOUR},
                 {"60.1", MINUTE, -1},
                 {"PT10S", MINUTE, 10000},
                 {"pt1m30s", 1000, 90000},
                 {"PT1H", MINUTE, HOUR},
                 {"PT61M", MINUTE, -1},
                 {"P1D", MINUTE, -1},
                 {"61", MINUTE, -1},
                 {"", MINUTE, -1},
                 {".", MINUTE, -1},
                 {"5.", MINUTE, -1},
                 {"5.x", MINUTE, -1},
                 {"-1", MINUTE, -1},
                 {"+1", MINUTE, -1},
                 {"1 ", MINUTE, -1},
                 {"1m", MINUTE, -1},
                 {"37%1", MINUTE, -1},
                 {"1%1", MINUTE, -1},
                 {"2%2", MINUTE, -1},
                 {"16%", MINUTE, -1},
                 {"%5", MINUTE, -1},
                 {"99999999999999999999", MINUTE, -1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms = -1;
        bool good =
            clock_duration_ms(str_from(cases[i].text), cases[i].unit_ms, HOUR, &ms);
        if (good != (cases[i].ms >= 0) || ms != cases[i].ms) {
            fail_msg("%s gave %lld", cases[i].text, (long long)ms);
        }
    }
}

/* What is printed reads back to the same. */
static void test_durations_print(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "PT0S"},       {10000, "PT10S"},        {600000, "PT10M"},
                 {3600000, "PT1H"}, {90061000, "PT25H1M1S"}, {3605000, "PT1H5S"},
                 {100, "0.001667"}, {1, "0.000017"},         {61001, "1.016683"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[40];
        int64_t ms = -1;
        clock_duration_print(cases[i].ms, out, sizeof out);
        assert_string_equal(out, cases[i].text);
        assert_true(clock_duration_ms(str_from(out), 60000, INT64_MAX, &ms));
        assert_int_equal(ms, cases[i].ms);
    }
    for (int64_t ms = 0; ms < 200000; ms += 7) {
        char out[40];
        int64_t back = -1;
        clock_duration_print(ms, out, sizeof out);
        assert_true(clock_duration_ms(str_from(out), 60000, INT64_MAX, &back));
        assert_int_equal(back, ms);
    }
}

static int64_t fixed_now(const struct clock *c)
{
    (void)c;
    return 42;
}

static void test_clocks(void **state)
{
    (void)state;
    const struct clock fixed = {fixed_now};
    assert_int_equal(clock_now_ms(&fixed), 42);
    assert_true(clock_now_ms(&clock_system) > 1600000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates),           cmocka_unit_test(test_dates_read),
        cmocka_unit_test(test_periods),         cmocka_unit_test(test_durations),
        cmocka_unit_test(test_durations_print), cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
