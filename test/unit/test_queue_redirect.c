/* Entries that an operator sends elsewhere: to a host, to a channel, and divided where
 * the channel sends to the domains of the recipients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "router/queue_store.h"
#include "test/unit/queue_fixture.h"

static struct queue_step redirect(struct fixture *f, const struct queue_message *m,
                                  const char *channel, const char *host)
{
    const struct queue_order o = {.action = QUEUE_REDIRECT,
                                  .filter = {.number = m->number},
                                  .channel = str_from(channel),
                                  .host = str_from(host),
                                  .now_ms = 5};
    return fixture_order(f, &o, queue_cursor_first(&o.filter));
}

/* Entry 0 waits, 1 is claimed, 2 is held; each has its own domain. */
static void test_to_host(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 10, 3);
    m->entries[0].not_before_ms = 1000;
    m->entries[2].hold = "why not";
    assert_true(fixture_commit(&f, m).ok);
    struct queue_step step = redirect(&f, m, NULL, "relay.test");
    assert_int_equal(step.changed, 3);
    assert_int_equal(step.active, 1);
    redirect(&f, m, "tcp_other", NULL);
    fixture_claim(&f, 10, 5, &c);
    assert_int_equal(c.count, 1);
    const struct queue_entry *e = c.messages[0]->entries;
    assert_true(str_eq(e->channel, STR("tcp_other")));
    assert_true(str_eq(e->host, STR("host0.test")));
    assert_false(e->redirected); /* the host is the channel's matter again */
    claimed_free(&c);
    assert_int_equal(fixture_sql(&f, "SELECT state FROM entries WHERE position = 2"),
                     QUEUE_HELD);
    queue_message_free(&m);
    fixture_end(&f);
}

/* Mail that is delivered here has no next hop, unless it goes to another channel. */
static void test_from_here(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 10, 1);
    m->entries[0].host = STR("");
    assert_true(fixture_commit(&f, m).ok);
    struct queue_step step = redirect(&f, m, NULL, "relay.test");
    assert_int_equal(step.entries, 1);
    assert_int_equal(step.changed, 0);
    assert_int_equal(fixture_sql(&f, "SELECT host = '' FROM entries"), 1);
    assert_int_equal(redirect(&f, m, "tcp_other", NULL).changed, 1);
    assert_int_equal(fixture_sql(&f, "SELECT host = 'host0.test' FROM entries"), 1);
    queue_message_free(&m);
    fixture_end(&f);
}

/* A channel that sends everything to one host, or delivers here. */
static void test_one_next_hop(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct queue_message *m = fixture_message(&f, 10, 2);
    assert_true(fixture_commit(&f, m).ok);
    struct queue_order o = {.action = QUEUE_REDIRECT,
                            .filter = {.number = m->number},
                            .channel = STR("tcp_relay"),
                            .next_hop = STR("hub.test")};
    assert_int_equal(fixture_order(&f, &o, queue_cursor_first(&o.filter)).changed, 2);
    assert_int_equal(fixture_sql(&f,
                                 "SELECT count(*) FROM entries WHERE host = 'hub.test'"
                                 " AND channel = 'tcp_relay'"),
                     2);
    o.channel = STR("l");
    o.next_hop = STR("");
    fixture_order(&f, &o, queue_cursor_first(&o.filter));
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM entries WHERE host = ''"), 2);
    queue_message_free(&m);
    fixture_end(&f);
}

static struct queue_message *several_domains(struct fixture *f, bool held)
{
    static struct queue_recipient to[] = {
        {.address = STR("a@one.test"), .notify = 2, .orcpt = STR("rfc822;a@one.test")},
        {.address = STR("b@two.test"), .notify = 4, .orcpt = STR("rfc822;b@two.test")},
        {.address = STR("c@ONE.test")},
        {.address = STR("@two.test,@x.test:d@three.test")},
        {.address = STR("e@three.test")},
    };
    struct queue_message *m = fixture_message(f, 10, 1);
    fixture_headers(m, 1);
    m->entries->header = m->headers;
    m->entries->host = STR("");
    m->entries->channel = STR("l");
    m->entries->recipients = to;
    m->entries->recipient_count = 5;
    m->entries->hold = held ? "why not" : NULL;
    assert_true(fixture_commit(f, m).ok);
    return m;
}

/* Each domain gets an entry of its own, with its recipients and what they asked for. */
static void test_several_domains(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "0 one.test a@one.test 2 rfc822;a@one.test c@ONE.test 0 -",
        "1 two.test b@two.test 4 rfc822;b@two.test @two.test,@x.test:d@three.test 0 -",
        "2 three.test e@three.test 0 -",
    };
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = several_domains(&f, true);
    struct queue_step step = redirect(&f, m, "tcp_other", NULL);
    assert_int_equal(step.entries, 1);
    assert_int_equal(step.changed, 1);
    fixture_claim(&f, 10, 5, &c);
    assert_int_equal(c.count, 0); /* they are held as before */
    const struct queue_order release = {
        .action = QUEUE_UNHOLD, .filter.number = m->number, .now_ms = 5};
    step = fixture_order(&f, &release, queue_cursor_first(&release.filter));
    assert_int_equal(step.changed, 3);
    fixture_claim(&f, 10, 5, &c);
    assert_int_equal(c.count, 3);
    for (unsigned i = 0; i < c.count; i++) {
        char text[300];
        const struct queue_entry *e = c.messages[i]->entries;
        int n = snprintf(text, sizeof text, "%u %.*s", i, STR_ARG(e->host));
        for (unsigned k = 0; k < e->recipient_count; k++) {
            const struct queue_recipient *to = &e->recipients[k];
            n += snprintf(text + n, sizeof text - (size_t)n, " %.*s %u %.*s",
                          STR_ARG(to->address), to->notify,
                          STR_ARG(to->orcpt.ptr != NULL ? to->orcpt : STR("-")));
        }
        assert_string_equal(text, expected[i]);
        assert_true(str_eq(e->channel, STR("tcp_other")));
        assert_true(fixture_header_good(c.messages[i]));
        const struct queue_settlement done = {.entry_id = e->id,
                                              .number = c.messages[i]->number};
        assert_true(fixture_settle(&f, &done).ok);
        assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM messages"), i < 2);
    }
    claimed_free(&c);
    queue_message_free(&m);
    fixture_end(&f);
}

/* What is being delivered cannot be divided; nothing else becomes of it. */
static void test_several_domains_of_claimed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_start(&f);
    struct queue_message *m = several_domains(&f, false);
    struct queue_step step = redirect(&f, m, "tcp_other", NULL);
    assert_int_equal(step.entries, 1);
    assert_int_equal(step.changed, 0);
    assert_int_equal(fixture_sql(&f, "SELECT channel = 'l' FROM entries"), 1);
    assert_int_equal(redirect(&f, m, "tcp_other", "hub.test").changed, 1);
    assert_int_equal(fixture_sql(&f, "SELECT host = 'hub.test' FROM entries"), 1);
    queue_message_free(&m);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_host),
        cmocka_unit_test(test_from_here),
        cmocka_unit_test(test_one_next_hop),
        cmocka_unit_test(test_several_domains),
        cmocka_unit_test(test_several_domains_of_claimed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
