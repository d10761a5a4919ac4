/* A clock that was ahead and is set back: at a start, and while the queue is open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "test/unit/queue_fixture.h"

#define HOUR INT64_C(3600000)
#define DAY  (24 * HOUR)
#define YEAR (366 * DAY)
#define NOW  INT64_C(1000000) /* what the fixture says at a start */

/* Something to claim now: how much was due, and when the next one is. */
static unsigned due(struct fixture *f, int64_t now_ms, int64_t *next_ms)
{
    struct claimed c;
    fixture_claim(f, 100, now_ms, &c);
    assert_true(c.result.ok);
    unsigned count = c.count;
    *next_ms = c.next_due_ms;
    for (unsigned i = 0; i < count; i++) {
        queue_release(f->daemon.queue, c.messages[i]->entries->id, now_ms);
    }
    claimed_free(&c);
    return count;
}

/* A message of that moment, tried `tried_ms` later and waiting until next_ms. */
static void add(struct fixture *f, int64_t created_ms, int64_t tried_ms, int64_t next_ms)
{
    struct queue_message *m = fixture_message(f, 10, 1);
    m->created_ms = created_ms;
    assert_true(fixture_commit(f, m).ok);
    struct queue_attempt attempt = {
        .at_ms = tried_ms, .peer = "", .tls = "", .outcome = "later", .deferred = 2};
    struct queue_settlement s = {.number = m->number,
                                 .entry_id = m->entries->id,
                                 .keep = m->entries->recipients,
                                 .keep_count = m->entries->recipient_count,
                                 .next_try_ms = next_ms,
                                 .attempt = &attempt};
    assert_true(fixture_settle(f, &s).ok);
    queue_message_free(&m);
}

/* Only what comes of the wrong clock changes: the message that came then, and the one
 * that was tried then; not what has a reason to wait so long. */
static void fill(struct fixture *f)
{
    add(f, NOW + YEAR, NOW + YEAR + HOUR, NOW + YEAR + 2 * HOUR);
    add(f, NOW, NOW + YEAR, NOW + YEAR + 3 * HOUR);
    add(f, NOW, NOW, NOW + 30 * DAY);
    add(f, NOW, NOW, NOW + 3 * HOUR);
}

static void check_messages(struct fixture *f)
{
    int64_t next_ms;
    assert_int_equal(due(f, NOW, &next_ms), 2);
    assert_int_equal(fixture_sql(f, "SELECT max(next_try_ms) FROM entries"),
                     NOW + 30 * DAY);
    assert_int_equal(fixture_sql(f, "SELECT max(created_ms) FROM messages"), NOW);
    assert_true(fixture_will_log(f, "the clock was set back: 2 entries are due now, "
                                    "1 messages count as new"));
}

static void test_while_open(void **state)
{
    struct fixture f;
    int64_t next_ms;
    (void)state;
    fixture_start(&f);
    assert_int_equal(due(&f, NOW + YEAR, &next_ms), 0);
    fill(&f);
    assert_int_equal(due(&f, NOW + YEAR - HOUR / 2, &next_ms), 2); /* no step at all */
    assert_false(fixture_logged(&f, "the clock"));
    fixture_end(&f);

    fixture_start(&f);
    assert_int_equal(due(&f, NOW + YEAR, &next_ms), 0);
    fill(&f);
    check_messages(&f);
    fixture_end(&f);
}

static void test_at_start(void **state)
{
    struct fixture f;
    (void)state;
    fixture_start(&f);
    fill(&f);
    fixture_close(&f);
    assert_true(fixture_open(&f));
    check_messages(&f);
    fixture_end(&f);
}

/* Nothing is looked for, and nothing logged, where nothing is wrong. */
static void test_in_order(void **state)
{
    struct fixture f;
    int64_t next_ms;
    (void)state;
    fixture_start(&f);
    add(&f, NOW - DAY, NOW - HOUR, NOW + 30 * DAY);
    fixture_close(&f);
    assert_true(fixture_open(&f));
    assert_int_equal(due(&f, NOW, &next_ms), 0);
    assert_int_equal(next_ms, NOW + 30 * DAY);
    assert_false(fixture_logged(&f, "the clock"));
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_while_open),
        cmocka_unit_test(test_at_start),
        cmocka_unit_test(test_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
