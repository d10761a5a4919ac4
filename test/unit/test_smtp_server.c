#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "test/smtp/machine_host.h"

#define NAME "mx.example"

static struct smtp_server_policy policy(enum tls_level tls)
{
    return (struct smtp_server_policy){.local_name = STR(NAME),
                                       .tls = tls,
                                       .size_limit_bytes = 1000,
                                       .recipient_limit = 100};
}

/* Feeds input to a new machine and compares all that came back. */
static void expect_policy(const struct smtp_server_policy *p, const char *input,
                          size_t len, size_t piece, const char *replies)
{
    struct machine_host h;
    machine_host_init(&h, p);
    machine_host_feed(&h, input, len, piece);
    str got = buf_slice(&h.replies);
    if (!str_eq(got, str_from(replies))) {
        fail_msg("piece %zu of:\n%.*s\ngot:\n%.*s\nexpected:\n%s", piece, (int)len, input,
                 STR_ARG(got), replies);
    }
    machine_host_free(&h);
}

struct dialogue {
    const char *name;
    enum tls_level tls;
    bool whole_only; /* what the network put together matters */
    str input;
    const char *replies; /* behind the greeting */
};

#define IN(text)                                                                         \
    {                                                                                    \
        text, sizeof(text) - 1                                                           \
    }
#define GREETING "220 " NAME " ESMTP\r\n"
#define EHLO     "EHLO c.example\r\n"
#define EHLO_CLEAR                                                                       \
    "250-" NAME "\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-DSN\r\n250-SIZE 1000\r\n"
#define EHLO_NO      EHLO_CLEAR "250 ENHANCEDSTATUSCODES\r\n"
#define EHLO_MAY     EHLO_CLEAR "250-STARTTLS\r\n250 ENHANCEDSTATUSCODES\r\n"
#define MAIL         "MAIL FROM:<ann@a.example>\r\n"
#define RCPT         "RCPT TO:<bob@b.example>\r\n"
#define SENDER_OK    "250 2.1.0 Sender OK\r\n"
#define RCPT_OK      "250 2.1.5 Recipient OK\r\n"
#define GO           "354 Go on\r\n"
#define QUEUED       "250 2.0.0 Queued\r\n"
#define OK           "250 2.0.0 OK\r\n"
#define TLS_GO       "220 2.0.0 Ready to start TLS\r\n"
#define NEED_TLS     "530 5.7.0 Must issue a STARTTLS command first\r\n"
#define BYE          "221 2.0.0 Closing the connection\r\n"
#define EHLO_FIRST   "503 5.5.1 Send EHLO or HELO first\r\n"
#define IN_TXN       "503 5.5.1 Not inside a transaction\r\n"
#define LINE_END     "500 5.5.2 Only CR LF ends a command\r\n"
#define CRLF_REFUSED "554 5.6.0 Message refused: a CR or LF that is not part of CR LF\r\n"

static const struct dialogue dialogues[] = {
    /* session */
    {"helo", 0, 0, IN("HELO c.example\r\n"), "250 " NAME "\r\n"},
    {"ehlo", 0, 0, IN(EHLO), EHLO_NO},
    {"ehlo lower case", 0, 0, IN("ehlo c.example\r\n"), EHLO_NO},
    {"ehlo without a name", 0, 0, IN("EHLO\r\n"), "501 5.5.4 Argument missing\r\n"},
    {"ehlo with two names", 0, 0, IN("EHLO a b\r\n"),
     "501 5.5.4 Give one name of at most 255 characters\r\n"},
    {"ehlo literal", 0, 0, IN("EHLO [192.0.2.1]\r\n"), EHLO_NO},
    {"noop", 0, 0, IN("NOOP\r\nNOOP ignored\r\n"), OK OK},
    {"noop tabs at the end", 0, 0, IN("NOOP\t \r\n"), OK},
    {"vrfy", 0, 0, IN("VRFY ann\r\n"), "252 2.5.0 Not verified here; RCPT will tell\r\n"},
    {"help", 0, 0, IN("HELP\r\n"),
     "214 2.0.0 Commands: EHLO HELO STARTTLS MAIL RCPT DATA RSET NOOP VRFY HELP "
     "QUIT\r\n"},
    {"quit", 0, 0, IN("QUIT\r\nNOOP\r\n"), BYE},
    {"quit with an argument", 0, 0, IN("QUIT now\r\n"),
     "501 5.5.4 No argument allowed\r\n"},
    {"rset anywhere", 0, 0, IN("RSET\r\n"), OK},
    {"unknown", 0, 0, IN("FOO\r\n\r\n NOOP\r\n"),
     "500 5.5.1 Command not recognised\r\n500 5.5.1 Command not recognised\r\n"
     "500 5.5.1 Command not recognised\r\n"},
    {"known, not taken", 0, 0, IN("EXPN list\r\nBDAT 10 LAST\r\nAUTH PLAIN\r\n"),
     "502 5.5.1 Command not implemented\r\n502 5.5.1 Command not implemented\r\n"
     "502 5.5.1 Command not implemented\r\n"},
    /* bytes */
    {"bare LF", 0, 0, IN("NOOP\nQUIT\r\nNOOP\r\n"), LINE_END OK},
    {"bare CR", 0, 0, IN("NOOP\rQUIT\r\nNOOP\r\n"), LINE_END OK},
    {"NUL", 0, 0, IN("NOOP\0\r\n"), "500 5.5.2 NUL in the command\r\n"},
    {"control", 0, 0, IN("NO\x01OP\r\nNOOP a\tb\r\n"),
     "500 5.5.2 Control character in the command\r\n"
     "500 5.5.2 Control character in the command\r\n"},
    {"8 bit", 0, 0, IN("EHLO \xe4.example\r\n"),
     "500 5.5.2 Only ASCII commands are taken\r\n"},
    {"8-bit address", 0, 0, IN(EHLO "MAIL FROM:<\xc3\xa4@b.example>\r\n"),
     EHLO_NO "553 5.6.7 Only ASCII addresses are taken\r\n"},
    {"http", 0, 0, IN("GET / HTTP/1.1\r\nHost: x\r\n" EHLO),
     "554 5.5.1 This is not HTTP, closing the connection\r\n"},
    {"http header", 0, 0, IN(EHLO "Host: x\r\nNOOP\r\n"),
     EHLO_NO "554 5.5.1 This is not HTTP, closing the connection\r\n"},
    {"TLS in clear", TLS_LEVEL_MAY, 0, IN("\x16\x03\x01\x02"),
     "554 5.5.1 Say STARTTLS first, closing the connection\r\n"},
    /* order */
    {"mail before ehlo", 0, 0, IN(MAIL RCPT "DATA\r\n"),
     EHLO_FIRST EHLO_FIRST EHLO_FIRST},
    {"rcpt before mail", 0, 0, IN(EHLO RCPT), EHLO_NO "503 5.5.1 Send MAIL first\r\n"},
    {"data before mail", 0, 0, IN(EHLO "DATA\r\n"),
     EHLO_NO "503 5.5.1 Send MAIL first\r\n"},
    {"data before rcpt", 0, 0, IN(EHLO MAIL "DATA\r\n"),
     EHLO_NO SENDER_OK "503 5.5.1 Send RCPT first\r\n"},
    {"mail twice", 0, 0, IN(EHLO MAIL MAIL), EHLO_NO SENDER_OK IN_TXN},
    {"mail after rset", 0, 0, IN(EHLO MAIL RCPT "RSET\r\n" MAIL "DATA\r\n"),
     EHLO_NO SENDER_OK RCPT_OK OK SENDER_OK "503 5.5.1 Send RCPT first\r\n"},
    {"ehlo ends a transaction", 0, 0, IN(EHLO MAIL RCPT EHLO "DATA\r\n"),
     EHLO_NO SENDER_OK RCPT_OK EHLO_NO "503 5.5.1 Send MAIL first\r\n"},
    {"no valid recipient", 0, 0, IN(EHLO MAIL "RCPT TO:<nobody@b.example>\r\nDATA\r\n"),
     EHLO_NO SENDER_OK "550 5.1.1 No such user\r\n554 5.5.1 No valid recipients\r\n"},
    {"refused sender, rest of the group", 0, 0,
     IN(EHLO "MAIL FROM:<refused@a.example>\r\n" RCPT "DATA\r\n"),
     EHLO_NO "550 5.7.1 Sender refused\r\n503 5.5.1 MAIL was refused\r\n"
             "503 5.5.1 MAIL was refused\r\n"},
    {"sender temporarily refused", 0, 0, IN(EHLO "MAIL FROM:<later@a.example>\r\n" MAIL),
     EHLO_NO "451 4.7.1 Later\r\n" SENDER_OK},
    /* MAIL and RCPT */
    {"null sender", 0, 0, IN(EHLO "MAIL FROM:<>\r\n"), EHLO_NO SENDER_OK},
    {"source route", 0, 0, IN(EHLO MAIL "RCPT TO:<@x.example:bob@b.example>\r\n"),
     EHLO_NO SENDER_OK RCPT_OK},
    {"mail syntax", 0, 0,
     IN(EHLO "MAIL ann@a.example\r\nMAIL FROM:ann@a.example\r\nMAIL\r\n"),
     EHLO_NO "501 5.5.4 Syntax: MAIL FROM:<address>\r\n"
             "501 5.5.4 Syntax: MAIL FROM:<address>\r\n501 5.5.4 Argument missing\r\n"},
    {"bad sender", 0, 0, IN(EHLO "MAIL FROM:<a..b@a.example>\r\n"),
     EHLO_NO
     "501 5.1.7 The address has an empty word between dots in its local part\r\n"},
    {"sender without a domain", 0, 0, IN(EHLO "MAIL FROM:<ann>\r\n"),
     EHLO_NO "553 5.1.7 The address has no domain\r\n"},
    {"postmaster", 0, 0, IN(EHLO MAIL "RCPT TO:<Postmaster>\r\n"),
     EHLO_NO SENDER_OK RCPT_OK},
    {"recipient without a domain", 0, 0, IN(EHLO MAIL "RCPT TO:<bob>\r\n"),
     EHLO_NO SENDER_OK "553 5.1.3 The address has no domain\r\n"},
    {"empty recipient", 0, 0, IN(EHLO MAIL "RCPT TO:<>\r\n"),
     EHLO_NO SENDER_OK "501 5.1.3 The address is empty\r\n"},
    {"recipient's parameter", 0, 0, IN(EHLO MAIL "RCPT TO:<bob@b.example> RET=FULL\r\n"),
     EHLO_NO SENDER_OK "555 5.5.4 Parameter not recognised\r\n"},
    {"parameters", 0, 0,
     IN(EHLO "MAIL FROM:<ann@a.example> SIZE=1000 BODY=8BITMIME\r\nRSET\r\n"
             "MAIL FROM:<ann@a.example> body=7bit size=0\r\n"),
     EHLO_NO SENDER_OK OK SENDER_OK},
    {"bad parameters", 0, 0,
     IN(EHLO
        "MAIL FROM:<a@b.example> SMTPUTF8\r\nMAIL FROM:<a@b.example> SIZE\r\n"
        "MAIL FROM:<a@b.example> SIZE=-1\r\nMAIL FROM:<a@b.example> SIZE=1 SIZE=2\r\n"
        "MAIL FROM:<a@b.example> BODY=BINARYMIME\r\nMAIL FROM:<a@b.example> =\r\n"),
     EHLO_NO
     "555 5.5.4 Parameter not recognised\r\n501 5.5.4 SIZE takes a number\r\n"
     "501 5.5.4 SIZE takes a number\r\n501 5.5.4 Parameter given twice\r\n"
     "501 5.5.4 BODY takes 7BIT or 8BITMIME\r\n501 5.5.4 Bad parameter syntax\r\n"},
    {"declared size over the limit", 0, 0,
     IN(EHLO "MAIL FROM:<a@b.example> SIZE=1001\r\n"
             "MAIL FROM:<a@b.example> SIZE=99999999999999999999\r\n"
             "MAIL FROM:<a@b.example> SIZE=999999999999999999999\r\n"),
     EHLO_NO "552 5.3.4 Message larger than the size limit\r\n"
             "552 5.3.4 Message larger than the size limit\r\n"
             "501 5.5.4 SIZE takes a number\r\n"},
    /* message */
    {"message", 0, 0, IN(EHLO MAIL RCPT "DATA\r\nHi\r\n..\r\n.\r\nQUIT\r\n"),
     EHLO_NO SENDER_OK RCPT_OK GO QUEUED BYE},
    {"empty message", 0, 0, IN(EHLO MAIL RCPT "DATA\r\n.\r\nNOOP\r\n"),
     EHLO_NO SENDER_OK RCPT_OK GO QUEUED OK},
    {"two messages", 0, 0,
     IN(EHLO MAIL RCPT "DATA\r\na\r\n.\r\n" MAIL RCPT "DATA\r\n.\r\n"),
     EHLO_NO SENDER_OK RCPT_OK GO QUEUED SENDER_OK RCPT_OK GO QUEUED},
    {"data with an argument", 0, 0, IN(EHLO MAIL RCPT "DATA x\r\n"),
     EHLO_NO SENDER_OK RCPT_OK "501 5.5.4 No argument allowed\r\n"},
    {"data refused, transaction stays", 0, 0,
     IN(EHLO "MAIL FROM:<nodata@a.example>\r\n" RCPT "DATA\r\n" RCPT),
     EHLO_NO SENDER_OK RCPT_OK "451 4.3.0 Not now\r\n" RCPT_OK},
    {"smuggling LF . LF", 0, 0,
     IN(EHLO MAIL RCPT "DATA\r\na\n.\n" MAIL "x\r\n.\r\nNOOP\r\n"),
     EHLO_NO SENDER_OK RCPT_OK GO CRLF_REFUSED OK},
    {"smuggling CRLF . LF", 0, 0,
     IN(EHLO MAIL RCPT "DATA\r\na\r\n.\n" MAIL "x\r\n.\r\nNOOP\r\n"),
     EHLO_NO SENDER_OK RCPT_OK GO CRLF_REFUSED OK},
    {"smuggling CR . CR", 0, 0,
     IN(EHLO MAIL RCPT "DATA\r\na\r.\r" MAIL "x\r\n.\r\nNOOP\r\n"),
     EHLO_NO SENDER_OK RCPT_OK GO CRLF_REFUSED OK},
    {"NUL in the message", 0, 0, IN(EHLO MAIL RCPT "DATA\r\na\0b\r\n.\r\nNOOP\r\n"),
     EHLO_NO SENDER_OK RCPT_OK GO "554 5.6.0 Message refused: it holds a NUL\r\n" OK},
    {"host refuses the body", 0, 0,
     IN(EHLO "MAIL FROM:<nodisk@a.example>\r\n" RCPT "DATA\r\nx\r\n.\r\nDATA\r\n"),
     EHLO_NO SENDER_OK RCPT_OK GO "452 4.3.1 Disk full\r\n503 5.5.1 Send MAIL first\r\n"},
    {"host refuses the commit", 0, 0,
     IN(EHLO "MAIL FROM:<nocommit@a.example>\r\n" RCPT "DATA\r\nx\r\n.\r\nDATA\r\n"),
     EHLO_NO SENDER_OK RCPT_OK GO
     "452 4.3.1 Not stored\r\n503 5.5.1 Send MAIL first\r\n"},
    {"refused recipients of the last transaction are forgotten", 0, 0,
     IN(EHLO MAIL "RCPT TO:<nobody@b.example>\r\nRSET\r\n" MAIL "DATA\r\n"),
     EHLO_NO SENDER_OK "550 5.1.1 No such user\r\n" OK SENDER_OK
                       "503 5.5.1 Send RCPT first\r\n"},
    {"the refusal of the last message is forgotten", 0, 0,
     IN(EHLO "MAIL FROM:<nodisk@a.example>\r\n" RCPT "DATA\r\nx\r\n.\r\n" MAIL RCPT
             "DATA\r\na\nb\r\n.\r\n"),
     EHLO_NO SENDER_OK RCPT_OK GO
     "452 4.3.1 Disk full\r\n" SENDER_OK RCPT_OK GO CRLF_REFUSED},
    /* policy `no` */
    {"no: starttls", TLS_LEVEL_NO, 0, IN("STARTTLS\r\n" EHLO "STARTTLS\r\nNOOP\r\n"),
     "502 5.5.1 Command not implemented\r\n" EHLO_NO
     "502 5.5.1 Command not implemented\r\n" OK},
    /* policy `may` */
    {"may: advertised", TLS_LEVEL_MAY, 0, IN(EHLO), EHLO_MAY},
    {"may: mail in clear", TLS_LEVEL_MAY, 0, IN(EHLO MAIL RCPT),
     EHLO_MAY SENDER_OK RCPT_OK},
    {"may: starttls before ehlo", TLS_LEVEL_MAY, 0, IN("STARTTLS\r\n"), EHLO_FIRST},
    {"may: starttls", TLS_LEVEL_MAY, 0, IN(EHLO "STARTTLS\r\n"), EHLO_MAY TLS_GO},
    {"may: starttls with a parameter", TLS_LEVEL_MAY, 0,
     IN(EHLO "STARTTLS x\r\nNOOP\r\n"), EHLO_MAY "501 5.5.4 No argument allowed\r\n" OK},
    {"may: starttls in a transaction", TLS_LEVEL_MAY, 0,
     IN(EHLO MAIL "STARTTLS\r\n" RCPT), EHLO_MAY SENDER_OK IN_TXN RCPT_OK},
    {"may: command behind starttls", TLS_LEVEL_MAY, true, IN(EHLO "STARTTLS\r\n" MAIL),
     EHLO_MAY "554 5.5.1 Input behind STARTTLS, closing the connection\r\n"},
    {"may: one byte behind starttls", TLS_LEVEL_MAY, true, IN(EHLO "STARTTLS\r\nE"),
     EHLO_MAY "554 5.5.1 Input behind STARTTLS, closing the connection\r\n"},
    /* policy `must` */
    {"must: before TLS", TLS_LEVEL_MUST, 0,
     IN(MAIL RCPT "DATA\r\nVRFY a\r\nHELP\r\nFOO\r\nAUTH x\r\n" EHLO MAIL
                  "NOOP\r\nRSET\r\nHELO x\r\n" MAIL "QUIT\r\n"),
     NEED_TLS NEED_TLS NEED_TLS NEED_TLS NEED_TLS NEED_TLS NEED_TLS EHLO_MAY NEED_TLS OK
         OK "250 " NAME "\r\n" NEED_TLS BYE},
    {"must: starttls", TLS_LEVEL_MUST, 0, IN(EHLO "STARTTLS\r\n"), EHLO_MAY TLS_GO},
    {"must: command behind starttls", TLS_LEVEL_MUST, true,
     IN(EHLO "STARTTLS\r\nRSET\r\n"),
     EHLO_MAY "554 5.5.1 Input behind STARTTLS, closing the connection\r\n"},
};

static void dialogues_do_not_depend_on_packets(void **state)
{
    (void)state;
    char replies[4096];
    for (size_t i = 0; i < sizeof dialogues / sizeof dialogues[0]; i++) {
        const struct dialogue *d = &dialogues[i];
        struct smtp_server_policy p = policy(d->tls);
        snprintf(replies, sizeof replies, GREETING "%s", d->replies);
        for (size_t piece = d->whole_only ? d->input.len : 1; piece <= d->input.len;
             piece++) {
            expect_policy(&p, d->input.ptr, d->input.len, piece, replies);
        }
    }
}

static void feed(struct machine_host *h, const char *text)
{
    machine_host_feed(h, text, strlen(text), 100000);
}

static bool said(struct machine_host *h, const char *replies)
{
    bool same = str_eq(buf_slice(&h->replies), str_from(replies));
    if (!same) {
        print_error("said:\n%.*s\n", STR_ARG(buf_slice(&h->replies)));
    }
    buf_clear(&h->replies);
    return same;
}

static void start(struct machine_host *h, enum tls_level tls)
{
    struct smtp_server_policy p = policy(tls);
    machine_host_init(h, &p);
    buf_clear(&h->replies);
}

/* RFC 3207 4.2, and what the policy says from then on. */
static void tls_forgets_what_was_said_in_clear(void **state)
{
    (void)state;
    static const enum tls_level after[] = {TLS_LEVEL_NO, TLS_LEVEL_MAY, TLS_LEVEL_MUST};
    for (size_t i = 0; i < 3; i++) {
        struct machine_host h;
        bool esmtp = true;
        start(&h, TLS_LEVEL_MUST);
        h.tls_policy.tls = after[i];
        h.tls_policy.size_limit_bytes = 0;
        h.tls_policy.local_name = STR("tls.example");
        feed(&h, EHLO "STARTTLS\r\n");
        assert_true(said(&h, EHLO_MAY TLS_GO));
        assert_true(smtp_server_is_tls(h.m));
        assert_int_equal(smtp_server_helo(h.m, &esmtp).len, 0);
        assert_false(esmtp);
        feed(&h, MAIL);
        assert_true(said(&h, EHLO_FIRST));
        feed(&h, EHLO "STARTTLS\r\n" MAIL RCPT);
        assert_true(
            said(&h, "250-tls.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-DSN\r\n"
                     "250-SIZE\r\n250 ENHANCEDSTATUSCODES\r\n"
                     "503 5.5.1 TLS is already active\r\n" SENDER_OK RCPT_OK));
        assert_int_equal(h.asked_in_clear, 0);
        machine_host_free(&h);
    }
}

static void implicit_tls_meets_must(void **state)
{
    (void)state;
    struct smtp_server_policy p = policy(TLS_LEVEL_MUST);
    struct smtp_server *m = smtp_server_new(&p);
    smtp_server_tls_implicit(m);
    smtp_server_greet(m);
    const char *input = EHLO MAIL;
    assert_int_equal(smtp_server_feed(m, input, strlen(input)), STEP_WAIT);
    assert_int_equal(smtp_server_ask(m), ASK_SENDER);
    assert_true(str_eq(buf_slice(smtp_server_out(m)), STR(GREETING EHLO_NO)));
    smtp_server_free(&m);
}

static void bytes_during_the_handshake_end_the_session(void **state)
{
    (void)state;
    struct machine_host h;
    start(&h, TLS_LEVEL_MAY);
    h.hold_tls = true;
    feed(&h, EHLO "STARTTLS\r\n");
    assert_int_equal(smtp_server_ask(h.m), ASK_TLS);
    assert_int_equal(smtp_server_feed(h.m, "X", 1), STEP_CLOSE);
    assert_string_equal(smtp_server_close_reason(h.m), "starttls-injection");
    smtp_server_tls_started(h.m, &h.tls_policy); /* too late: dropped */
    assert_false(smtp_server_is_tls(h.m));
    machine_host_free(&h);
}

static void policy_applies_from_the_next_command(void **state)
{
    (void)state;
    struct machine_host h;
    start(&h, TLS_LEVEL_NO);
    feed(&h, EHLO);
    struct smtp_server_policy p = policy(TLS_LEVEL_MUST);
    smtp_server_set_policy(h.m, &p);
    buf_clear(&h.replies);
    feed(&h, MAIL);
    assert_true(said(&h, NEED_TLS));
    machine_host_free(&h);
}

static void close_reasons(void **state)
{
    (void)state;
    static const struct {
        const char *input, *reason;
    } cases[] = {
        {"QUIT\r\n", "quit"},         {"POST / HTTP/1.1\r\n", "http"},
        {"\x16\x03", "tls-in-clear"}, {EHLO "STARTTLS\r\nX", "starttls-injection"},
        {"NOOP\r\n", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct machine_host h;
        start(&h, TLS_LEVEL_MAY);
        feed(&h, cases[i].input);
        assert_int_equal(h.step == STEP_CLOSE, cases[i].reason != NULL);
        if (cases[i].reason != NULL) {
            assert_string_equal(smtp_server_close_reason(h.m), cases[i].reason);
            assert_int_equal(smtp_server_feed(h.m, "NOOP\r\n", 6), STEP_CLOSE);
            assert_int_equal(smtp_server_out(h.m)->len, 0);
        } else {
            assert_null(smtp_server_close_reason(h.m));
        }
        machine_host_free(&h);
    }
}

static unsigned count_replies(struct machine_host *h, const char *code)
{
    str rest = buf_slice(&h->replies), line;
    unsigned count = 0;
    while (str_split(&rest, '\n', &line)) {
        count += str_starts(line, str_from(code));
    }
    return count;
}

static void too_many_errors(void **state)
{
    (void)state;
    struct machine_host h;
    start(&h, TLS_LEVEL_NO);
    for (int i = 0; i < 20; i++) {
        feed(&h, "FOO\r\n");
        assert_int_equal(h.step, STEP_MORE);
    }
    feed(&h, "FOO\r\nNOOP\r\n");
    assert_int_equal(h.step, STEP_CLOSE);
    assert_string_equal(smtp_server_close_reason(h.m), "too-many-errors");
    assert_int_equal(count_replies(&h, "500 5.5.1"), 20);
    assert_int_equal(count_replies(&h, "421 4.7.0"), 1);
    assert_int_equal(count_replies(&h, "250"), 0);
    machine_host_free(&h);
}

static void an_accepted_message_clears_the_errors(void **state)
{
    (void)state;
    struct machine_host h;
    start(&h, TLS_LEVEL_NO);
    feed(&h, EHLO);
    for (int i = 0; i < 90; i++) {
        feed(&h, i % 6 == 0 ? "FOO\r\n" : "NOOP\r\n");
    }
    feed(&h, MAIL RCPT "DATA\r\n.\r\n");
    for (int i = 0; i < 90; i++) {
        feed(&h, i % 6 == 0 ? "FOO\r\n" : "NOOP\r\n");
    }
    assert_int_equal(h.step, STEP_MORE);
    machine_host_free(&h);
}

/* A flood of commands that do nothing ends, and so do guesses at recipients. */
static void idle_commands_are_limited(void **state)
{
    (void)state;
    static const char *const commands[] = {"NOOP\r\n", "RCPT TO:<nobody@b.example>\r\n",
                                           "HELP\r\n", "VRFY a\r\n"};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct machine_host h;
        start(&h, TLS_LEVEL_NO);
        feed(&h, EHLO MAIL);
        unsigned n = 0;
        while (h.step != STEP_CLOSE && n < 1000) {
            feed(&h, commands[i]);
            n++;
        }
        assert_in_range(n, 115, 125);
        assert_string_equal(smtp_server_close_reason(h.m), "too-many-errors");
        machine_host_free(&h);
    }
}

static void recipient_limit(void **state)
{
    (void)state;
    struct machine_host h;
    start(&h, TLS_LEVEL_NO);
    feed(&h, EHLO MAIL);
    for (int i = 0; i < 100; i++) {
        feed(&h, RCPT);
    }
    assert_int_equal(smtp_server_txn(h.m)->recipients, 100);
    buf_clear(&h.replies);
    feed(&h, RCPT "DATA\r\nx\r\n.\r\n");
    assert_true(said(&h, "452 4.5.3 Too many recipients\r\n" GO QUEUED));
    machine_host_free(&h);
}

/* A client that does not know the limit sends all it has, and then the message: what was
 * taken must be let through, or it would come again and again. */
static void recipients_above_the_limit_do_no_harm(void **state)
{
    (void)state;
    for (unsigned ours = 0; ours < 2; ours++) {
        struct smtp_server_policy p = policy(TLS_LEVEL_NO);
        struct machine_host h;
        p.limits = (struct smtp_limits){.recipientlimit = ours ? 0 : 10,
                                        .deferralrejectlimit = 5,
                                        .disconnectrejectlimit = 5};
        machine_host_init(&h, &p);
        feed(&h, EHLO MAIL);
        for (unsigned i = 0; i < 1000; i++) {
            feed(&h, RCPT);
        }
        assert_int_not_equal(h.step, STEP_CLOSE);
        buf_clear(&h.replies);
        feed(&h, "DATA\r\nx\r\n.\r\n" MAIL RCPT);
        assert_true(said(&h, GO QUEUED SENDER_OK RCPT_OK));
        /* but there is an end */
        for (unsigned i = 0; i < 2000; i++) {
            feed(&h, RCPT);
        }
        assert_string_equal(smtp_server_close_reason(h.m), "too-many-errors");
        machine_host_free(&h);
    }
}

/* All that were offered count, whatever became of them. */
static void the_cutoff_counts_what_is_above_a_limit(void **state)
{
    (void)state;
    struct smtp_server_policy p = policy(TLS_LEVEL_NO);
    struct machine_host h;
    p.limits = (struct smtp_limits){.recipientcutoff = 102};
    machine_host_init(&h, &p);
    feed(&h, EHLO MAIL);
    for (unsigned i = 0; i < 102; i++) {
        feed(&h, RCPT);
    }
    buf_clear(&h.replies);
    feed(&h, "DATA\r\nx\r\n.\r\n" MAIL);
    assert_true(said(&h, GO QUEUED SENDER_OK));
    for (unsigned i = 0; i < 103; i++) {
        feed(&h, RCPT);
    }
    buf_clear(&h.replies);
    feed(&h, "DATA\r\n");
    assert_true(said(&h, "451 4.5.3 Too many recipients for one message\r\n"));
    machine_host_free(&h);
}

static void body_reaches_the_host_whole(void **state)
{
    (void)state;
    struct machine_host h;
    struct buf in;
    struct smtp_server_policy p = policy(TLS_LEVEL_NO);
    p.size_limit_bytes = 0;
    buf_init(&in, 1024 * 1024);
    assert_true(
        buf_puts(&in, EHLO "MAIL FROM:<a@a.example> BODY=8BITMIME\r\n" RCPT "DATA\r\n"));
    for (int i = 0; i < 3000; i++) {
        assert_true(buf_printf(&in, "..%d 0123456789 0123456789 0123456789\xe4\r\n", i));
    }
    assert_true(buf_puts(&in, ".\r\nQUIT\r\n"));
    for (size_t piece = 1; piece < in.len * 7; piece *= 7) {
        machine_host_init(&h, &p);
        machine_host_feed(&h, in.data, in.len, piece);
        assert_int_equal(h.commits, 1);
        assert_true(h.eight_bit);
        assert_int_equal(h.slices, 2);
        assert_int_equal(count_replies(&h, "221"), 1);
        size_t at = 0;
        for (int i = 0; i < 3000; i++) {
            char line[80];
            int len = snprintf(line, sizeof line,
                               ".%d 0123456789 0123456789 0123456789\xe4\r\n", i);
            assert_memory_equal(h.message.data + at, line, (size_t)len);
            at += (size_t)len;
        }
        assert_int_equal(h.message.len, at);
        machine_host_free(&h);
    }
    buf_free(&in);
}

static void size_limit(void **state)
{
    (void)state;
    static const struct {
        int lines;
        const char *code;
    } cases[] = {{100, "250 2.0.0"}, {101, "552 5.3.4"}, {100000, "552 5.3.4"}};
    for (size_t i = 0; i < 3; i++) {
        struct machine_host h;
        start(&h, TLS_LEVEL_NO);
        feed(&h, EHLO MAIL RCPT "DATA\r\n");
        buf_clear(&h.replies);
        for (int n = 0; n < cases[i].lines; n++) {
            feed(&h, "12345678\r\n");
        }
        assert_int_equal(h.replies.len, 0);
        feed(&h, ".\r\n");
        assert_int_equal(count_replies(&h, cases[i].code), 1);
        assert_true(smtp_server_idle(h.m));
        feed(&h, "NOOP\r\n");
        assert_int_equal(h.step, STEP_MORE);
        machine_host_free(&h);
    }
}

static void long_lines(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        unsigned commits;
    } cases[] = {{998, 1}, {8192, 1}, {8193, 0}};
    struct smtp_server_policy p = policy(TLS_LEVEL_NO);
    p.size_limit_bytes = 0;
    for (size_t i = 0; i < 3; i++) {
        struct machine_host h;
        machine_host_init(&h, &p);
        feed(&h, EHLO MAIL RCPT "DATA\r\n");
        for (size_t n = 0; n < cases[i].len; n++) {
            feed(&h, "x");
        }
        feed(&h, "\r\n.\r\n");
        assert_int_equal(h.commits, cases[i].commits);
        assert_int_equal(count_replies(&h, "554 5.6.0"), 1 - cases[i].commits);
        machine_host_free(&h);
    }
}

static void long_commands(void **state)
{
    (void)state;
    char line[3000];
    for (size_t len = 1190; len < 1210; len++) {
        struct machine_host h;
        start(&h, TLS_LEVEL_NO);
        memset(line, 'Q', sizeof line);
        memcpy(line, "NOOP ", 5);
        memcpy(line + len - 2, "\r\n", 3);
        feed(&h, line);
        assert_true(said(&h, len <= 1200 ? OK : "500 5.5.2 Line too long\r\n"));
        machine_host_free(&h);
    }
    struct machine_host h;
    start(&h, TLS_LEVEL_NO);
    memset(line, 'x', sizeof line);
    memcpy(line + 1500, "QUIT", 4);
    memcpy(line + 2000, "\r\nNOOP\r\n", 9);
    feed(&h, line);
    assert_true(said(&h, "500 5.5.2 Line too long\r\n" OK));
    machine_host_free(&h);
}

static void shut_and_late_answers(void **state)
{
    (void)state;
    struct smtp_server_policy p = policy(TLS_LEVEL_NO);
    struct smtp_server *m = smtp_server_new(&p);
    const char *input = EHLO MAIL RCPT;
    assert_int_equal(smtp_server_feed(m, input, strlen(input)), STEP_WAIT);
    buf_clear(smtp_server_out(m));
    smtp_server_shut(m, "4.3.2 going down");
    smtp_server_answer_command(m, 250, 2, 1, 0, "too late");
    smtp_server_answer_body(m, true, 0, 0, 0, 0, NULL);
    assert_int_equal(smtp_server_feed(m, NULL, 0), STEP_CLOSE);
    assert_true(str_eq(buf_slice(smtp_server_out(m)), STR("421 4.3.2 going down\r\n")));
    assert_string_equal(smtp_server_close_reason(m), "shut");
    smtp_server_free(&m);
    assert_null(m);
}

static void the_host_may_close_with_421(void **state)
{
    (void)state;
    struct smtp_server_policy p = policy(TLS_LEVEL_NO);
    struct smtp_server *m = smtp_server_new(&p);
    const char *input = EHLO MAIL "NOOP\r\n";
    assert_int_equal(smtp_server_feed(m, input, strlen(input)), STEP_WAIT);
    buf_clear(smtp_server_out(m));
    smtp_server_answer_command(m, 421, 4, 3, 2, "going down");
    assert_int_equal(smtp_server_feed(m, NULL, 0), STEP_CLOSE);
    assert_true(str_eq(buf_slice(smtp_server_out(m)), STR("421 4.3.2 going down\r\n")));
    smtp_server_free(&m);
}

static void input_is_kept_while_a_question_is_open(void **state)
{
    (void)state;
    struct smtp_server_policy p = policy(TLS_LEVEL_NO);
    struct smtp_server *m = smtp_server_new(&p);
    const char *input = EHLO MAIL "NOOP\r\nRSET\r\nQU";
    assert_int_equal(smtp_server_feed(m, input, strlen(input)), STEP_WAIT);
    assert_int_equal(smtp_server_feed(m, "IT", 2), STEP_WAIT);
    assert_int_equal(smtp_server_feed(m, "\r\n", 2), STEP_WAIT);
    assert_int_equal(smtp_server_ask(m), ASK_SENDER);
    assert_false(smtp_server_idle(m));
    buf_clear(smtp_server_out(m));
    smtp_server_answer_command(m, 250, 2, 1, 0, "fine\r\n500 forged");
    assert_int_equal(smtp_server_feed(m, NULL, 0), STEP_CLOSE);
    assert_true(str_eq(buf_slice(smtp_server_out(m)),
                       STR("250 2.1.0 fine??500 forged\r\n" OK OK BYE)));
    smtp_server_free(&m);
}

static void floods_are_bounded(void **state)
{
    (void)state;
    struct smtp_server_policy p = policy(TLS_LEVEL_NO);
    struct smtp_server *m = smtp_server_new(&p);
    char chunk[32 * 1024];
    const char *input = EHLO MAIL;
    memset(chunk, 'x', sizeof chunk);
    assert_int_equal(smtp_server_feed(m, input, strlen(input)), STEP_WAIT);
    int n = 0;
    while (smtp_server_feed(m, chunk, sizeof chunk) == STEP_WAIT && n < 100) {
        n++;
    }
    assert_int_equal(n, 8);
    assert_string_equal(smtp_server_close_reason(m), "flood");
    smtp_server_free(&m);
}

static void facts_for_the_host(void **state)
{
    (void)state;
    struct machine_host h;
    bool esmtp = false;
    start(&h, TLS_LEVEL_NO);
    assert_true(smtp_server_idle(h.m));
    feed(&h, EHLO);
    assert_true(str_eq(smtp_server_helo(h.m, &esmtp), STR("c.example")));
    assert_true(esmtp);
    assert_true(str_empty(smtp_server_take_refusal(h.m)));
    feed(&h, "MAIL FROM:<ann@a.example> SIZE=77 BODY=8BITMIME\r\n");
    const struct smtp_server_txn *txn = smtp_server_txn(h.m);
    assert_true(str_eq(txn->sender.domain, STR("a.example")));
    assert_int_equal(txn->declared_size, 77);
    assert_true(txn->eight_bit);
    assert_false(smtp_server_idle(h.m));
    feed(&h, "RCPT TO:<nobody@b.example>\r\n");
    assert_true(str_eq(smtp_server_take_refusal(h.m), STR("550 5.1.1 No such user")));
    assert_true(str_empty(smtp_server_take_refusal(h.m)));
    assert_true(str_eq(txn->recipient.local, STR("nobody")));
    feed(&h, EHLO);
    assert_int_equal(txn->sender.local.len, 0);
    feed(&h, MAIL RCPT "DATA\r\n");
    assert_true(smtp_server_in_data(h.m));
    assert_non_null(strstr(smtp_server_state_text(h.m), "354"));
    feed(&h, "x\r\n.\r\n");
    assert_false(smtp_server_in_data(h.m));
    assert_true(smtp_server_idle(h.m));
    assert_int_equal(txn->sender.local.len, 0);
    feed(&h, "HELO d.example\r\n");
    assert_true(str_eq(smtp_server_helo(h.m, &esmtp), STR("d.example")));
    assert_false(esmtp);
    machine_host_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialogues_do_not_depend_on_packets),
        cmocka_unit_test(tls_forgets_what_was_said_in_clear),
        cmocka_unit_test(implicit_tls_meets_must),
        cmocka_unit_test(bytes_during_the_handshake_end_the_session),
        cmocka_unit_test(policy_applies_from_the_next_command),
        cmocka_unit_test(close_reasons),
        cmocka_unit_test(too_many_errors),
        cmocka_unit_test(an_accepted_message_clears_the_errors),
        cmocka_unit_test(idle_commands_are_limited),
        cmocka_unit_test(recipient_limit),
        cmocka_unit_test(recipients_above_the_limit_do_no_harm),
        cmocka_unit_test(the_cutoff_counts_what_is_above_a_limit),
        cmocka_unit_test(body_reaches_the_host_whole),
        cmocka_unit_test(size_limit),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(long_commands),
        cmocka_unit_test(shut_and_late_answers),
        cmocka_unit_test(the_host_may_close_with_421),
        cmocka_unit_test(input_is_kept_while_a_question_is_open),
        cmocka_unit_test(floods_are_bounded),
        cmocka_unit_test(facts_for_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
