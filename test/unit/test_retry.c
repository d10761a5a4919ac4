/* retry: the two clocks: what the backoff and notices words of a configuration come to,
 * when what waits is tried again, and when its sender is told of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tables/retry.h"
#include "tables/snapshot.h"
#include "test/config/memory_loader.h"

static const int64_t SECOND = 1000, MINUTE = 60 * 1000, HOUR = 3600 * 1000,
                     DAY = 24 * 3600 * 1000, CREATED = 1800000000000;

static const char CONFIG[] =
    "!== pointsman.cnf\n"
    ". $U%$H@plain.test\n\n"
    "l notices 2 4 8\nl.test\n\n"
    "tcp_plain\nplain.test\n\n"
    "tcp_all backoff \"pt5m\" PT30M P1DT4H notices 1 2 3\nall.test\n\n"
    "tcp_each urgentbackoff PT1M normalbackoff PT2M PT4M"
    " nonurgentbackoff PT1S PT2S PT3S PT4S PT5S PT6S PT7S PT8S"
    " urgentnotices 1 normalnotices 2 3"
    " nonurgentnotices 1 2 3 4 5\neach.test\n\n"
    "tcp_mixed backoff PT1H urgentbackoff PT1M notices 5"
    " nonurgentnotices 7 9\nmixed.test\n\n"
    "tcp_late urgentbackoff PT1M backoff PT1H"
    " urgentnotices 1 notices 5\nlate.test\n\n"
    "defaults backoff PT7M notices 6\n\n"
    "tcp_inherits\ninherits.test\n\n"
    "tcp_partly urgentbackoff PT9M\npartly.test\n";

static struct snapshot *load(struct arena *a, const char *options, bool local_says)
{
    struct memory_loader memory;
    struct diags *diags;
    bool unreadable;
    str config = str_from(CONFIG);
    if (!local_says) {
        const char *from = strstr(CONFIG, "l notices 2 4 8\n");
        config = arena_printf(a, "%.*sl\n%s", (int)(from - CONFIG), CONFIG,
                              from + strlen("l notices 2 4 8\n"));
    }
    str text = arena_printf(a, "%.*s!== option.dat\n%s", STR_ARG(config), options);
    memory_loader_init(&memory, text);
    struct snapshot_request req = {.path = STR(MEMORY_LOADER_MAIN),
                                   .loader = &memory.loader};
    struct snapshot *s = snapshot_load(&req, a, &diags, &unreadable);
    assert_non_null(s);
    return s;
}

/* "300 1800": seconds. */
static void print_periods(const struct retry_policy *p, char *out, size_t size)
{
    size_t n = 0;
    for (unsigned i = 0; i < p->backoff_count; i++) {
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i > 0 ? " " : "",
                              (long long)(p->backoff_ms[i] / SECOND));
    }
}

/* "72 144": hours. */
static void print_ages(const struct retry_policy *p, char *out, size_t size)
{
    size_t n = 0;
    for (unsigned i = 0; i < p->notice_count; i++) {
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i > 0 ? " " : "",
                              (long long)(p->notice_ms[i] / HOUR));
    }
}

#define OURS "60 300 900 1800 3600 7200 14400"

static void test_words(void **state)
{
    static const struct {
        const char *options, *channel;
        enum retry_class class;
        const char *periods, *ages; /* seconds, hours */
        bool local_is_silent;
    } cases[] = {
        /* nothing said: what is built in, and the ages of the local channel */
        {"", "tcp_plain", RETRY_URGENT, OURS, "48 96 192", false},
        {"", "tcp_plain", RETRY_NORMAL, OURS, "48 96 192", false},
        {"", "tcp_plain", RETRY_NONURGENT, OURS, "48 96 192", false},
        {"", "l", RETRY_NORMAL, OURS, "48 96 192", false},
        {"", "tcp_plain", RETRY_NORMAL, OURS, "72 144 216 288", true},
        {"RETURN_UNITS=1\n", "tcp_plain", RETRY_NORMAL, OURS, "72 144 216 288", true},
        /* Sun and Oracle: 30 60 60 120 120 120 240 minutes, twice, and four times that */
        {"DIALECT=imta\n", "tcp_plain", RETRY_URGENT,
         "1800 3600 3600 7200 7200 7200 14400", "48 96 192", false},
        {"DIALECT=imta\n", "tcp_plain", RETRY_NORMAL,
         "3600 7200 7200 14400 14400 14400 28800", "48 96 192", false},
        {"DIALECT=imta\n", "tcp_plain", RETRY_NONURGENT,
         "7200 14400 14400 28800 28800 28800 57600", "48 96 192", false},
        /* the words for all priorities, lower case too, and those for one */
        {"", "tcp_all", RETRY_URGENT, "300 1800 100800", "24 48 72", false},
        {"", "tcp_all", RETRY_NORMAL, "300 1800 100800", "24 48 72", false},
        {"DIALECT=imta\n", "tcp_all", RETRY_NONURGENT, "300 1800 100800", "24 48 72",
         false},
        {"RETURN_UNITS=0\n", "tcp_all", RETRY_NORMAL, "300 1800 100800", "24 48 72",
         false},
        {"RETURN_UNITS=1\n", "tcp_all", RETRY_NORMAL, "300 1800 100800", "1 2 3", false},
        {"RETURN_UNITS=1\n", "tcp_plain", RETRY_NORMAL, OURS, "2 4 8", false},
        {"", "tcp_each", RETRY_URGENT, "60", "24", false},
        {"", "tcp_each", RETRY_NORMAL, "120 240", "48 72", false},
        {"", "tcp_each", RETRY_NONURGENT, "1 2 3 4 5 6 7 8", "24 48 72 96 120", false},
        /* what stands behind counts */
        {"", "tcp_mixed", RETRY_URGENT, "60", "120", false},
        {"", "tcp_mixed", RETRY_NORMAL, "3600", "120", false},
        {"", "tcp_mixed", RETRY_NONURGENT, "3600", "168 216", false},
        {"", "tcp_late", RETRY_URGENT, "3600", "120", false},
        /* defaults, and over them */
        {"", "tcp_inherits", RETRY_NONURGENT, "420", "144", false},
        {"", "tcp_partly", RETRY_URGENT, "540", "144", false},
        {"", "tcp_partly", RETRY_NORMAL, "420", "144", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena *a = arena_new();
        char periods[200], ages[200];
        struct snapshot *s = load(a, cases[i].options, !cases[i].local_is_silent);
        const struct channel *c = snapshot_channel(s, str_from(cases[i].channel));
        print_periods(&c->retry[cases[i].class], periods, sizeof periods);
        print_ages(&c->retry[cases[i].class], ages, sizeof ages);
        if (strcmp(periods, cases[i].periods) != 0 || strcmp(ages, cases[i].ages) != 0) {
            fail_msg("%zu: %s: '%s', '%s'", i, cases[i].channel, periods, ages);
        }
        snapshot_unref(&s);
        arena_free(&a);
    }
}

/* Every row of every built-in list, with the last one repeated. */
static void test_backoff(void **state)
{
    struct arena *a = arena_new();
    struct snapshot *s = load(a, "DIALECT=imta\n", true);
    struct retry_policy policies[RETRY_CLASSES + 1];
    (void)state;
    memcpy(policies, snapshot_channel(s, STR("tcp_plain"))->retry,
           RETRY_CLASSES * sizeof *policies);
    policies[RETRY_CLASSES] = retry_policy_default;
    for (size_t i = 0; i < RETRY_CLASSES + 1; i++) {
        const struct retry_policy *p = &policies[i];
        for (unsigned attempts = 0; attempts < 20; attempts++) {
            unsigned row = attempts > 0 ? attempts - 1 : 0;
            int64_t wait = p->backoff_ms[row < 6 ? row : 6], least = INT64_MAX, most = 0;
            for (uint32_t random = 0; random < 4000000000u - 7919777; random += 7919777) {
                int64_t at = retry_next_try_ms(p, attempts, CREATED, random) - CREATED;
                least = at < least ? at : least;
                most = at > most ? at : most;
            }
            assert_in_range(least, wait - wait / 10, wait - wait / 20);
            assert_in_range(most, wait + wait / 20, wait + wait / 10);
        }
        assert_in_range(retry_next_try_ms(p, 4000000000u, 0, 0),
                        p->backoff_ms[6] * 9 / 10, p->backoff_ms[6] * 11 / 10);
    }
    snapshot_unref(&s);
    arena_free(&a);
}

static const struct retry_policy NOTICES = {
    .backoff_ms = {30 * 60 * 1000},
    .backoff_count = 1,
    .notice_ms = {3 * 86400000LL, 6 * 86400000LL, 9 * 86400000LL, 12 * 86400000LL},
    .notice_count = 4};

static void test_notices(void **state)
{
    static const struct {
        int64_t age_ms;
        unsigned sent;
        enum retry_notice due;
        unsigned passed;
        int64_t next_days; /* 0: none */
    } cases[] = {
        {-400 * 86400000LL, 0, RETRY_NOTICE_NONE, 0, 3}, /* a clock set back */
        {0, 0, RETRY_NOTICE_NONE, 0, 3},
        {3 * 86400000LL - 1, 0, RETRY_NOTICE_NONE, 0, 3},
        {3 * 86400000LL, 0, RETRY_NOTICE_WARN, 1, 6},
        {3 * 86400000LL, 1, RETRY_NOTICE_NONE, 1, 6}, /* told already */
        {6 * 86400000LL - 1, 1, RETRY_NOTICE_NONE, 1, 6},
        {6 * 86400000LL, 1, RETRY_NOTICE_WARN, 2, 9},
        {6 * 86400000LL, 0, RETRY_NOTICE_WARN, 2, 9}, /* missed ones make one */
        {11 * 86400000LL, 0, RETRY_NOTICE_WARN, 3, 12},
        {11 * 86400000LL, 2, RETRY_NOTICE_WARN, 3, 12},
        {11 * 86400000LL, 3, RETRY_NOTICE_NONE, 3, 12},
        {11 * 86400000LL, 9, RETRY_NOTICE_NONE, 9, 12}, /* there were more words once */
        {12 * 86400000LL - 1, 3, RETRY_NOTICE_NONE, 3, 12},
        {12 * 86400000LL, 3, RETRY_NOTICE_RETURN, 3, 0},
        {12 * 86400000LL, 0, RETRY_NOTICE_RETURN, 0, 0},
        {4000 * 86400000LL, 0, RETRY_NOTICE_RETURN, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t now = CREATED + cases[i].age_ms;
        unsigned passed;
        enum retry_notice due =
            retry_notice_due(&NOTICES, CREATED, now, cases[i].sent, &passed);
        int64_t next = cases[i].next_days > 0 ? CREATED + cases[i].next_days * DAY : 0;
        if (due != cases[i].due || passed != cases[i].passed ||
            retry_next_notice_ms(&NOTICES, CREATED, now) != next) {
            fail_msg("row %zu: %d, %u", i, (int)due, passed);
        }
    }
    assert_int_equal(retry_give_up_ms(&NOTICES), 12 * DAY);
}

/* Both clocks together, for the whole life of a message: whatever the backoff, the
 * notices come at their ages, and each is preceded by an attempt at that instant. */
static void test_two_clocks(void **state)
{
    static const int64_t backoffs[] = {60 * 1000LL, 7 * 3600000LL, 5 * 86400000LL,
                                       30 * 86400000LL};
    (void)state;
    for (size_t i = 0; i < sizeof backoffs / sizeof *backoffs; i++) {
        struct retry_policy p = NOTICES;
        int64_t now = CREATED, told[4];
        unsigned attempts = 0, sent = 0, count = 0;
        p.backoff_ms[0] = backoffs[i];
        while (count < 4) {
            unsigned passed;
            attempts++;
            enum retry_notice due = retry_notice_due(&p, CREATED, now, sent, &passed);
            if (due != RETRY_NOTICE_NONE) {
                told[count++] = now - CREATED;
                sent = passed;
            }
            assert_true(due != RETRY_NOTICE_RETURN || count == 4);
            int64_t wake = retry_wake_ms(&p, attempts, CREATED, now, attempts * 7919777u);
            assert_true(wake > now && wake - now <= backoffs[i] + backoffs[i] / 10);
            now = wake;
        }
        for (unsigned j = 0; j < 4; j++) {
            assert_int_equal(told[j], NOTICES.notice_ms[j]);
        }
        /* and no notice makes attempts rarer than the backoff does */
        assert_true(attempts >= (unsigned)(12 * DAY / (backoffs[i] * 11 / 10)));
    }
    /* after the last notice (the report could not be stored) attempts go on */
    int64_t late = CREATED + 13 * DAY;
    assert_in_range(retry_wake_ms(&NOTICES, 9, CREATED, late, 5) - late, 27 * MINUTE,
                    33 * MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_notices),
        cmocka_unit_test(test_two_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
