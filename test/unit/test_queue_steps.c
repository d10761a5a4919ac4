/* Orders and looks in a queue that is large beside what they mean: each step, each
 * transaction looks at a part of it only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/check.h"
#include "router/queue_sqlite_offline.h"
#include "test/unit/queue_fixture.h"

enum { COUNT = 45000, STEP_MAX = 20000, PAGE_MAX = 10000 };

/* Entries that wait, and behind them one that is held. */
static void fill(struct fixture *f)
{
    char sql[600];
    snprintf(
        sql, sizeof sql,
        "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < %d) INSERT INTO messages SELECT i, 1000, 'x', 'tcp_in', 0, 0,"
        " NULL, 0, NULL FROM n; INSERT INTO entries (number, position, channel, host,"
        " state, attempts, next_try_ms) SELECT number, 0, 'tcp_0', 'h', 0, 0, 9000"
        " FROM messages; INSERT INTO recipients (number, position, rank, address)"
        " SELECT number, 0, 0, 'bob@h.test' FROM messages;"
        " UPDATE entries SET state = 2 WHERE number = %d; COMMIT",
        COUNT, COUNT);
    fixture_sql(f, sql);
}

static const struct queue_filter filters[] = {
    {.held = true},
    {.held = true, .to = STR("bob*")},
    {.from = STR("nobody"), .held = true, .to = STR("b*"), .either = true},
};
enum { FILTERS = sizeof filters / sizeof *filters };

static void test_orders(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    fill(&f);
    for (size_t i = 0; i < FILTERS; i++) {
        struct queue_order o = {
            .action = QUEUE_UNHOLD, .filter = filters[i], .dry_run = true};
        struct queue_step step = {.at = queue_cursor_first(&o.filter), .more = true};
        uint64_t before = 0;
        unsigned found = 0;
        while (step.more) {
            step = fixture_order(&f, &o, step.at);
            assert_true(step.at.number > before);
            assert_true(step.at.number - before <= STEP_MAX);
            before = step.at.number;
            found += step.changed;
        }
        assert_int_equal(before, COUNT);
        assert_int_equal(found, 1);
    }
    fixture_end(&f);
}

static void on_seen(const struct queue_seen *e, void *arg)
{
    assert_int_equal(e->number, COUNT);
    assert_int_equal(e->recipient_count, 1);
    (*(unsigned *)arg)++;
}

static void test_looks(void **state)
{
    (void)state;
    struct fixture f;
    char reason[300];
    fixture_start(&f);
    fill(&f);
    for (size_t i = 0; i < FILTERS; i++) {
        unsigned found = 0;
        assert_true(
            queue_look(f.directory, &filters[i], on_seen, &found, reason, sizeof reason));
        assert_int_equal(found, 1);
    }
    fixture_end(&f);
}

static void test_pages(void **state)
{
    (void)state;
    struct fixture f;
    struct queue_result r;
    struct look_page page = {.at = {0, -1}, .filter = &filters[0], .limit = 200};
    unsigned looked = 0;
    fixture_start(&f);
    fill(&f);
    struct queue_store *s = calloc(1, sizeof *s);
    struct arena *a = arena_new();
    check(s != NULL);
    assert_true(reader_open(s, f.directory, &r));
    while (!page.end) {
        assert_true(store_look(s, a, &page, &r));
        assert_true(page.looked <= PAGE_MAX);
        looked += page.looked;
    }
    assert_int_equal(looked, COUNT);
    arena_free(&a);
    queue_sqlite.close(&s);
    fixture_end(&f);
}

/* Counting is interrupted for what comes meanwhile: a message that is stored behind the
 * question is answered first. */
struct counting {
    struct queue_counts counts;
    bool committed, committed_first, done;
};

static void on_counted(struct worker *w, const struct queue_counts *c,
                       const struct queue_result *r, void *arg)
{
    struct counting *g = arg;
    (void)w;
    check(r->ok);
    g->counts = *c;
    g->committed_first = g->committed;
    g->done = true;
}

static void on_committed(struct worker *w, struct queue_message *m,
                         const struct queue_result *r, void *arg)
{
    (void)w;
    (void)m;
    check(r->ok);
    ((struct counting *)arg)->committed = true;
}

static void test_count(void **state)
{
    (void)state;
    struct fixture f;
    struct counting g = {.done = false};
    fixture_start(&f);
    fill(&f);
    struct queue_message *m = fixture_message(&f, 10, 3);
    sqlite3 *other; /* keeps the store waiting until both are asked */
    char path[256];
    check(sqlite3_open(fixture_path(&f, "queue.db", path), &other) == SQLITE_OK);
    check(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK);
    queue_count(f.daemon.queue, f.w, on_counted, &g);
    queue_commit(f.daemon.queue, f.w, m, on_committed, &g);
    check(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(other);
    fixture_wait(f.w, &g.done);
    assert_true(g.committed_first);
    assert_int_equal(g.counts.messages, COUNT + 1);
    assert_int_equal(g.counts.entries, COUNT + 3);
    assert_int_equal(g.counts.held, 1);
    assert_int_equal(g.counts.oldest_ms, 1000);
    queue_message_free(&m);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_looks),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
