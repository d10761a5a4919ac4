/* report_rate: a burst, then a steady rate, however many come. */
#include "router/report_rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { NOW = 1000000 };

static void burst(struct report_rate *r, int64_t now_ms)
{
    for (int i = 0; i < REPORT_BURST; i++) {
        assert_int_equal(report_rate_next(r, now_ms), 0);
    }
}

static void test_burst(void **state)
{
    struct report_rate r = {0};
    (void)state;
    burst(&r, NOW);
    for (int i = 1; i <= 5000; i++) {
        assert_int_equal(report_rate_next(&r, NOW), NOW + i * REPORT_EVERY_MS);
    }
}

static void test_recovers(void **state)
{
    struct report_rate r = {0};
    (void)state;
    burst(&r, NOW);
    assert_int_equal(report_rate_next(&r, NOW + 2 * REPORT_EVERY_MS), 0);
    assert_int_equal(report_rate_next(&r, NOW + 2 * REPORT_EVERY_MS), 0);
    assert_true(report_rate_next(&r, NOW + 2 * REPORT_EVERY_MS) > NOW);
    burst(&r, NOW + (REPORT_BURST + 3) * REPORT_EVERY_MS);
}

static void test_clock_goes_back(void **state)
{
    struct report_rate r = {0};
    (void)state;
    burst(&r, NOW);
    burst(&r, NOW / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_recovers),
        cmocka_unit_test(test_clock_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
