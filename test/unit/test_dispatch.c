/* dispatch: deliveries, from the queue to their settlement; memory, limits, and the end
 * of the daemon. */
#include <setjmp.h>
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "test/unit/dispatch_fixture.h"

static const char CONFIG_DAEMON[] = "far.test $U%far.test@tcp-daemon\n"
                                    "\n"
                                    "l\n"
                                    "l-daemon\n"
                                    "\n"
                                    "tcp_local daemon=hub.test\n"
                                    "tcp-daemon\n";

static void test_delivered(void **state)
{
    struct bench *b = *state;
    send_text("you@far.test",
              "tcp_local far.test ok1@far.test ok2@far.test\nl - ok@demo.test", TEXT);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(0, 0));
    assert_seen(0, "tcp_local", "far.test", "ok1@far.test ok2@far.test");
    assert_seen(1, "l", "", "ok@demo.test");
    assert_string_equal(b->text, TEXT);
    assert_int_equal(atomic_load(&b->worker.counters.delivered), 3);
    assert_int_equal(atomic_load(&b->worker.counters.deliveries_open), 0);
}

/* One recipient of each kind: the failed one is reported, the deferred one comes again.
 */
static void test_mixed(void **state)
{
    struct bench *b = *state;
    send_text("you@demo.test",
              "tcp_local far.test ok@far.test fail@far.test defer@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(1, 0));
    assert_seen(1, "l", "", "you@demo.test");
    assert_string_equal(b->seen[1].sender, "");
    assert_non_null(strstr(b->text, "Final-Recipient: rfc822; fail@far.test\r\n"));
    assert_non_null(strstr(b->text, "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
    assert_non_null(strstr(b->text, "Remote-MTA: dns; mx.far.test\r\n"));
    assert_non_null(strstr(b->text, "\r\nSubject: hello\r\n\r\n--"));
    assert_null(strstr(b->text, "defer@"));
    assert_null(strstr(b->text, "ok@"));
    assert_logged("deliver id=");
    assert_logged("outcome=failed");
    assert_logged("to=defer@far.test");
    assert_logged("bounce id=");
    assert_int_equal(atomic_load(&b->worker.counters.bounces), 1);

    pass_time(MINUTE / 2);
    for (unsigned i = 0; i < 100; i++) {
        turn();
    }
    assert_int_equal(b->seen_count, 2); /* too early */
    pass_time(MINUTE);
    RUN_UNTIL(b->seen_count == 3);
    assert_seen(2, "tcp_local", "far.test", "defer@far.test");
    assert_int_equal(b->seen[2].attempts, 1);
    pass_time(2 * MINUTE);
    RUN_UNTIL(queue_holds(1, 0));
    assert_int_equal(b->seen_count, 3); /* the second time takes five minutes */
    pass_time(4 * MINUTE);
    RUN_UNTIL(b->seen_count == 4);
    assert_int_equal(b->seen[3].attempts, 2);
}

static void test_given_up(void **state)
{
    struct bench *b = *state;
    send_text("you@demo.test", "tcp_local far.test defer@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 1);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(12 * DAY);
    RUN_UNTIL(b->seen_count == 3);
    RUN_UNTIL(queue_holds(0, 0));
    assert_non_null(strstr(b->text, "\r\nStatus: 4.4.7\r\n"));
    assert_non_null(strstr(b->text, "not delivered within 12 days; the last reply was: "
                                    "450 come back"));
}

/* The store takes nothing for a while: the outcome is kept and stored later. */
static void test_store_fails(void **state)
{
    struct bench *b = *state;
    struct rlimit old, none;
    send_text("you@demo.test", "tcp_local far.test wait-fail@far.test", TEXT);
    RUN_UNTIL(b->waiting_count == 1);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    none = old;
    none.rlim_cur = 8192; /* enough for the log, not for the store */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    b->running--;
    struct job *job = b->waiting[0];
    outcome_set(&job->recipients[0].outcome, OUTCOME_FAILED, 550, 5, 1, 1, "no");
    job_done(job);
    for (unsigned i = 0; i < 1000; i++) {
        turn();
    }
    assert_int_equal(b->seen_count, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_logged("an outcome cannot be stored");
    RUN_UNTIL(b->seen_count == 2); /* the report */
    RUN_UNTIL(queue_holds(0, 0));
    assert_int_equal(atomic_load(&b->worker.counters.failed), 1);
}

static void test_channel_gone(void **state)
{
    struct bench *b = *state;
    send_text("you@demo.test", "tcp_old far.test ok@far.test", TEXT);
    RUN_UNTIL(queue_holds(1, 0));
    RUN_UNTIL(atomic_load(&b->worker.counters.deferred) == 1);
    assert_int_equal(b->seen_count, 0);
    assert_logged("no channel 'tcp_old' any more");
    assert_true(queue_holds(1, 0));
}

/* What was queued for one host goes where the new configuration says. */
static void test_new_configuration(void **state)
{
    struct bench *b = *state;
    send_text("you@demo.test", "tcp_local far.test defer@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 1);
    RUN_UNTIL(queue_holds(1, 0));
    runtime_unref(&b->worker.current);
    b->worker.current = make_runtime(CONFIG_DAEMON);
    pass_time(2 * MINUTE);
    RUN_UNTIL(b->seen_count == 2);
    assert_seen(1, "tcp_local", "hub.test", "defer@far.test");
}

static void test_reuse(void **state)
{
    struct bench *b = *state;
    b->reuse = true;
    for (unsigned i = 0; i < 20; i++) {
        send_text("you@demo.test", "tcp_local far.test wait@far.test", TEXT);
    }
    RUN_UNTIL(b->waiting_count == 20);
    for (unsigned i = 0; i < 5; i++) {
        send_text("you@demo.test", "tcp_local far.test ok@far.test", TEXT);
    }
    send_text("you@demo.test", "tcp_local other.test ok@other.test", TEXT);
    RUN_UNTIL(b->seen_count == 21); /* far.test is at its limit, the other is not */
    end_job(b->waiting[0]);
    assert_int_equal(b->reused, 5);
    assert_int_equal(b->seen_count, 26);
    for (unsigned i = 1; i < 20; i++) {
        end_job(b->waiting[i]);
    }
    RUN_UNTIL(queue_holds(0, 0));
    assert_int_equal(atomic_load(&b->worker.counters.delivered), 26);
}

/* Nothing has looked at it yet. */
static struct channel *tcp_local(struct bench *b)
{
    const struct snapshot *s = b->worker.current->snapshot;
    return (struct channel *)snapshot_channel(s, STR("tcp_local"));
}

/* What fails without being tried does not give away the connection's place in the
 * channel. */
static void test_reuse_and_maxjobs(void **state)
{
    struct bench *b = *state;
    tcp_local(b)->opts.maxjobs = 1;
    send_text("you@demo.test", "tcp_local far.test wait@far.test", TEXT);
    RUN_UNTIL(b->waiting_count == 1);
    b->too_large = "1 octet";
    send_text("you@demo.test", "tcp_local far.test ok@far.test", TEXT);
    b->too_large = NULL;
    send_text("you@demo.test", "tcp_local far.test ok@far.test", TEXT);
    struct job *next = job_next(b->waiting[0]);
    assert_non_null(next);
    send_text("you@demo.test", "tcp_local other.test wait@other.test", TEXT);
    end_job(b->waiting[0]);
    RUN_UNTIL(b->seen_count == 2); /* the report about the large one */
    assert_seen(1, "l", "", "you@demo.test");
    for (unsigned i = 0; i < 50; i++) {
        turn();
    }
    assert_int_equal(b->waiting_count, 1);
    b->running++;
    end_job(next);
    RUN_UNTIL(b->waiting_count == 2);
    end_job(b->waiting[1]);
    RUN_UNTIL(queue_holds(0, 0));
}

/* A channel whose kind is not served, as after a change of the configuration. */
static void test_channel_unsupported(void **state)
{
    struct bench *b = *state;
    runtime_unref(&b->worker.current);
    b->worker.current = make_runtime("demo.test $U%demo.test@l-daemon\n\n"
                                     "l\nl-daemon\n\nconversion\nconversion-daemon\n");
    send_text("you@demo.test", "conversion far.test ok@far.test", TEXT);
    RUN_UNTIL(atomic_load(&b->worker.counters.deferred) == 1);
    RUN_UNTIL(queue_holds(1, 0));
    assert_logged("conversion");
}

/* Stopping with deliveries that run and others that wait; then a new start. */
static void test_stop(void **state)
{
    struct bench *b = *state;
    for (unsigned i = 0; i < 25; i++) {
        send_text("you@demo.test", "tcp_local far.test wait@far.test", TEXT);
    }
    RUN_UNTIL(b->waiting_count == 20);
    dispatch_stop(&b->worker, on_idle);
    for (unsigned i = 0; i < 100; i++) {
        turn();
    }
    assert_false(b->idle);
    assert_null(job_next(b->waiting[0]));
    send_text("you@demo.test", "tcp_local far.test ok@far.test", TEXT);
    for (unsigned i = 0; i < 20; i++) {
        end_job(b->waiting[i]);
    }
    RUN_UNTIL(b->idle);
    assert_true(queue_holds(6, 0));
    assert_int_equal(b->seen_count, 20);
    dispatch_free(&b->worker);
    b->waiting_count = 0;
    dispatch_start(&b->worker);
    RUN_UNTIL(b->seen_count == 26);
    RUN_UNTIL(b->waiting_count == 5);
    for (unsigned i = 0; i < 5; i++) {
        end_job(b->waiting[i]);
    }
    RUN_UNTIL(queue_holds(0, 0));
}

/* Far more than fits into memory: given back, claimed again, every one delivered once,
 * and a host with a backlog does not keep out another one. */
static void test_memory(void **state)
{
    struct bench *b = *state;
    struct scheduler_limits small = {20, 200, 40, 40 * BODY_INLINE_MAX};
    struct dispatch *d = b->worker.dispatch;
    RUN_UNTIL(!d->claiming);
    scheduler_free(&d->scheduler);
    d->scheduler = scheduler_new(&small);
    for (unsigned i = 0; i < 100; i++) {
        send_text("you@demo.test", "tcp_local dead.test wait@dead.test", TEXT);
    }
    RUN_UNTIL(b->waiting_count == 20);
    send_text("you@demo.test", "tcp_local far.test ok@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 21);
    assert_seen(20, "tcp_local", "far.test", "ok@far.test");
    for (unsigned i = 0; i < 100; i++) {
        RUN_UNTIL(b->waiting_count > i);
        end_job(b->waiting[i]);
    }
    RUN_UNTIL(queue_holds(0, 0));
    assert_int_equal(b->seen_count, 101);
    assert_true(b->most_running <= 21);
    assert_int_equal(atomic_load(&b->worker.counters.delivered), 101);
}

/* A channel that has reached its limit has mail for very many hosts: what is fresh for
 * others, and what falls due for them, goes out all the same. */
static void test_memory_and_limits(void **state)
{
    struct bench *b = *state;
    struct scheduler_limits small = {20, 200, 300, 300 * BODY_INLINE_MAX};
    static const struct pool one = {.name = {"ONE", 3}, .job_limit = 1};
    struct dispatch *d = b->worker.dispatch;
    RUN_UNTIL(!d->claiming);
    scheduler_free(&d->scheduler);
    d->scheduler = scheduler_new(&small);
    tcp_local(b)->pool = &one;
    send_text("you@demo.test", "l here.test defer@here.test", TEXT);
    RUN_UNTIL(b->seen_count == 1);
    RUN_UNTIL(queue_holds(1, 0));
    for (unsigned i = 0; i < 310; i++) {
        char entry[80];
        snprintf(entry, sizeof entry, "tcp_local h%u.test wait@h%u.test", i, i);
        send_text("you@demo.test", entry, TEXT);
    }
    RUN_UNTIL(b->waiting_count == 1);
    RUN_UNTIL(!d->claiming);
    send_text("you@demo.test", "l here.test ok@here.test", TEXT);
    RUN_UNTIL(b->seen_count == 3);
    assert_seen(2, "l", "here.test", "ok@here.test");
    pass_time(5 * MINUTE);
    RUN_UNTIL(b->seen_count == 4);
    assert_seen(3, "l", "here.test", "defer@here.test");
    assert_int_equal(b->waiting_count, 1);
    end_job(b->waiting[0]); /* the next one has its turn */
    RUN_UNTIL(b->waiting_count == 2);
    dispatch_stop(&b->worker, on_idle);
    end_job(b->waiting[1]);
    RUN_UNTIL(b->idle);
    assert_true(queue_holds(1 + 308, 0));
    dispatch_free(&b->worker);
}

/* The retry times of the daemon's command line are there for tests; the channel's notices
 * hold all the same. */
static void test_retry_times(void **state)
{
    struct bench *b = *state;
    dispatch_set_retry(&b->worker, 1000);
    send_text("you@demo.test", "tcp_local far.test defer@far.test", TEXT);
    RUN_UNTIL(b->seen_count == 1);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(1200);
    RUN_UNTIL(b->seen_count == 2);
    RUN_UNTIL(queue_holds(1, 0));
    dispatch_set_retry(&b->worker, 30 * DAY);
    pass_time(1200);
    RUN_UNTIL(b->seen_count == 3);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(3 * DAY); /* the first notice */
    RUN_UNTIL(b->seen_count == 5);
    RUN_UNTIL(queue_holds(1, 0));
    pass_time(9 * DAY);
    RUN_UNTIL(b->seen_count == 7);
    assert_non_null(strstr(b->text, "not delivered within 12 days"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_delivered),
        TEST(test_mixed),
        TEST(test_given_up),
        TEST(test_store_fails),
        TEST(test_channel_gone),
        TEST(test_new_configuration),
        TEST(test_reuse),
        TEST(test_reuse_and_maxjobs),
        TEST(test_stop),
        TEST(test_channel_unsupported),
        TEST(test_memory),
        TEST(test_retry_times),
        TEST(test_memory_and_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
