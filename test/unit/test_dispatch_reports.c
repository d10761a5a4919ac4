/* dispatch: who is told of failures, delays and successes, and what becomes of messages
 * of which nobody can be told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test/unit/dispatch_fixture.h"

/* What NOTIFY asks for, and nothing else. */
static void test_success(void **state)
{
    struct bench *b = *state;
    send_text("you@demo.test",
              "tcp_local far.test ok@far.test|SUCCESS|rfc822;Old+2BOk@far.test "
              "hand@far.test|SUCCESS,FAILURE| pass@far.test|SUCCESS| plain@far.test "
              "okay@far.test|FAILURE| okey@far.test|NEVER|",
              TEXT);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(0, 0));
    assert_seen(1, "l", "", "you@demo.test");
    assert_string_equal(b->seen[1].sender, "");
    assert_non_null(strstr(b->text, "\r\nOriginal-Envelope-Id: QQ+1\r\n"));
    assert_non_null(strstr(b->text, "\r\nOriginal-Recipient: rfc822; Old+Ok@far.test\r\n"
                                    "Final-Recipient: rfc822; ok@far.test\r\n"
                                    "Action: delivered\r\nStatus: 2.0.0\r\n"));
    assert_non_null(strstr(b->text, "\r\nFinal-Recipient: rfc822; hand@far.test\r\n"
                                    "Action: relayed\r\nStatus: 2.0.0\r\n"));
    assert_null(strstr(b->text, "pass@"));
    assert_null(strstr(b->text, "plain@"));
    assert_null(strstr(b->text, "okay@"));
    assert_null(strstr(b->text, "okey@"));
    assert_logged("what=success");
}

/* Who did not ask to know of a failure is not told, and nothing is held for it. */
static void test_notify_never(void **state)
{
    struct bench *b = *state;
    send_text("you@demo.test",
              "tcp_local far.test fail@far.test|NEVER| failure@far.test|SUCCESS,DELAY|",
              TEXT);
    RUN_UNTIL(b->seen_count == 1);
    RUN_UNTIL(queue_holds(0, 0));
    send_text("", "tcp_local far.test fail@far.test|NEVER| ok@far.test|SUCCESS|", TEXT);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(0, 0));
    assert_int_equal(atomic_load(&b->worker.counters.bounces), 0);
}

/* RET=FULL: all of it, but for what is too large. */
static void test_return(void **state)
{
    struct bench *b = *state;
    b->ret = QUEUE_RET_FULL;
    send_text("you@demo.test", "tcp_local far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(0, 0));
    assert_non_null(strstr(b->text, "\r\nContent-Type: message/rfc822\r\n"));
    assert_non_null(strstr(b->text, "\r\n\r\nSubject: hello\r\n\r\nbody\r\n\r\n--"));
    char *large = malloc(300 << 10);
    memset(large, 'x', 300 << 10);
    memcpy(large, TEXT, sizeof TEXT - 1);
    send_body("you@demo.test", "tcp_local far.test fail@far.test",
              body_from_memory(large, 300 << 10));
    free(large);
    RUN_UNTIL(b->seen_count == 4);
    assert_null(strstr(b->text, "message/rfc822\r\n"));
    assert_non_null(strstr(b->text, "text/rfc822-headers\r\n"));
    /* as the site says */
    struct snapshot *site = (struct snapshot *)b->worker.current->snapshot;
    site->options.block_size = 1;
    site->options.content_return_block_limit = (unsigned)strlen(TEXT) - 1;
    site->options.return_address = STR("mailer@demo.test");
    send_text("you@demo.test", "tcp_local far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 6);
    assert_non_null(strstr(b->text, "text/rfc822-headers\r\n"));
    assert_non_null(
        strstr(b->text, "\r\nFrom: Mail Delivery System <mailer@demo.test>\r\n"));
    site->options.content_return_block_limit++;
    send_text("you@demo.test", "tcp_local far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 8);
    assert_non_null(strstr(b->text, "message/rfc822\r\n"));
}

/* Both clocks: told after 3, 6 and 9 days, once each, also when the daemon is started
 * again in between; those who want no delay are not; returned after 12. */
static void test_warnings(void **state)
{
    struct bench *b = *state;
    send_text("you@demo.test",
              "tcp_local far.test defer@far.test defers@far.test|FAILURE| "
              "deferring@far.test|DELAY,FAILURE|rfc822;Old@far.test",
              TEXT);
    RUN_UNTIL(b->seen_count == 1);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(3 * DAY - MINUTE);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(MINUTE); /* the notice is due before the next attempt would be */
    RUN_UNTIL(b->seen_count == 4);
    RUN_UNTIL(queue_holds(1, 0));
    assert_seen(3, "l", "", "you@demo.test");
    assert_non_null(strstr(b->text, "\r\nSubject: Your message is delayed\r\n"));
    assert_non_null(strstr(b->text, "\r\nFinal-Recipient: rfc822; defer@far.test\r\n"
                                    "Action: delayed\r\nStatus: 4.2.0\r\n"));
    assert_non_null(strstr(b->text, "\r\nOriginal-Recipient: rfc822; Old@far.test\r\n"));
    assert_non_null(
        strstr(b->text, "\r\nWill-Retry-Until: Thu, 3 Dec 2026 00:22:10 +0000\r\n"));
    assert_null(strstr(b->text, "defers@"));
    assert_logged("what=delayed");
    restart();
    pass_time(DAY);
    RUN_UNTIL(b->seen_count == 5);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(2 * DAY);
    RUN_UNTIL(b->seen_count == 7);
    RUN_UNTIL(queue_holds(1, 0));
    assert_seen(6, "l", "", "you@demo.test");
    pass_time(5 * DAY); /* the third is late: one comes all the same */
    RUN_UNTIL(b->seen_count == 9);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(DAY);
    RUN_UNTIL(b->seen_count == 11);
    RUN_UNTIL(queue_holds(0, 0));
    assert_non_null(strstr(b->text, "\r\nStatus: 4.4.7\r\n"));
    assert_int_equal(atomic_load(&b->worker.counters.bounces), 4);
}

/* Copies of warnings, and who has no sender gets no warning. */
static void test_warnings_copied(void **state)
{
    struct bench *b = *state;
    configure("nosendpost");
    send_text("you@demo.test", "tcp_local far.test defer@far.test", TEXT);
    send_text("", "tcp_local far.test defer@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(2, 0));
    pass_time(3 * DAY);
    RUN_UNTIL(b->seen_count == 6); /* two attempts, a warning and its copy */
    RUN_UNTIL(queue_holds(2, 0));
    assert_logged("copy_for=you@demo.test");
    assert_int_equal(atomic_load(&b->worker.counters.bounces), 2);
}

/* The copies for the postmaster, as the words say: how many deliveries a failure with a
 * sender makes, one without, and one whose sender cannot be reached; and what is held. */
static void test_postmaster(void **state)
{
    static const struct {
        const char *words;
        unsigned seen, seen_null, seen_lost, held;
    } cases[] = {
        {"", 3, 1, 1, 2},           {"copysendpost", 3, 1, 1, 2},
        {"nosendpost", 2, 1, 1, 2}, {"errsendpost", 2, 2, 2, 0},
        {"sendpost", 3, 2, 2, 0},
    };
    struct bench *b = *state;
    int64_t held = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        configure(cases[i].words);
        unsigned before = b->seen_count;
        send_text("you@demo.test", "tcp_local far.test fail@far.test", TEXT);
        RUN_UNTIL(b->seen_count == before + cases[i].seen);
        before = b->seen_count;
        send_text("", "tcp_local far.test fail@far.test", TEXT);
        send_text("you@nowhere.invalid", "tcp_local far.test fail@far.test", TEXT);
        held += cases[i].held;
        unsigned seen = before + cases[i].seen_null + cases[i].seen_lost;
        seen += cases[i].held == 2 && cases[i].words[0] != 'n'; /* a copy, and held */
        RUN_UNTIL(b->seen_count == seen);
        RUN_UNTIL(queue_holds(held, held));
        assert_int_equal(b->seen_count, seen);
    }
    assert_seen(b->seen_count - 1, "l", "", "postmaster@l-daemon");
    assert_non_null(
        strstr(b->text, "The sender of the message is <you@nowhere.invalid>"));
    assert_non_null(strstr(b->text, "\r\nTo: <postmaster@l-daemon>\r\n"));
    assert_non_null(strstr(b->text, "\r\nContent-Type: message/rfc822\r\n"));
    configure("sendpost postheadonly");
    unsigned before = b->seen_count;
    send_text("", "tcp_local far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == before + 2);
    assert_non_null(strstr(b->text, "\r\nContent-Type: text/rfc822-headers\r\n"));
}

/* What cannot be delivered to the postmaster is not told to the postmaster. */
static void test_postmaster_round(void **state)
{
    struct bench *b = *state;
    configure("sendpost");
    send_text("", "tcp_local far.test fail@far.test|| postmaster@l-daemon||", TEXT);
    RUN_UNTIL(queue_holds(1, 1));
    assert_logged("it is for the postmaster");
    assert_int_equal(b->seen_count, 1);
}

static void test_null_sender(void **state)
{
    struct bench *b = *state;
    send_text("", "tcp_local far.test ok@far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 1);
    RUN_UNTIL(queue_holds(1, 1));
    assert_logged("hold id=");
    assert_logged("null sender");
    pass_time(10 * DAY);
    for (unsigned i = 0; i < 100; i++) {
        turn();
    }
    assert_int_equal(b->seen_count, 1);
    assert_true(queue_holds(1, 1));
    assert_int_equal(atomic_load(&b->worker.counters.bounces), 0);
}

/* While one recipient may still get it, nothing of it is held. */
static void test_null_sender_deferred(void **state)
{
    struct bench *b = *state;
    send_text("", "tcp_local far.test defer@far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 1);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(2 * MINUTE);
    RUN_UNTIL(b->seen_count == 2);
    assert_seen(1, "tcp_local", "far.test", "defer@far.test fail@far.test");
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(12 * DAY);
    RUN_UNTIL(queue_holds(1, 1));
    assert_int_equal(b->seen_count, 3);
}

static void test_no_way_back(void **state)
{
    struct bench *b = *state;
    send_text("you@nowhere.invalid", "tcp_local far.test fail@far.test", TEXT);
    RUN_UNTIL(queue_holds(1, 1));
    assert_logged("no route to report to");
    assert_int_equal(b->seen_count, 1);
}

/* A bounce that bounces is held. */
static void test_double_bounce(void **state)
{
    struct bench *b = *state;
    send_text("fail@demo.test", "tcp_local far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(1, 1));
    assert_seen(1, "l", "", "fail@demo.test");
}

static void on_body(struct body *body, int error, void *arg)
{
    (void)body;
    assert_int_equal(error, 0);
    *(bool *)arg = true;
}

/* A body in a file whose header alone is larger than what is returned. */
static void test_large_body(void **state)
{
    struct bench *b = *state;
    bool done = false;
    int error;
    struct worker *w = &b->worker;
    struct body *body = body_new(4711, queue_body_directory(b->daemon.queue));
    char line[120];
    for (unsigned i = 0; i < 2000; i++) {
        int n = snprintf(line, sizeof line, "X-Line: %05u %70s\r\n", i, "x");
        done = false;
        if (!body_append(w, body, str_n(line, (size_t)n), on_body, &done, &error)) {
            RUN_UNTIL(done);
        }
    }
    done = false;
    if (!body_seal(w, body, on_body, &done, &error)) {
        RUN_UNTIL(done);
    }
    assert_non_null(body_file(body));
    send_body("you@demo.test", "tcp_local far.test fail@far.test", body);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(0, 0));
    assert_non_null(strstr(b->text, "\r\nX-Line: 00700 "));
    assert_null(strstr(b->text, "\r\nX-Line: 01000 "));
    assert_non_null(strstr(b->text, "it is very long"));
}

/* Too many reports at once: outcomes are stored all the same, or what was delivered would
 * be delivered again when the daemon ends. The reports wait in the queue. */
static void test_stop_with_many_reports(void **state)
{
    struct bench *b = *state;
    struct dispatch *d = b->worker.dispatch;
    while (report_rate_next(&b->worker.report_rate, worker_now_ms(&b->worker)) == 0) {
        continue;
    }
    send_text("you@demo.test", "tcp_local far.test ok@far.test fail@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 1 && d->settling == 0);
    assert_null(d->unsettled);
    restart();
    pass_time(1000);
    RUN_UNTIL(b->seen_count == 2);
    assert_seen(1, "l", "", "you@demo.test");
    RUN_UNTIL(queue_holds(0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_success),
        TEST(test_notify_never),
        TEST(test_return),
        TEST(test_postmaster),
        TEST(test_postmaster_round),
        TEST(test_warnings),
        TEST(test_warnings_copied),
        TEST(test_null_sender),
        TEST(test_null_sender_deferred),
        TEST(test_no_way_back),
        TEST(test_double_bounce),
        TEST(test_large_body),
        TEST(test_stop_with_many_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
