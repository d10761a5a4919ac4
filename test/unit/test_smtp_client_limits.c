/* smtp_client: what no dialogue shows: time limits, windows of recipients, a body in
 * pieces, connections that stand idle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "channels/smtp_client.h"

/* Feeds a reply and tells how long the next may take. */
static unsigned timeout_after(struct smtp_client *m, const char *reply)
{
    smtp_client_feed(m, reply, strlen(reply));
    buf_clear(smtp_client_out(m));
    return smtp_client_timeout_ms(m);
}

static void each_reply_has_its_time(void **state)
{
    (void)state;
    for (int configured = 0; configured < 2; configured++) {
        struct smtp_client_recipient to[] = {{.address = STR("b@b.example")},
                                             {.address = STR("c@b.example")}};
        struct smtp_client_message message = {.sender = STR("a@a.example"),
                                              .recipients = to,
                                              .recipient_count = 2,
                                              .size_bytes = 10240};
        struct smtp_client_options o = {.helo_name = STR("c.example"),
                                        .tls = TLS_LEVEL_NO};
        if (configured) {
            o.times = (struct smtp_client_times){.reply = 1,
                                                 .mail = 2,
                                                 .rcpt = 3,
                                                 .sending = 4,
                                                 .dot = 5,
                                                 .dot_per_address = 100,
                                                 .dot_per_block = 1000,
                                                 .dot_per_address_block = 10000,
                                                 .block_bytes = 1024};
        }
        struct smtp_client *m = smtp_client_new(&o, &message);
        assert_int_equal(smtp_client_timeout_ms(m), configured ? 1 : 300000);
        assert_int_equal(timeout_after(m, "220 x\r\n"), configured ? 1 : 300000);
        assert_int_equal(timeout_after(m, "250 x\r\n"), configured ? 2 : 300000);
        assert_int_equal(timeout_after(m, "250 x\r\n"), configured ? 3 : 300000);
        assert_int_equal(timeout_after(m, "250 x\r\n"), configured ? 3 : 300000);
        assert_int_equal(timeout_after(m, "250 x\r\n"), configured ? 1 : 120000);
        assert_int_equal(timeout_after(m, "354 x\r\n"), configured ? 4 : 180000);
        smtp_client_body(m, "x\r\n", 3, true);
        smtp_client_feed(m, "", 0);
        assert_int_equal(smtp_client_timeout_ms(m),
                         configured ? 5 + 2 * 100 + 10 * 1000 + 2 * 10 * 10000 : 600000);
        smtp_client_lost(m, "enough");
        smtp_client_free(&m);
    }
}

static void many_recipients_go_in_windows(void **state)
{
    (void)state;
    enum { COUNT = 250 };
    static struct smtp_client_recipient to[COUNT];
    for (int i = 0; i < COUNT; i++) {
        to[i].address = STR("b@b.example");
    }
    struct smtp_client_message message = {.sender = STR("a@a.example"),
                                          .recipients = to,
                                          .recipient_count = COUNT,
                                          .size_bytes = 10};
    struct smtp_client_options o = {.helo_name = STR("c.example"), .tls = TLS_LEVEL_NO};
    struct smtp_client *m = smtp_client_new(&o, &message);
    const char *open = "220 x\r\n250-x\r\n250 PIPELINING\r\n";
    smtp_client_feed(m, open, strlen(open));
    smtp_client_feed(m, "250 ok\r\n", 8);
    unsigned sent = 0;
    for (int i = 0; i < COUNT; i++) {
        str rest = buf_slice(smtp_client_out(m)), line;
        while (str_split(&rest, '\n', &line)) {
            sent += str_starts(line, STR("RCPT"));
        }
        buf_clear(smtp_client_out(m));
        assert_int_equal(sent, i < 100 ? 100 : i < 200 ? 200 : 250);
        assert_int_equal(smtp_client_ask(m), CLIENT_ASK_NONE);
        smtp_client_feed(m, "250 ok\r\n", 8);
    }
    smtp_client_feed(m, "354 go\r\n", 8);
    assert_int_equal(smtp_client_ask(m), CLIENT_ASK_BODY);
    smtp_client_body(m, "x", 1, true);
    assert_true(smtp_client_after_dot(m));
    smtp_client_feed(m, "250 2.0.0 ok\r\n", 14);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(to[i].outcome.class, OUTCOME_DELIVERED);
    }
    smtp_client_free(&m);
}

/* Many recipients, MAIL refused: nothing more is sent. */
static void refused_mail_stops_the_windows(void **state)
{
    (void)state;
    enum { COUNT = 150 };
    static struct smtp_client_recipient to[COUNT];
    for (int i = 0; i < COUNT; i++) {
        to[i].address = STR("b@b.example");
    }
    struct smtp_client_message message = {.sender = STR("a@a.example"),
                                          .recipients = to,
                                          .recipient_count = COUNT,
                                          .size_bytes = 10};
    struct smtp_client_options o = {.helo_name = STR("c.example"), .tls = TLS_LEVEL_NO};
    struct smtp_client *m = smtp_client_new(&o, &message);
    const char *open = "220 x\r\n250-x\r\n250 PIPELINING\r\n550 5.7.1 no\r\n";
    smtp_client_feed(m, open, strlen(open));
    buf_clear(smtp_client_out(m));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(smtp_client_ask(m), CLIENT_ASK_NONE);
        smtp_client_feed(m, "503 no\r\n", 8);
    }
    assert_int_equal(smtp_client_ask(m), CLIENT_ASK_SETTLED);
    assert_int_equal(smtp_client_out(m)->len, 0);
    assert_int_equal(to[COUNT - 1].outcome.class, OUTCOME_FAILED);
    assert_int_equal(to[COUNT - 1].outcome.code, 550);
    smtp_client_free(&m);
}

static void body_is_encoded_across_parts(void **state)
{
    (void)state;
    static const char body[] = ".a\r\n..b\r\nc.\r\n\r\n.";
    for (size_t piece = 1; piece < sizeof body; piece++) {
        struct smtp_client_recipient to = {.address = STR("b@b")};
        struct smtp_client_message message = {.sender = STR(""),
                                              .recipients = &to,
                                              .recipient_count = 1,
                                              .size_bytes = sizeof body - 1};
        struct smtp_client_options o = {
            .helo_name = STR("c.example"), .tls = TLS_LEVEL_MUST, .implicit_tls = true};
        struct smtp_client *m = smtp_client_new(&o, &message);
        const char *open =
            "220 x\r\n250-x\r\n250 PIPELINING\r\n250 a\r\n250 b\r\n354 c\r\n";
        assert_int_equal(smtp_client_feed(m, open, strlen(open)), STEP_WAIT);
        buf_clear(smtp_client_out(m));
        for (size_t at = 0; at < sizeof body - 1; at += piece) {
            str part = str_sub(str_n(body, sizeof body - 1), at, piece);
            smtp_client_body(m, part.ptr, part.len, at + piece >= sizeof body - 1);
        }
        assert_true(str_eq(buf_slice(smtp_client_out(m)),
                           STR("..a\r\n...b\r\nc.\r\n\r\n..\r\n.\r\n")));
        assert_int_equal(smtp_client_feed(m, NULL, 0), STEP_MORE);
        assert_int_equal(smtp_client_timeout_ms(m), 600000);
        assert_non_null(strstr(smtp_client_state_text(m), "dot"));
        smtp_client_free(&m);
        assert_null(m);
    }
}

static void peer_leaving_while_idle(void **state)
{
    (void)state;
    struct smtp_client_recipient to = {.address = STR("b@b")};
    struct smtp_client_message message = {
        .sender = STR(""), .recipients = &to, .recipient_count = 1};
    struct smtp_client_options o = {.helo_name = STR("c.example"), .tls = TLS_LEVEL_NO};
    struct smtp_client *m = smtp_client_new(&o, &message);
    const char *open = "220 x\r\n250 x\r\n550 5.7.1 no\r\n";
    assert_int_equal(smtp_client_feed(m, open, strlen(open)), STEP_WAIT);
    assert_int_equal(smtp_client_ask(m), CLIENT_ASK_SETTLED);
    assert_int_equal(smtp_client_feed(m, "421 idle\r\n", 10), STEP_CLOSE);
    assert_int_equal(to.outcome.class, OUTCOME_FAILED);
    assert_false(smtp_client_try_next_host(m));
    smtp_client_quit(m);
    smtp_client_next(m, &message);
    assert_int_equal(smtp_client_feed(m, NULL, 0), STEP_CLOSE);
    assert_int_equal(to.outcome.class, OUTCOME_DEFERRED);
    smtp_client_free(&m);
}

/* May a session wait for another message, and how many does the server take? */
static void sessions_that_may_rest(void **state)
{
    static const struct {
        const char *said;
        bool settled, rests;
        uint64_t limit;
    } cases[] = {
        {"220 x\r\n250 x\r\n250 ok\r\n550 5.1.1 no\r\n", true, true, 0},
        {"220 x\r\n250 x\r\n250 ok\r\n550 5.1.1 no\r\n421 bye\r\n", true, false, 0},
        {"220 x\r\n250 x\r\n451 4.7.1 later\r\n", true, false, 0},
        {"220 x\r\n250 x\r\n250 ok\r\n", false, false, 0},
        {"220 x\r\n250-x\r\n250 limits rcptmax=5 MailMax=3\r\n250 ok\r\n550 no\r\n", true,
         true, 3},
        {"220 x\r\n250-x\r\n250 LIMITS MAILMAX=x MAILMAX=99999999999 RCPTMAX=1\r\n250 "
         "ok\r\n550 no\r\n",
         true, true, 0},
    };
    (void)state;
    struct smtp_client_options o = {.helo_name = STR("c.example"), .tls = TLS_LEVEL_NO};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct smtp_client_recipient to = {.address = STR("b@b")};
        struct smtp_client_message message = {
            .sender = STR("a@a"), .recipients = &to, .recipient_count = 1};
        struct smtp_client *m = smtp_client_new(&o, &message);
        smtp_client_feed(m, cases[i].said, strlen(cases[i].said));
        assert_int_equal(smtp_client_ask(m) == CLIENT_ASK_SETTLED, cases[i].settled);
        assert_int_equal(smtp_client_may_rest(m), cases[i].rests);
        assert_int_equal(smtp_client_mail_limit(m), cases[i].limit);
        smtp_client_free(&m);
    }
}

/* A timeout restarts with whole replies, not with the octets of one. */
static void replies_are_counted_whole(void **state)
{
    (void)state;
    static const char dripped[] = "220-a\r\n220 b\r\n";
    struct smtp_client_options options = {.helo_name = STR("c.example")};
    struct smtp_client_recipient to = {.address = STR("b@b")};
    struct smtp_client_message message = {
        .sender = STR("ann@a.example"), .recipients = &to, .recipient_count = 1};
    struct smtp_client *m = smtp_client_new(&options, &message);
    for (size_t i = 0; i < sizeof dripped - 1; i++) {
        assert_int_equal(smtp_client_replies(m), 0);
        assert_int_equal(smtp_client_out(m)->len, 0);
        smtp_client_feed(m, dripped + i, 1);
    }
    assert_int_equal(smtp_client_replies(m), 1);
    smtp_client_feed(m, "250 c\r\n2", 8);
    assert_int_equal(smtp_client_replies(m), 2);
    smtp_client_free(&m);
}

static void outcomes(void **state)
{
    (void)state;
    struct outcome o;
    outcome_init(&o);
    assert_int_equal(o.class, OUTCOME_DEFERRED);
    assert_string_equal(o.text, "not attempted");
    assert_int_equal(o.enhanced[0], 4);
    snprintf(o.host, sizeof o.host, "mx.example");
    outcome_set(&o, OUTCOME_FAILED, 550, 5, 1, 1, "a\r\nb\x7f\xe4 %d %s", 7, o.text);
    assert_string_equal(o.text, "a??b?? 7 not attempted");
    assert_string_equal(o.host, "mx.example");
    assert_int_equal(o.code, 550);
    char text[1000];
    memset(text, 'x', sizeof text);
    outcome_set(&o, OUTCOME_DELIVERED, 250, 2, 0, 0, "%.*s", 1000, text);
    assert_int_equal(strlen(o.text), OUTCOME_TEXT_MAX - 1);
    assert_string_equal(outcome_class_name(OUTCOME_DELIVERED), "delivered");
    assert_string_equal(outcome_class_name(OUTCOME_DEFERRED), "deferred");
    assert_string_equal(outcome_class_name(OUTCOME_FAILED), "failed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reply_has_its_time),
        cmocka_unit_test(many_recipients_go_in_windows),
        cmocka_unit_test(refused_mail_stops_the_windows),
        cmocka_unit_test(body_is_encoded_across_parts),
        cmocka_unit_test(peer_leaving_while_idle),
        cmocka_unit_test(sessions_that_may_rest),
        cmocka_unit_test(replies_are_counted_whole),
        cmocka_unit_test(outcomes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
