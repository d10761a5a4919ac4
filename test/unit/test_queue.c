/* The queue's contract, with a healthy disk; see test_queue_faults.c for the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "test/unit/queue_fixture.h"

enum { LATER = 2000000, MUCH_LATER = 9000000 };

static void test_id(void **state)
{
    static const struct {
        uint64_t number;
        const char *id;
    } cases[] = {{0, "0"},           {31, "Z"}, {32, "10"},
                 {1048576, "10000"}, {18, "J"}, {UINT64_MAX, "FZZZZZZZZZZZZ"}};
    static const char *const bad[] = {"", "I", "U", "7F 2", "-1", "GZZZZZZZZZZZZ", "é"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char id[QUEUE_ID_MAX];
        uint64_t number;
        queue_id_print(cases[i].number, id);
        assert_string_equal(id, cases[i].id);
        assert_true(queue_id_parse(str_from(id), &number));
        assert_true(number == cases[i].number);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t number;
        assert_false(queue_id_parse(str_from(bad[i]), &number));
    }
    uint64_t number;
    assert_true(queue_id_parse(STR("zz"), &number));
    assert_int_equal(number, 1023);
}

static void assert_str(str got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr, want, got.len);
}

static void expect_counts(struct fixture *f, int64_t messages, int64_t entries,
                          int64_t deferred, int64_t held)
{
    struct queue_counts c;
    assert_true(fixture_count(f, &c).ok);
    assert_int_equal(c.messages, messages);
    assert_int_equal(c.entries, entries);
    assert_int_equal(c.deferred, deferred);
    assert_int_equal(c.held, held);
    assert_int_equal(c.oldest_ms, messages > 0 ? 1000000 : 0);
}

/* Everything stored comes back as it was, and only when it is due. */
static void round_trip(size_t size)
{
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, size, 2);
    m->eight_bit = true;
    assert_true(fixture_commit(&f, m).ok);
    expect_counts(&f, 1, 2, 0, 0);
    fixture_claim(&f, 10, LATER, &c);
    assert_int_equal(c.count, 0); /* born claimed */
    assert_int_equal(c.next_due_ms, 0);
    queue_release(f.daemon.queue, m->entries[1].id, 1500000);
    fixture_claim(&f, 10, 1499999, &c);
    assert_int_equal(c.count, 0);
    assert_int_equal(c.next_due_ms, 1500000);
    fixture_claim(&f, 10, 1500000, &c);
    assert_int_equal(c.count, 1);
    const struct queue_message *got = c.messages[0];
    assert_true(got->number == m->number);
    assert_string_equal(got->id, m->id);
    assert_int_equal(got->created_ms, 1000000);
    assert_str(got->sender, "sender@example.test");
    assert_str(got->source_channel, "tcp_local");
    assert_true(got->eight_bit);
    assert_int_equal(got->entry_count, 1);
    assert_true(got->entries->id == m->entries[1].id);
    assert_str(got->entries->channel, "tcp_1");
    assert_str(got->entries->host, "host1.test");
    assert_int_equal(got->entries->attempts, 0);
    assert_int_equal(got->entries->recipient_count, 2);
    assert_str(got->entries->recipients[0].address, "ann@host1.test");
    assert_str(got->entries->recipients[1].address, "bob@host1.test");
    assert_true(fixture_body_good(got, size));
    claimed_free(&c);
    queue_message_free(&m);
    fixture_end(&f);
}

static void test_round_trip(void **state)
{
    (void)state;
    round_trip(0);
    round_trip(5000);
    round_trip(BODY_INLINE_MAX);
    round_trip(BODY_INLINE_MAX + 1);
}

static void test_reopen(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *a = fixture_message(&f, 100, 1);
    struct queue_message *b = fixture_message(&f, 70000, 1);
    assert_true(fixture_commit(&f, a).ok);
    assert_true(fixture_commit(&f, b).ok);
    uint64_t last = b->number;
    fixture_close(&f);
    assert_true(fixture_open(&f));
    fixture_claim(&f, 10, 1000000, &c); /* claims are void, due at once */
    assert_int_equal(c.count, 2);
    assert_true(c.messages[0]->number == a->number);
    assert_true(fixture_body_good(c.messages[0], 100));
    assert_true(fixture_body_good(c.messages[1], 70000));
    claimed_free(&c);
    queue_message_free(&a);
    queue_message_free(&b);
    a = queue_message_new(f.daemon.queue, 0);
    assert_true(a->number > last && a->number < last + 10);
    queue_message_free(&a);
    fixture_end(&f);
}

/* Far more numbers than one reserved block: the stored bound stays ahead. */
static void test_numbers(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t last = 0;
    fixture_start(&f);
    for (unsigned i = 0; i < 50000; i++) {
        struct queue_message *m = queue_message_new(f.daemon.queue, 0);
        assert_true(m->number > last);
        last = m->number;
        queue_message_free(&m);
    }
    struct queue_message *m = fixture_message(&f, 1, 1);
    assert_true(fixture_commit(&f, m).ok);
    assert_true(fixture_sql(&f, "SELECT value FROM meta WHERE key = 'next_number'") >
                (int64_t)m->number);
    queue_message_free(&m);
    fixture_end(&f);
}

static void test_claim_order(void **state)
{
    static const int64_t due[] = {5000, 1000, 4000, 2000, 3000};
    (void)state;
    struct fixture f;
    struct claimed c;
    int64_t ids[5];
    fixture_start(&f);
    for (unsigned i = 0; i < 5; i++) {
        struct queue_message *m = fixture_message(&f, 10, 1);
        assert_true(fixture_commit(&f, m).ok);
        ids[i] = m->entries->id;
        queue_release(f.daemon.queue, m->entries->id, due[i]);
        queue_message_free(&m);
    }
    fixture_claim(&f, 2, 4500, &c);
    assert_int_equal(c.count, 2);
    assert_true(c.messages[0]->entries->id == ids[1]);
    assert_true(c.messages[1]->entries->id == ids[3]);
    assert_int_equal(c.next_due_ms, 3000);
    claimed_free(&c);
    fixture_claim(&f, 100, 4500, &c);
    assert_int_equal(c.count, 2);
    assert_true(c.messages[0]->entries->id == ids[4]);
    assert_int_equal(c.next_due_ms, 5000);
    claimed_free(&c);
    fixture_claim(&f, 0, 6000, &c);
    assert_int_equal(c.count, 0);
    assert_int_equal(c.next_due_ms, 5000);
    fixture_end(&f);
}

/* Entries of one message that are claimed together share its body. */
static void test_claim_shares_body(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 70000, 3);
    assert_true(fixture_commit(&f, m).ok);
    queue_message_free(&m);
    fixture_close(&f);
    assert_true(fixture_open(&f));
    fixture_claim(&f, 10, LATER, &c);
    assert_int_equal(c.count, 3);
    assert_ptr_equal(c.messages[0]->body, c.messages[2]->body);
    assert_true(fixture_body_good(c.messages[2], 70000));
    claimed_free(&c);
    fixture_end(&f);
}

static void test_settle_partly(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 10, 1);
    assert_true(fixture_commit(&f, m).ok);
    struct queue_settlement s = {.entry_id = m->entries->id,
                                 .number = m->number,
                                 .keep = &m->entries->recipients[1],
                                 .keep_count = 1,
                                 .next_try_ms = 5000,
                                 .last_error = "421 4.3.2 busy"};
    assert_true(fixture_settle(&f, &s).ok);
    expect_counts(&f, 1, 1, 1, 0);
    fixture_claim(&f, 10, 4999, &c);
    assert_int_equal(c.count, 0);
    assert_int_equal(c.next_due_ms, 5000);
    fixture_claim(&f, 10, 5000, &c);
    assert_int_equal(c.count, 1);
    assert_int_equal(c.messages[0]->entries->attempts, 1);
    assert_int_equal(c.messages[0]->entries->recipient_count, 1);
    assert_str(c.messages[0]->entries->recipients[0].address, "bob@host0.test");
    claimed_free(&c);
    s.last_error = NULL; /* leaves what is there; all recipients kept */
    assert_true(fixture_settle(&f, &s).ok);
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM entries WHERE attempts = 2"
                                     " AND last_error = '421 4.3.2 busy'"),
                     1);
    queue_message_free(&m);
    fixture_end(&f);
}

/* The message goes with its last entry, its file after that commit. */
static void test_settle_all(void **state)
{
    (void)state;
    struct fixture f;
    char name[64], path[256];
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 70000, 2);
    snprintf(name, sizeof name, "bodies/%s", body_file(m->body));
    fixture_path(&f, name, path);
    assert_true(fixture_commit(&f, m).ok);
    struct queue_settlement s = {.entry_id = m->entries[0].id, .number = m->number};
    assert_true(fixture_settle(&f, &s).ok);
    expect_counts(&f, 1, 1, 0, 0);
    assert_int_equal(access(path, F_OK), 0);
    s.entry_id = m->entries[1].id;
    assert_true(fixture_settle(&f, &s).ok);
    expect_counts(&f, 0, 0, 0, 0);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_true(fixture_settle(&f, &s).ok); /* again: nothing left to do */
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM recipients"), 0);
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM bodies"), 0);
    queue_message_free(&m);
    fixture_end(&f);
}

static void test_settle_with_report(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 10, 1);
    struct queue_message *report = fixture_message(&f, 20, 1);
    report->sender = STR_NONE;
    assert_true(fixture_commit(&f, m).ok);
    struct queue_settlement s = {
        .entry_id = m->entries->id, .number = m->number, .report = report};
    assert_true(fixture_settle(&f, &s).ok);
    expect_counts(&f, 1, 1, 0, 0);
    assert_true(report->entries->id != 0);
    fixture_claim(&f, 10, LATER, &c);
    assert_int_equal(c.count, 0); /* born claimed */
    queue_release(f.daemon.queue, report->entries->id, 1);
    fixture_claim(&f, 10, LATER, &c);
    assert_int_equal(c.count, 1);
    assert_true(c.messages[0]->number == report->number);
    assert_int_equal(c.messages[0]->sender.len, 0);
    claimed_free(&c);
    queue_message_free(&m);
    queue_message_free(&report);
    fixture_end(&f);
}

/* Reports about members of a list come with the message, or not at all. */
static void test_commit_with_reports(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 10, 2);
    m->report = fixture_message(&f, 20, 1);
    m->report->report = fixture_message(&f, 30, 1);
    m->entries[1].returns = STR("owner@here.test");
    m->report->entries[0].returns = STR("");
    assert_true(fixture_commit(&f, m).ok);
    expect_counts(&f, 3, 4, 0, 0);
    fixture_claim(&f, 10, LATER, &c);
    assert_int_equal(c.count, 0); /* born claimed */
    fixture_close(&f);
    assert_true(fixture_open(&f));
    fixture_claim(&f, 10, LATER, &c);
    assert_int_equal(c.count, 4);
    assert_null(c.messages[0]->entries->returns.ptr);
    assert_true(str_eq(c.messages[1]->entries->returns, STR("owner@here.test")));
    assert_non_null(c.messages[2]->entries->returns.ptr); /* empty: nobody */
    assert_int_equal(c.messages[2]->entries->returns.len, 0);
    claimed_free(&c);
    queue_message_free(&m);
    fixture_end(&f);
}

static void test_hold(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 10, 1);
    assert_true(fixture_commit(&f, m).ok);
    struct queue_settlement s = {.entry_id = m->entries->id,
                                 .number = m->number,
                                 .keep = m->entries->recipients,
                                 .keep_count = 2,
                                 .hold = true,
                                 .last_error = "loop"};
    assert_true(fixture_settle(&f, &s).ok);
    expect_counts(&f, 1, 1, 0, 1);
    queue_release(f.daemon.queue, m->entries->id, 1); /* not claimed: no effect */
    fixture_claim(&f, 10, MUCH_LATER, &c);
    assert_int_equal(c.count, 0);
    assert_int_equal(c.next_due_ms, 0);
    fixture_close(&f);
    assert_true(fixture_open(&f));
    fixture_claim(&f, 10, MUCH_LATER, &c);
    assert_int_equal(c.count, 0);
    expect_counts(&f, 1, 1, 0, 1);
    queue_message_free(&m);
    fixture_end(&f);
}

/* As after a commit that failed and had reached the disk, when its owner tries again. */
static void test_commit_again(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 10, 2);
    assert_true(fixture_commit(&f, m).ok);
    assert_true(fixture_commit(&f, m).ok);
    expect_counts(&f, 1, 2, 0, 0);
    queue_message_free(&m);
    fixture_end(&f);
}

/* --- many at once --- */

enum { PER_WORKER = 50 };

struct crowd {
    struct fixture *f;
    struct worker *w;
    unsigned answers, good;
    bool done;
};

static void on_crowd_commit(struct worker *w, struct queue_message *m,
                            const struct queue_result *r, void *arg)
{
    struct crowd *c = arg;
    check(w == c->w);
    c->answers++;
    c->good += r->ok;
    c->done = c->answers == PER_WORKER;
    queue_message_free(&m);
}

static void crowd_run(void *arg)
{
    struct crowd *c = arg;
    for (unsigned i = 0; i < PER_WORKER; i++) {
        struct queue_message *m = queue_message_new(c->f->daemon.queue, 1000000);
        m->body = body_from_memory("x\r\n", 3);
        m->entries = arena_new_of(m->arena, struct queue_entry);
        m->entry_count = 1;
        m->entries->channel = STR("tcp_local");
        m->entries->recipients = arena_new_of(m->arena, struct queue_recipient);
        m->entries->recipients[0].address = STR("ann@example.test");
        m->entries->recipient_count = 1;
        queue_commit(c->f->daemon.queue, c->w, m, on_crowd_commit, c);
    }
    fixture_wait(c->w, &c->done);
}

static void test_crowd(void **state)
{
    (void)state;
    struct fixture f;
    struct crowd crowd[FIXTURE_WORKERS];
    uv_thread_t threads[FIXTURE_WORKERS];
    fixture_start(&f);
    for (unsigned i = 0; i < FIXTURE_WORKERS; i++) {
        crowd[i] = (struct crowd){.f = &f, .w = &f.workers[i]};
        assert_int_equal(uv_thread_create(&threads[i], crowd_run, &crowd[i]), 0);
    }
    for (unsigned i = 0; i < FIXTURE_WORKERS; i++) {
        uv_thread_join(&threads[i]);
        assert_int_equal(crowd[i].answers, PER_WORKER);
        assert_int_equal(crowd[i].good, PER_WORKER);
    }
    expect_counts(&f, FIXTURE_WORKERS * PER_WORKER, FIXTURE_WORKERS * PER_WORKER, 0, 0);
    fixture_end(&f);
}

/* What was asked for before the close is done and answered. */
static void test_close_with_requests(void **state)
{
    (void)state;
    struct fixture f;
    struct crowd c = {.done = false};
    fixture_start(&f);
    c.f = &f;
    c.w = f.w;
    for (unsigned i = 0; i < PER_WORKER; i++) {
        queue_commit(f.daemon.queue, f.w, fixture_message(&f, 10, 1), on_crowd_commit,
                     &c);
    }
    queue_close(&f.daemon.queue);
    assert_int_equal(c.answers, 0); /* never inside the call */
    fixture_wait(f.w, &c.done);
    assert_int_equal(c.good, PER_WORKER);
    assert_true(fixture_open(&f));
    expect_counts(&f, PER_WORKER, PER_WORKER, 0, 0);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_reopen),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_claim_order),
        cmocka_unit_test(test_claim_shares_body),
        cmocka_unit_test(test_settle_partly),
        cmocka_unit_test(test_settle_all),
        cmocka_unit_test(test_settle_with_report),
        cmocka_unit_test(test_commit_with_reports),
        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_commit_again),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_close_with_requests),
    };
    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
