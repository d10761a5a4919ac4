/* What operators do with the queue: looking at it and giving orders, beside a queue that
 * is open and after it was closed. */
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

static struct queue_step order(struct fixture *f, const struct queue_order *o)
{
    return fixture_order(f, o, queue_cursor_first(&o->filter));
}

static struct queue_step act(struct fixture *f, enum queue_action action, uint64_t number)
{
    return order(f, &(struct queue_order){
                        .action = action, .filter = {.number = number}, .now_ms = 5});
}

static struct queue_step unhold(struct fixture *f, uint64_t number)
{
    return act(f, QUEUE_UNHOLD, number);
}

static int64_t sql_of(struct fixture *f, const char *what, unsigned position)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT %s FROM entries WHERE position = %u", what,
             position);
    return fixture_sql(f, sql);
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
    struct queue_step t = unhold(&f, m->number);
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

static void look_for(struct fixture *f, const struct queue_filter *filter,
                     struct seen *out)
{
    char reason[256];
    *out = (struct seen){0};
    assert_true(queue_look(f->directory, filter, on_seen, out, reason, sizeof reason));
}

static void look(struct fixture *f, bool held_only, struct seen *out)
{
    look_for(f, &(struct queue_filter){.held = held_only}, out);
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

static bool offline(const char *directory, enum queue_action action, uint64_t number,
                    struct queue_step *step, char *reason)
{
    const struct queue_order o = {
        .action = action, .filter = {.number = number}, .now_ms = 5};
    struct queue_offline *q = queue_offline_open(directory, reason, 256);
    step->at = queue_cursor_first(&o.filter);
    bool good = q != NULL && queue_offline_order(q, &o, step, reason, 256);
    queue_offline_close(&q);
    return good;
}

static void test_offline(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    struct queue_step step;
    char reason[256], nowhere[128];
    fixture_start(&f);
    struct queue_message *m = held_message(&f, 1), *large = fixture_message(&f, 70000, 1);
    assert_true(fixture_commit(&f, large).ok);
    assert_false(offline(f.directory, QUEUE_UNHOLD, m->number, &step, reason));
    assert_non_null(strstr(reason, "is in use by process"));
    fixture_close(&f);
    assert_true(offline(f.directory, QUEUE_UNHOLD, m->number, &step, reason));
    assert_int_equal(step.entries, 1);
    assert_int_equal(step.changed, 1);
    assert_true(offline(f.directory, QUEUE_UNHOLD, m->number, &step, reason));
    assert_int_equal(step.changed, 0);
    /* the claim of a daemon that has died: done by the next one */
    assert_true(offline(f.directory, QUEUE_DELETE, large->number, &step, reason));
    assert_int_equal(step.active, 1);
    snprintf(nowhere, sizeof nowhere, "%s/none", f.directory);
    assert_false(offline(nowhere, QUEUE_UNHOLD, 1, &step, reason));
    assert_non_null(strstr(reason, "there is no queue in"));
    assert_false(queue_look(nowhere, &(struct queue_filter){0}, on_seen, NULL, reason,
                            sizeof reason));
    assert_non_null(strstr(reason, "cannot open"));
    assert_true(fixture_open(&f));
    fixture_claim(&f, 10, MUCH_LATER, &c);
    assert_int_equal(c.count, 1);
    assert_true(c.messages[0]->number == m->number);
    claimed_free(&c);
    queue_message_free(&m);
    queue_message_free(&large);
    fixture_end(&f);
}

/* --- orders --- */

/* Entry 0 waits, 1 is claimed, 2 is held. */
static struct queue_message *three_states(struct fixture *f)
{
    struct queue_message *m = fixture_message(f, 10, 3);
    m->entries[0].not_before_ms = 1000;
    m->entries[2].hold = "why not";
    assert_true(fixture_commit(f, m).ok);
    return m;
}

static const struct {
    enum queue_action action;
    unsigned changed, active;
    /* state and pending order of the three, then once the claim has ended; 9: gone */
    unsigned states, ordered, then, then_ordered;
} ACTS[] = {
    {QUEUE_HOLD, 2, 1, 212, 10, 222, 0},     {QUEUE_UNHOLD, 1, 0, 10, 0, 0, 0},
    {QUEUE_RETRY, 1, 0, 12, 0, 2, 0},        {QUEUE_RETURN, 3, 1, 10, 333, 0, 333},
    {QUEUE_DELETE, 3, 1, 919, 29, 999, 999},
};

static unsigned three(struct fixture *f, const char *what)
{
    unsigned all = 0;
    for (unsigned i = 0; i < 3; i++) {
        int64_t value = sql_of(f, what, i);
        all = all * 10 + (value < 0 ? 9 : (unsigned)value);
    }
    return all;
}

static void test_orders(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ACTS / sizeof ACTS[0]; i++) {
        struct fixture f;
        fixture_start(&f);
        struct queue_message *m = three_states(&f);
        struct queue_step step =
            order(&f, &(struct queue_order){.action = ACTS[i].action, .dry_run = true});
        assert_int_equal(step.entries, 3);
        assert_int_equal(step.changed, ACTS[i].changed);
        assert_int_equal(three(&f, "state"), 12);
        step = act(&f, ACTS[i].action, m->number);
        assert_int_equal(step.entries, 3);
        assert_int_equal(step.changed, ACTS[i].changed);
        assert_int_equal(step.active, ACTS[i].active);
        assert_false(step.more);
        assert_int_equal(three(&f, "state"), ACTS[i].states);
        if (ACTS[i].active > 0) {
            assert_true(step.claimed[0] == m->entries[1].id);
        }
        queue_release(f.daemon.queue, m->entries[1].id, 7);
        act(&f, QUEUE_RETRY, 1); /* the release is done before this is answered */
        assert_int_equal(three(&f, "state"), ACTS[i].then);
        assert_int_equal(three(&f, "ordered"), ACTS[i].then_ordered);
        queue_message_free(&m);
        fixture_end(&f);
    }
}

/* An order for what is being delivered is done when the attempt is over, or when the
 * daemon is started again. */
static void test_order_of_claimed(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 10, 4);
    assert_true(fixture_commit(&f, m).ok);
    act(&f, QUEUE_HOLD, m->number);
    assert_int_equal(act(&f, QUEUE_HOLD, m->number).changed, 0);
    assert_int_equal(act(&f, QUEUE_UNHOLD, m->number).changed, 4); /* not after all */
    act(&f, QUEUE_HOLD, m->number);
    const struct queue_settlement kept = {.entry_id = m->entries[0].id,
                                          .number = m->number,
                                          .keep = m->entries[0].recipients,
                                          .keep_count = 2,
                                          .next_try_ms = 9};
    assert_true(fixture_settle(&f, &kept).ok);
    assert_int_equal(sql_of(&f, "state", 0), QUEUE_HELD);
    const struct queue_settlement gone = {.entry_id = m->entries[1].id,
                                          .number = m->number};
    assert_true(fixture_settle(&f, &gone).ok);
    assert_int_equal(sql_of(&f, "state", 1), -1);
    fixture_close(&f);
    assert_true(fixture_open(&f));
    assert_int_equal(sql_of(&f, "state", 2), QUEUE_HELD);
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM entries WHERE last_error ="
                                     " 'held by an operator'"),
                     3);
    act(&f, QUEUE_RETURN, m->number);
    fixture_claim(&f, 10, 5, &c);
    assert_int_equal(c.count, 3);
    assert_true(c.messages[0]->entries->returned);
    /* its sender could not be told: it is not returned for ever */
    const struct queue_settlement untold = {.entry_id = m->entries[0].id,
                                            .number = m->number,
                                            .keep = m->entries[0].recipients,
                                            .keep_count = 2,
                                            .hold = true,
                                            .returned = true};
    assert_true(fixture_settle(&f, &untold).ok);
    assert_int_equal(sql_of(&f, "state", 0), QUEUE_HELD);
    assert_int_equal(sql_of(&f, "ordered", 0), 0);
    claimed_free(&c);
    queue_message_free(&m);
    fixture_end(&f);
}

/* How many entries are changed by all steps of the order. */
static unsigned all_steps(struct fixture *f, const struct queue_order *o)
{
    struct queue_step step = {.at = queue_cursor_first(&o->filter), .more = true};
    unsigned changed = 0, steps = 0;
    for (; step.more; steps++) {
        step = fixture_order(f, o, step.at);
        assert_true(step.changed <= QUEUE_STEP_MAX);
        changed += step.changed;
    }
    assert_true(steps > changed / QUEUE_STEP_MAX);
    return changed;
}

/* More than one step, and what is left out by the filter. */
static void test_steps(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    for (unsigned i = 0; i < 620; i++) {
        struct queue_message *m = held_message(&f, 2);
        queue_message_free(&m);
    }
    struct queue_order o = {.action = QUEUE_DELETE, .filter.channel = STR("TCP_1")};
    assert_int_equal(all_steps(&f, &o), 620);
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM entries"), 620);
    o.filter = (struct queue_filter){.to = STR("BOB@host0.*")};
    assert_int_equal(all_steps(&f, &o), 620);
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM messages"), 0);
    fixture_end(&f);
}

static void test_stopped(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    struct queue_order o = {.action = QUEUE_STOP, .filter.channel = STR("tcp_0")};
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 10, 2);
    m->entries[0].not_before_ms = m->entries[1].not_before_ms = 1000;
    assert_true(fixture_commit(&f, m).ok);
    assert_int_equal(order(&f, &o).changed, 1);
    assert_int_equal(order(&f, &o).changed, 0);
    assert_true(queue_channel_stopped(f.daemon.queue, STR("TCP_0")));
    assert_false(queue_channel_stopped(f.daemon.queue, STR("tcp_1")));
    fixture_claim(&f, 10, 2000, &c);
    assert_int_equal(c.count, 1);
    assert_true(str_eq(c.messages[0]->entries->channel, STR("tcp_1")));
    assert_true(c.next_due_ms > 2000); /* not looked at again at once */
    claimed_free(&c);
    fixture_close(&f);
    assert_true(fixture_open(&f));
    assert_true(queue_channel_stopped(f.daemon.queue, STR("tcp_0")));
    o.action = QUEUE_START;
    o.now_ms = 2500;
    assert_int_equal(order(&f, &o).changed, 2); /* the channel, and what waited for it */
    assert_false(queue_channel_stopped(f.daemon.queue, STR("tcp_0")));
    fixture_claim(&f, 10, 2500, &c);
    assert_int_equal(c.count, 1);
    claimed_free(&c);
    queue_message_free(&m);
    fixture_end(&f);
}

/* Nothing is delivered to a stopped channel, but what goes back to its sender goes. */
static void test_return_while_stopped(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 10, 1);
    m->entries[0].not_before_ms = 1000;
    assert_true(fixture_commit(&f, m).ok);
    order(&f,
          &(struct queue_order){.action = QUEUE_STOP, .filter.channel = STR("tcp_0")});
    assert_int_equal(act(&f, QUEUE_RETURN, m->number).changed, 1);
    fixture_claim(&f, 10, 5, &c);
    assert_int_equal(c.count, 1);
    assert_true(c.messages[0]->entries->returned);
    claimed_free(&c);
    queue_message_free(&m);
    fixture_end(&f);
}

/* What is ordered while it goes back to its sender counts, when it cannot. */
static void test_order_of_returned(void **state)
{
    (void)state;
    static const struct {
        enum queue_action action;
        int64_t left;
    } cases[] = {{QUEUE_RETURN, QUEUE_HELD}, {QUEUE_DELETE, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct claimed c;
        fixture_start(&f);
        struct queue_message *m = held_message(&f, 1);
        act(&f, QUEUE_RETURN, m->number);
        fixture_claim(&f, 10, 5, &c);
        assert_int_equal(c.count, 1);
        act(&f, cases[i].action, m->number);
        const struct queue_settlement untold = {.entry_id = m->entries[0].id,
                                                .number = m->number,
                                                .keep = m->entries[0].recipients,
                                                .keep_count = 2,
                                                .hold = true,
                                                .returned = true};
        assert_true(fixture_settle(&f, &untold).ok);
        assert_int_equal(sql_of(&f, "state", 0), cases[i].left);
        claimed_free(&c);
        queue_message_free(&m);
        fixture_end(&f);
    }
}

/* What is due behind a stopped channel is put off by the thousand, so that it does not
 * stand in front of others; what is going back to its sender is not. */
static void test_stopped_backlog(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    struct queue_order o = {.action = QUEUE_STOP, .filter.channel = STR("TCP_0")};
    fixture_start(&f);
    uint64_t last = 0;
    for (unsigned i = 0; i < 300; i++) {
        struct queue_message *m = fixture_message(&f, 10, 1);
        m->entries[0].not_before_ms = 1000;
        assert_true(fixture_commit(&f, m).ok);
        last = m->number;
        queue_message_free(&m);
    }
    act(&f, QUEUE_RETURN, last);
    order(&f, &o);
    fixture_claim(&f, 10, 2000, &c);
    assert_int_equal(c.count, 1); /* it was due first: at 5 */
    assert_true(c.messages[0]->number == last && c.messages[0]->entries->returned);
    claimed_free(&c);
    assert_int_equal(
        fixture_sql(&f, "SELECT count(*) FROM entries WHERE state = 0 AND ordered = 4"
                        " AND next_try_ms > 2000"),
        299);
    fixture_end(&f);
}

static void test_filters(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"*", "", true},
        {"", "a", false},
        {"a*", "ABC", true},
        {"*c", "abc", true},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"*b*", "abc", true},
        {"*@x.test", "ann@X.TEST", true},
        {"a*b*c", "aXbX", false},
        {"**", "x", true},
        {"*ab", "aab", true},
        {"a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(
            queue_pattern(str_from(cases[i].pattern), str_from(cases[i].text)),
            cases[i].matches);
    }
    const str to[] = {STR("ann@x.test"), STR("bob@y.test")};
    const struct queue_filter_entry e = {.number = 7,
                                         .created_ms = 100,
                                         .channel = STR("tcp_local"),
                                         .host = STR("x.test"),
                                         .sender = STR("sue@far.test"),
                                         .recipients = to,
                                         .recipient_count = 2};
    const struct queue_filter pass[] = {
        {0},
        {.number = 7, .channel = STR("TCP_LOCAL"), .host = STR("X.test")},
        {.from = STR("*@far.test"), .to = STR("bob@*"), .created_before_ms = 101},
        {.from = STR("nobody"), .to = STR("bob@*"), .either = true},
        {.from = STR("sue*"), .to = STR("nobody"), .either = true},
    };
    const struct queue_filter fail[] = {
        {.number = 8},
        {.channel = STR("tcp")},
        {.held = true},
        {.created_before_ms = 100},
        {.from = STR("")},
        {.from = STR("sue*"), .to = STR("nobody")},
        {.from = STR("nobody"), .either = true},
    };
    for (size_t i = 0; i < sizeof pass / sizeof pass[0]; i++) {
        assert_true(queue_filter_matches(&pass[i], &e));
    }
    for (size_t i = 0; i < sizeof fail / sizeof fail[0]; i++) {
        assert_false(queue_filter_matches(&fail[i], &e));
    }
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
    assert_false(queue_look(f.directory, &(struct queue_filter){0}, on_seen, &s, reason,
                            sizeof reason));
    assert_non_null(strstr(reason, "not a message queue"));
    fixture_sql(&f, "PRAGMA application_id = 1347244337");
    fixture_sql(&f, "PRAGMA user_version = 99");
    assert_false(queue_look(f.directory, &(struct queue_filter){0}, on_seen, &s, reason,
                            sizeof reason));
    assert_non_null(strstr(reason, "newer"));
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unhold),
        cmocka_unit_test(test_look),
        cmocka_unit_test(test_look_at_many),
        cmocka_unit_test(test_offline),
        cmocka_unit_test(test_no_queue),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_order_of_claimed),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_stopped_backlog),
        cmocka_unit_test(test_return_while_stopped),
        cmocka_unit_test(test_order_of_returned),
        cmocka_unit_test(test_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
