/* What the store remembers beside the mail itself: what clients ask for about reports,
 * what became of each attempt, and entries that are not for now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "test/unit/queue_fixture.h"

enum { LATER = 5000000 };

static void assert_str(str got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr, want, got.len);
}

static void test_requests(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 10, 1);
    struct queue_recipient *to = m->entries->recipients;
    m->ret = QUEUE_RET_HDRS;
    m->envid = STR("QQ+2B1");
    to[0].notify = QUEUE_NOTIFY_SUCCESS | QUEUE_NOTIFY_DELAY;
    to[0].orcpt = STR("rfc822;Ann@x.test");
    assert_true(fixture_commit(&f, m).ok);
    fixture_close(&f);
    assert_true(fixture_open(&f));
    fixture_claim(&f, 10, LATER, &c);
    assert_int_equal(c.count, 1);
    const struct queue_message *got = c.messages[0];
    assert_int_equal(got->ret, QUEUE_RET_HDRS);
    assert_str(got->envid, "QQ+2B1");
    to = got->entries->recipients;
    assert_int_equal(to[0].notify, QUEUE_NOTIFY_SUCCESS | QUEUE_NOTIFY_DELAY);
    assert_str(to[0].orcpt, "rfc822;Ann@x.test");
    assert_int_equal(to[1].notify, 0);
    assert_null(to[1].orcpt.ptr);
    claimed_free(&c);
    queue_message_free(&m);
    fixture_end(&f);
}

/* Entries of one message: for now, for later, held. */
static void test_births(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 10, 3);
    m->entries[1].not_before_ms = 2000000;
    m->entries[2].hold = "not today";
    assert_true(fixture_commit(&f, m).ok);
    assert_int_equal(
        fixture_sql(&f, "SELECT group_concat(state, '') FROM entries ORDER BY position"),
        102);
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM entries"
                                     " WHERE last_error = 'not today'"),
                     1);
    fixture_claim(&f, 10, 1999999, &c);
    assert_int_equal(c.count, 0);
    assert_int_equal(c.next_due_ms, 2000000);
    fixture_claim(&f, 10, 2000000, &c);
    assert_int_equal(c.count, 1);
    assert_true(c.messages[0]->entries->id == m->entries[1].id);
    claimed_free(&c);
    queue_message_free(&m);
    fixture_end(&f);
}

static void settle(struct fixture *f, const struct queue_message *m, unsigned entry,
                   bool keep, unsigned number)
{
    char text[40];
    snprintf(text, sizeof text, "450 4.2.%u later", number);
    const struct queue_attempt attempt = {.at_ms = 1000 * (int64_t)number,
                                          .peer = "mx.test[192.0.2.1]:25",
                                          .tls = "may>tls",
                                          .outcome = text,
                                          .deferred = 2};
    const struct queue_settlement s = {.entry_id = m->entries[entry].id,
                                       .number = m->number,
                                       .keep = keep ? m->entries[entry].recipients : NULL,
                                       .keep_count = keep ? 2 : 0,
                                       .next_try_ms = 1,
                                       .last_error = "later",
                                       .notices = number / 10,
                                       .attempt = &attempt};
    assert_true(fixture_settle(f, &s).ok);
}

struct remembered {
    bool done;
    unsigned count;
    int64_t first_ms, last_ms;
    char outcome[40], peer[40];
};

static void on_history(struct worker *w, const struct queue_attempt *attempts,
                       unsigned count, const struct queue_result *r, void *arg)
{
    struct remembered *t = arg;
    (void)w;
    assert_true(r->ok);
    t->done = true;
    t->count = count;
    if (count > 0) {
        t->first_ms = attempts[0].at_ms;
        t->last_ms = attempts[count - 1].at_ms;
        snprintf(t->outcome, sizeof t->outcome, "%s", attempts[count - 1].outcome);
        snprintf(t->peer, sizeof t->peer, "%s", attempts[count - 1].peer);
    }
}

static void remember(struct fixture *f, int64_t entry, unsigned limit,
                     struct remembered *t)
{
    *t = (struct remembered){.done = false};
    queue_history(f->daemon.queue, f->w, entry, limit, on_history, t);
    fixture_wait(f->w, &t->done);
}

/* The last ones, oldest first, of that entry alone. */
static void test_history(void **state)
{
    (void)state;
    struct fixture f;
    struct remembered t;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 10, 2);
    assert_true(fixture_commit(&f, m).ok);
    settle(&f, m, 1, true, 77);
    for (unsigned i = 1; i <= 5; i++) {
        settle(&f, m, 0, true, i);
    }
    remember(&f, m->entries[0].id, 3, &t);
    assert_true(t.count == 3 && t.first_ms == 3000 && t.last_ms == 5000);
    assert_string_equal(t.outcome, "450 4.2.5 later");
    assert_string_equal(t.peer, "mx.test[192.0.2.1]:25");
    remember(&f, m->entries[0].id, 200, &t);
    assert_true(t.count == 5 && t.first_ms == 1000);
    remember(&f, m->entries[1].id, 200, &t);
    assert_true(t.count == 1 && t.first_ms == 77000);
    remember(&f, 1, 200, &t); /* there is no such entry */
    assert_int_equal(t.count, 0);
    queue_message_free(&m);
    fixture_end(&f);
}

/* The first three and the last twenty are kept, with what they were like. */
static void test_attempts(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 10, 2);
    assert_true(fixture_commit(&f, m).ok);
    for (unsigned i = 1; i <= 23; i++) {
        settle(&f, m, 0, true, i);
    }
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM attempts"), 23);
    for (unsigned i = 24; i <= 40; i++) {
        settle(&f, m, 0, true, i);
    }
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM attempts"), 23);
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM attempts WHERE position = 0"
                                     " AND (attempt <= 3 OR attempt BETWEEN 21 AND 40)"),
                     23);
    assert_int_equal(
        fixture_sql(&f, "SELECT count(*) FROM attempts WHERE attempt = 40"
                        " AND at_ms = 40000 AND channel = 'tcp_0' AND host = 'host0.test'"
                        " AND peer = 'mx.test[192.0.2.1]:25' AND tls = 'may>tls'"
                        " AND outcome = '450 4.2.40 later' AND delivered = 0"
                        " AND deferred = 2 AND failed = 0"),
        1);
    fixture_claim(&f, 10, LATER, &c);
    assert_int_equal(c.count, 1);
    assert_int_equal(c.messages[0]->entries->notices, 4);
    assert_int_equal(c.messages[0]->entries->attempts, 40);
    claimed_free(&c);
    settle(&f, m, 0, false, 41); /* the other entry is still there */
    assert_int_equal(fixture_sql(&f, "SELECT max(attempt) FROM attempts"), 41);
    settle(&f, m, 1, false, 1); /* the last one takes all along */
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM attempts"), 0);
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM messages"), 0);
    queue_message_free(&m);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_births),
        cmocka_unit_test(test_attempts),
        cmocka_unit_test(test_history),
    };
    return cmocka_run_group_tests_name("queue attempts", tests, NULL, NULL);
}
