/* queue_claim_beside(): what is due for some next hops stands back behind all else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "router/queue_sqlite.h"
#include "test/unit/queue_fixture.h"

enum { MESSAGES = 30, LATER = 2000000 };

/* Each message has an entry for host0.test, host1.test and host2.test; all are due, those
 * of host0 first. */
static void start(struct fixture *f)
{
    fixture_start(f);
    for (unsigned i = 0; i < MESSAGES; i++) {
        struct queue_message *m = fixture_message(f, 10, 3);
        assert_true(fixture_commit(f, m).ok);
        for (unsigned j = 0; j < 3; j++) {
            queue_release(f->daemon.queue, m->entries[j].id, 1000 * (j + 1) + i);
        }
        queue_message_free(&m);
    }
}

/* How many of each host came with a claim, as "0 20 20". */
static const char *claim(struct fixture *f, const struct queue_lane *lanes, unsigned n,
                         unsigned limit)
{
    static char text[60];
    struct claimed c;
    unsigned count[3] = {0};
    fixture_claim_beside(f, limit, LATER, lanes, n, &c);
    assert_true(c.result.ok);
    for (unsigned i = 0; i < c.count; i++) {
        char digit = c.messages[i]->entries->host.ptr[4];
        assert_in_range(digit, '0', '2');
        count[digit - '0']++;
        assert_true(fixture_body_good(c.messages[i], 10));
    }
    claimed_free(&c);
    snprintf(text, sizeof text, "%u %u %u", count[0], count[1], count[2]);
    return text;
}

#define LANE(in, name, at_last)                                                          \
    {                                                                                    \
        .channel = STR(in), .host = STR(name), .last = at_last                           \
    }

static void test_enough_in_memory(void **state)
{
    const struct queue_lane full[] = {LANE("TCP_0", "HOST0.test", false)};
    struct fixture f;
    (void)state;
    start(&f);
    assert_string_equal(claim(&f, full, 1, 100), "0 20 20");
    assert_string_equal(claim(&f, full, 1, 100), "0 10 10");
    assert_string_equal(claim(&f, full, 1, 100), "0 0 0"); /* never */
    assert_string_equal(claim(&f, NULL, 0, 100), "30 0 0");
    fixture_end(&f);
}

/* A channel that may start nothing stands back with all its hosts. */
static void test_channel_is_full(void **state)
{
    const struct queue_lane full[] = {{.channel = STR("TCP_1")},
                                      LANE("tcp_2", "host2.test", true)};
    struct fixture f;
    (void)state;
    start(&f);
    assert_string_equal(claim(&f, full, 2, 10), "10 0 0");
    assert_string_equal(claim(&f, full, 2, 100), "20 0 0");
    assert_string_equal(claim(&f, full, 2, 100), "0 0 30");
    assert_string_equal(claim(&f, full, 2, 100), "0 0 0");
    assert_string_equal(claim(&f, NULL, 0, 100), "0 30 0");
    fixture_end(&f);
}

static void test_nobody_there(void **state)
{
    const struct queue_lane dead[] = {LANE("tcp_0", "host0.test", true),
                                      LANE("tcp_2", "host2.test", true)};
    struct fixture f;
    (void)state;
    start(&f);
    assert_string_equal(claim(&f, dead, 2, 100), "0 20 0");
    assert_string_equal(claim(&f, dead, 2, 100), "0 10 0");
    assert_string_equal(claim(&f, dead, 2, 100),
                        "30 0 30"); /* when nothing else is due */
    fixture_end(&f);
}

/* With a small limit lanes have their turns over several claims. */
static void test_turns(void **state)
{
    const struct queue_lane full[] = {LANE("tcp_0", "nobody.test", false)};
    struct fixture f;
    (void)state;
    start(&f);
    assert_string_equal(claim(&f, full, 1, 10), "10 0 0");
    assert_string_equal(claim(&f, full, 1, 10), "0 10 0");
    assert_string_equal(claim(&f, full, 1, 10), "0 0 10");
    assert_string_equal(claim(&f, full, 1, 10), "10 0 0");
    fixture_end(&f);
}

/* A lane with very many entries is passed over without looking at them: every statement
 * of the walk is a search by all columns that it names. (Comparing (channel, host) as one
 * value was a scan of the lane: a million of them took seconds, for each claim.) */
static void test_walk_is_a_search(void **state)
{
    static const char *const statements[] = {
#define STATEMENT_SQL(id, sql) [SQL_##id] = sql,
        SQLITE_STATEMENTS(STATEMENT_SQL)
#undef STATEMENT_SQL
    };
    static const struct {
        enum sqlite_statement id;
        const char *plan;
    } cases[] = {
        {SQL_NEXT_HOST, "entries_lane (channel=? AND host>?)"},
        {SQL_NEXT_CHANNEL, "entries_lane (channel>?)"},
        {SQL_DUE_OF_LANE, "entries_lane (channel=? AND host=? AND next_try_ms<?)"},
        {SQL_DUE, "entries_due (next_try_ms<?)"},
        {SQL_NEXT_DUE, "entries_due"},
        {SQL_CLOCK_ENTRIES, "entries_due (next_try_ms>?)"},
    };
    struct fixture f;
    char path[256], sql[2048];
    sqlite3 *db;
    sqlite3_stmt *q;
    (void)state;
    start(&f);
    assert_int_equal(sqlite3_open(fixture_path(&f, "queue.db", path), &db), SQLITE_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", statements[cases[i].id]);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(q), SQLITE_ROW);
        const char *plan = (const char *)sqlite3_column_text(q, 3);
        if (strstr(plan, cases[i].plan) == NULL || strstr(plan, "SEARCH") != plan) {
            fail_msg("%s: %s", sql, plan);
        }
        sqlite3_finalize(q);
    }
    sqlite3_close(db);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enough_in_memory), cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_channel_is_full),  cmocka_unit_test(test_turns),
        cmocka_unit_test(test_walk_is_a_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
