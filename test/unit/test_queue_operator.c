/* What operators do with the queue: looking at it, beside a queue that is open and after
 * it was closed, and letting go what is held, through the queue and without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "router/queue_sqlite_offline.h"
#include "test/unit/queue_fixture.h"

enum { MUCH_LATER = INT32_MAX };

static struct queue_message *held_message(struct fixture *f, unsigned entries)
{
    struct queue_message *m = fixture_message(f, 10, entries);
    for (unsigned i = 0; i < entries; i++) {
        m->entries[i].hold = "too many recipients";
    }
    assert_true(fixture_commit(f, m).ok);
    return m;
}

struct unheld {
    struct queue_touched touched;
    bool ok, done;
};

static void on_unheld(struct worker *w, const struct queue_touched *t,
                      const struct queue_result *r, void *arg)
{
    struct unheld *u = arg;
    (void)w;
    *u = (struct unheld){*t, r->ok, true};
}

static struct queue_touched unhold(struct fixture *f, uint64_t number)
{
    struct unheld u = {.done = false};
    queue_unhold(f->daemon.queue, f->w, number, 5, on_unheld, &u);
    fixture_wait(f->w, &u.done);
    assert_true(u.ok);
    return u.touched;
}

static void test_unhold(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = held_message(&f, 2), *other = held_message(&f, 1);
    fixture_claim(&f, 10, MUCH_LATER, &c);
    assert_int_equal(c.count, 0);
    struct queue_touched t = unhold(&f, m->number);
    assert_int_equal(t.entries, 2);
    assert_int_equal(t.changed, 2);
    fixture_claim(&f, 10, 5, &c);
    assert_int_equal(c.count, 2);
    assert_true(c.messages[0]->number == m->number);
    claimed_free(&c);
    t = unhold(&f, m->number); /* not held any more */
    assert_int_equal(t.entries, 2);
    assert_int_equal(t.changed, 0);
    t = unhold(&f, other->number + 1);
    assert_int_equal(t.entries, 0);
    assert_int_equal(t.changed, 0);
    queue_message_free(&m);
    queue_message_free(&other);
    fixture_end(&f);
}

/* What was seen: one line for each entry. */
struct seen {
    char text[8192];
    unsigned count;
    uint64_t last;
};

static void on_seen(const struct queue_seen *e, void *arg)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);
    assert_true(e->number >= s->last);
    s->last = e->number;
    s->count++;
    if (n + 200 < sizeof s->text) {
        snprintf(s->text + n, sizeof s->text - n, "%u %d %.*s %.*s %u %.*s %.*s\n",
                 e->position, (int)e->state, STR_ARG(e->channel), STR_ARG(e->host),
                 e->recipient_count, STR_ARG(e->recipients[1]),
                 STR_ARG(e->reason.ptr ? e->reason : STR("-")));
    }
}

static void look(struct fixture *f, bool held_only, struct seen *out)
{
    char reason[256];
    *out = (struct seen){0};
    assert_true(queue_look(f->directory, held_only, on_seen, out, reason, sizeof reason));
}

static void test_look(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    fixture_start(&f);
    look(&f, false, &s);
    assert_int_equal(s.count, 0);
    struct queue_message *m = held_message(&f, 2), *other = fixture_message(&f, 10, 1);
    assert_true(fixture_commit(&f, other).ok);
    look(&f, true, &s);
    assert_int_equal(s.count, 2);
    char expected[512];
    snprintf(expected, sizeof expected,
             "0 2 tcp_0 host0.test 2 %.*s too many recipients\n"
             "1 2 tcp_1 host1.test 2 %.*s too many recipients\n",
             STR_ARG(m->entries[0].recipients[1].address),
             STR_ARG(m->entries[1].recipients[1].address));
    assert_string_equal(s.text, expected);
    look(&f, false, &s);
    assert_int_equal(s.count, 3);
    fixture_close(&f);
    look(&f, true, &s);
    assert_string_equal(s.text, expected);
    assert_true(fixture_open(&f));
    queue_message_free(&m);
    queue_message_free(&other);
    fixture_end(&f);
}

/* More than one page; the entries of one message stand on both sides of its end. */
static void test_look_at_many(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s;
    fixture_start(&f);
    for (unsigned i = 0; i < 199; i++) {
        struct queue_message *m = held_message(&f, 3);
        queue_message_free(&m);
    }
    look(&f, false, &s);
    assert_int_equal(s.count, 3 * 199);
    look(&f, true, &s);
    assert_int_equal(s.count, 3 * 199);
    fixture_end(&f);
}

static void test_offline(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    struct queue_touched t;
    char reason[256], nowhere[128];
    fixture_start(&f);
    struct queue_message *m = held_message(&f, 1);
    assert_false(
        queue_offline_unhold(f.directory, m->number, 5, &t, reason, sizeof reason));
    assert_non_null(strstr(reason, "is in use by process"));
    fixture_close(&f);
    assert_true(
        queue_offline_unhold(f.directory, m->number, 5, &t, reason, sizeof reason));
    assert_int_equal(t.entries, 1);
    assert_int_equal(t.changed, 1);
    assert_true(
        queue_offline_unhold(f.directory, m->number, 5, &t, reason, sizeof reason));
    assert_int_equal(t.changed, 0);
    snprintf(nowhere, sizeof nowhere, "%s/none", f.directory);
    assert_false(queue_offline_unhold(nowhere, 1, 5, &t, reason, sizeof reason));
    assert_non_null(strstr(reason, "there is no queue in"));
    assert_false(queue_look(nowhere, false, on_seen, NULL, reason, sizeof reason));
    assert_non_null(strstr(reason, "cannot open"));
    assert_true(fixture_open(&f));
    fixture_claim(&f, 10, MUCH_LATER, &c);
    assert_int_equal(c.count, 1);
    claimed_free(&c);
    queue_message_free(&m);
    fixture_end(&f);
}

/* Somebody else's database is not read. */
static void test_no_queue(void **state)
{
    (void)state;
    struct fixture f;
    struct seen s = {0};
    char reason[256];
    fixture_start(&f);
    fixture_sql(&f, "PRAGMA application_id = 7");
    assert_false(queue_look(f.directory, false, on_seen, &s, reason, sizeof reason));
    assert_non_null(strstr(reason, "not a message queue"));
    fixture_sql(&f, "PRAGMA application_id = 1347244337");
    fixture_sql(&f, "PRAGMA user_version = 99");
    assert_false(queue_look(f.directory, false, on_seen, &s, reason, sizeof reason));
    assert_non_null(strstr(reason, "newer"));
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unhold),       cmocka_unit_test(test_look),
        cmocka_unit_test(test_look_at_many), cmocka_unit_test(test_offline),
        cmocka_unit_test(test_no_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
