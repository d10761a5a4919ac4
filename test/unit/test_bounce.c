/* bounce: the whole text of a report, and what of a message's header goes into it. With
 * the argument --print NAME one report goes to standard output, for bounce_email.py. */
#include "router/bounce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"

static const char RECEIVED[] = "Received: from a.test by b.test; Sat, 21 Nov 2026\r\n"
                               "\t00:22:10 +0000\r\n"
                               "From: you@here.test\r\n"
                               "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= =3D\r\n";
static const char EIGHT_BIT[] = "Subject: Gr\xc3\xbc\xc3\x9f"
                                "e = 1 \r\n"
                                "X-Nul: a\0b\rc\nd\r\n";

static struct outcome outcomes[4];
static struct bounce_recipient recipients[4];

static void make_recipients(void)
{
    outcome_set(&outcomes[0], OUTCOME_FAILED, 550, 5, 1, 1, "No such user");
    recipients[0].remote = STR("mx1.far.test");
    recipients[0].address = STR("bob@far.test");
    outcome_set(&outcomes[1], OUTCOME_FAILED, 0, 4, 4, 7,
                "not delivered within 5 days; the last reason was: connection refused");
    recipients[1].address = STR("\"o \\\" b\"@far.test");
    outcome_set(&outcomes[2], OUTCOME_FAILED, 554, 0, 0, 0, "go away");
    recipients[2].remote = STR("[192.0.2.1]\r\nX-Evil: 1");
    recipients[2].address = STR("x\r\nAction: delivered@far.test");
    for (unsigned i = 0; i < 3; i++) {
        recipients[i].outcome = &outcomes[i];
    }
}

static struct bounce make_bounce(const char *sender, str header, unsigned count)
{
    make_recipients();
    return (struct bounce){
        .local_host = STR("mail.demo.test"),
        .report_id = STR("7F3K9"),
        .message_id = STR("7F3K2"),
        .sender = str_from(sender),
        .arrived_ms = 1795220000000,
        .now_ms = 1795220530000,
        .recipients = recipients,
        .count = count,
        .header = header,
    };
}

static const char GOLDEN[] =
    "Date: Sat, 21 Nov 2026 00:22:10 +0000\r\n"
    "From: Mail Delivery System <postmaster@mail.demo.test>\r\n"
    "To: <you@here.test>\r\n"
    "Subject: Your message could not be delivered\r\n"
    "Message-ID: <7F3K9.1795220530000@mail.demo.test>\r\n"
    "Auto-Submitted: auto-replied\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
    " boundary=\"=_7F3K9.1a1fb7b6350.0\"\r\n"
    "\r\n"
    "--=_7F3K9.1a1fb7b6350.0\r\n"
    "Content-Type: text/plain; charset=us-ascii\r\n"
    "Content-Description: Notification\r\n"
    "\r\n"
    "This is the mail system at mail.demo.test.\r\n"
    "\r\n"
    "Your message could not be delivered to these recipients:\r\n"
    "\r\n"
    "  <bob@far.test>\r\n"
    "    mx1.far.test said: 550 5.1.1 No such user\r\n"
    "\r\n"
    "  <\"o \\\" b\"@far.test>\r\n"
    "    not delivered within 5 days; the last reason was: connection refused\r\n"
    "\r\n"
    "It will not be tried again.\r\n"
    "The header of your message is attached.\r\n"
    "\r\n"
    "The number of your message here was 7F3K2\r\n"
    "\r\n"
    "--=_7F3K9.1a1fb7b6350.0\r\n"
    "Content-Type: message/delivery-status\r\n"
    "Content-Description: Delivery report\r\n"
    "\r\n"
    "Reporting-MTA: dns; mail.demo.test\r\n"
    "Arrival-Date: Sat, 21 Nov 2026 00:13:20 +0000\r\n"
    "\r\n"
    "Final-Recipient: rfc822; bob@far.test\r\n"
    "Action: failed\r\n"
    "Status: 5.1.1\r\n"
    "Remote-MTA: dns; mx1.far.test\r\n"
    "Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n"
    "Last-Attempt-Date: Sat, 21 Nov 2026 00:22:10 +0000\r\n"
    "Final-Log-ID: 7F3K2\r\n"
    "\r\n"
    "Final-Recipient: rfc822; \"o \\\" b\"@far.test\r\n"
    "Action: failed\r\n"
    "Status: 4.4.7\r\n"
    "Diagnostic-Code: x-local; not delivered within 5 days; the last reason was: "
    "connection refused\r\n"
    "Last-Attempt-Date: Sat, 21 Nov 2026 00:22:10 +0000\r\n"
    "Final-Log-ID: 7F3K2\r\n"
    "\r\n"
    "--=_7F3K9.1a1fb7b6350.0\r\n"
    "Content-Type: text/rfc822-headers\r\n"
    "Content-Description: Header of the message\r\n"
    "\r\n"
    "Received: from a.test by b.test; Sat, 21 Nov 2026\r\n"
    "\t00:22:10 +0000\r\n"
    "From: you@here.test\r\n"
    "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= =3D\r\n"
    "\r\n"
    "--=_7F3K9.1a1fb7b6350.0--\r\n";

/* Every action, and what RFC 3461 and RFC 6533 add. */
static struct bounce_recipient every[5];

static struct bounce make_every(const char *name)
{
    static struct outcome good, late;
    struct bounce b = make_bounce("you@here.test", str_from(RECEIVED), 1);
    outcome_set(&good, OUTCOME_DELIVERED, 250, 2, 6, 0, "taken");
    outcome_set(&late, OUTCOME_DEFERRED, 451, 4, 7, 1, "not now");
    for (unsigned i = 0; i < 5; i++) {
        every[i] = recipients[0];
        every[i].action = (enum bounce_action)i;
        every[i].outcome = i == BOUNCE_FAILED    ? &outcomes[0]
                           : i == BOUNCE_DELAYED ? &late
                                                 : &good;
        every[i].orcpt = STR("rfc822;Old+2BBob@far.test");
    }
    b.recipients = every;
    b.count = 5;
    b.envid = STR("QQ+3D314159");
    b.until_ms = b.arrived_ms + 12ll * 24 * 60 * 60 * 1000;
    if (strcmp(name, "utf-8") == 0) {
        every[0].orcpt = STR("utf-8;b\\x{F6}b@far.test");
        every[1].address = STR("b\xc3\xb6"
                               "b@far.test");
        b.header = STR("Subject: Gr\xc3\xbc\xc3\x9f"
                       "e\r\n");
    }
    if (strcmp(name, "beginning") == 0) {
        b.content = STR("From: you@here.test\r\n\r\nhello\r\n");
        b.content_cut = true;
    }
    if (strcmp(name, "full") == 0 || strcmp(name, "shortened") == 0) {
        b.content = STR("From: you@here.test\r\n\r\n--=_7F3K9.1a1fb7b6350.0\r\n\r\n"
                        "gr\xc3\xbc\xc3\x9f"
                        "e\r\n");
        b.hide_final = true;
    }
    if (strcmp(name, "history") == 0) {
        static struct bounce_attempt attempts[2];
        attempts[0].at_ms = 1795220000000;
        attempts[0].outcome = STR("[192.0.2.1]: 451 4.2.0 later\r\nX-Evil: 1");
        attempts[1].at_ms = 1795220060000;
        attempts[1].outcome = STR("4.4.1 connection refused");
        b.history = attempts;
        b.history_count = 2;
    }
    if (strcmp(name, "returned") == 0) {
        b.returned = true;
    }
    if (strcmp(name, "copy") == 0) {
        b.sender = STR("postmaster@mail.demo.test");
        b.copy_for = STR("");
        b.from_name = STR("The \"Post\"\r\nX-Evil: 1");
        b.from_address = STR("mailer@demo.test");
    }
    return b;
}

static char *write_bounce(const struct bounce *b, size_t *len)
{
    struct buf out;
    buf_init(&out, BOUNCE_MAX);
    assert_true(bounce_write(b, &out));
    return buf_take(&out, len);
}

static void test_golden(void **state)
{
    size_t len;
    (void)state;
    struct bounce b = make_bounce("you@here.test", str_from(RECEIVED), 2);
    char *text = write_bounce(&b, &len);
    assert_string_equal(text, GOLDEN);
    free(text);
}

/* Every line ends in CRLF, is 7-bit and not too long, whatever came from outside. */
static void test_lines(void **state)
{
    static char wild[BOUNCE_HEADER_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof wild; i++) {
        wild[i] = (char)(i * 7919 >> 3);
    }
    str headers[] = {str_from(RECEIVED), str_n(EIGHT_BIT, sizeof EIGHT_BIT - 1),
                     str_n(wild, sizeof wild), STR_NONE, STR("")};
    for (size_t h = 0; h < sizeof headers / sizeof headers[0]; h++) {
        struct bounce b = make_bounce("you@here.test", headers[h], 3);
        size_t len, line = 0;
        char *text = write_bounce(&b, &len);
        assert_int_equal(len, strlen(text)); /* no NUL */
        assert_null(strstr(text, "\r\nX-Evil"));
        assert_null(strstr(text, "\r\nAction: delivered"));
        for (size_t i = 0; i < len; i++) {
            if (text[i] == '\r') {
                assert_true(i + 1 < len && text[i + 1] == '\n');
            } else if (text[i] == '\n') {
                assert_true(i > 0 && text[i - 1] == '\r');
                line = 0;
            } else {
                assert_true(text[i] == '\t' || (text[i] >= ' ' && text[i] <= '~'));
                assert_true(++line <= 998);
            }
        }
        free(text);
    }
}

static void test_small_things(void **state)
{
    size_t len;
    (void)state;
    /* A boundary somebody put into the header is not used. */
    struct bounce b =
        make_bounce("you@here.test", STR("X: --=_7F3K9.1a1fb7b6350.0\r\n"), 1);
    char *text = write_bounce(&b, &len);
    assert_non_null(strstr(text, "boundary=\"=_7F3K9.1a1fb7b6350.1\""));
    assert_non_null(strstr(text, "to this recipient:"));
    free(text);
    /* A source route is no part of an address in a header field. */
    b = make_bounce("@relay.test:you@here.test", STR_NONE, 1);
    text = write_bounce(&b, &len);
    assert_non_null(strstr(text, "\r\nTo: <you@here.test>\r\n"));
    assert_non_null(strstr(text, "could not be read"));
    assert_null(strstr(text, "rfc822-headers"));
    free(text);
    /* The cap. */
    struct buf small;
    buf_init(&small, 500);
    assert_false(bounce_write(&b, &small));
    buf_free(&small);
}

static void test_many_recipients(void **state)
{
    enum { MANY = 5000 };
    struct bounce_recipient *all = calloc(MANY, sizeof *all);
    size_t len;
    (void)state;
    struct bounce b = make_bounce("you@here.test", STR(""), 1);
    for (unsigned i = 0; i < MANY; i++) {
        all[i] = recipients[0];
    }
    b.recipients = all;
    b.count = MANY;
    char *text = write_bounce(&b, &len);
    unsigned reported = 0, named = 0;
    for (char *p = text; (p = strstr(p, "Final-Recipient:")) != NULL; p++) {
        reported++;
    }
    for (char *p = text; (p = strstr(p, "  <bob@")) != NULL; p++) {
        named++;
    }
    assert_int_equal(reported, MANY);
    assert_int_equal(named, 100);
    assert_non_null(strstr(text, "and 4900 more"));
    free(text);
    free(all);
}

static void test_header(void **state)
{
    static const struct {
        const char *message, *header;
    } cases[] = {
        {"A: 1\r\nB: 2\r\n\r\nbody\r\n", "A: 1\r\nB: 2\r\n"},
        {"A: 1\r\n", "A: 1\r\n"},
        {"A: 1", "A: 1"},
        {"\r\nbody", ""},
        {"", ""},
        {"A: 1\n\nbody", "A: 1\n"},
    };
    static char big[BOUNCE_HEADER_MAX];
    bool cut;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        str header = bounce_header(str_from(cases[i].message), &cut);
        assert_true(str_eq(header, str_from(cases[i].header)));
        assert_false(cut);
    }
    memset(big, 'x', sizeof big);
    assert_int_equal(bounce_header(str_n(big, sizeof big), &cut).len, sizeof big);
    assert_true(cut);
    memcpy(big + 100, "\r\n", 2);
    assert_int_equal(bounce_header(str_n(big, sizeof big), &cut).len, 102);
    assert_true(cut);
}

/* What a message begins with: header and lines of the body. */
static void test_beginning(void **state)
{
    static const struct {
        const char *message;
        unsigned lines;
        const char *part; /* NULL: none */
        bool cut;
    } cases[] = {
        {"A: 1\r\n\r\n1\r\n2\r\n3\r\n", 2, "A: 1\r\n\r\n1\r\n2\r\n", true},
        {"A: 1\r\n\r\n1\r\n2\r\n", 2, "A: 1\r\n\r\n1\r\n2\r\n", false},
        {"A: 1\r\n\r\n1\r\n", 20, "A: 1\r\n\r\n1\r\n", false},
        {"A: 1\r\n\r\n", 2, "A: 1\r\n\r\n", false},
        {"A: 1\r\n\r\n\xfc\r\n", 1, "A: 1\r\n\r\n\xfc\r\n", false},
        {"A: 1\r\n", 2, NULL, false},             /* only a header */
        {"A: \xfc\r\n\r\n1\r\n", 2, NULL, false}, /* which needs encoding */
        {"A: 1\r\n\r\n1\r2\r\n", 2, NULL, false}, /* none of mail */
    };
    bool cut;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        str message = str_from(cases[i].message);
        str part = bounce_beginning(message, true, cases[i].lines, &cut);
        assert_int_equal(part.ptr != NULL, cases[i].part != NULL);
        assert_true(part.ptr == NULL || str_eq(part, str_from(cases[i].part)));
        assert_true(part.ptr == NULL || cut == cases[i].cut);
    }
    /* a last line that was not read to its end is left out */
    str part = bounce_beginning(STR("A: 1\r\n\r\n1\r\n2"), false, 5, &cut);
    assert_true(str_eq(part, STR("A: 1\r\n\r\n1\r\n")) && cut);
}

static void expect_no_shorter(const char *report)
{
    struct buf out;
    buf_init(&out, BOUNCE_MAX);
    assert_false(bounce_shorten(str_from(report), &out));
    buf_free(&out);
}

/* Only what was written here is taken apart. */
static void test_shorten(void **state)
{
    (void)state;
    expect_no_shorter("");
    expect_no_shorter("Subject: x\r\n\r\nbody\r\n");
    expect_no_shorter("Content-Type: multipart/report; boundary=\"\"\r\n\r\n--\r\n");
    expect_no_shorter("Content-Type: multipart/report; boundary=\"x\"\r\n\r\n--x\r\n");
    expect_no_shorter("Content-Type: multipart/report; boundary=\"x\"\r\n\r\n--x\r\n\r\n1"
                      "\r\n--x\r\n\r\n2\r\n--x\r\n\r\n3\r\n--x--\r\n");
    expect_no_shorter(
        "Content-Type: multipart/report; boundary=\"x\"\r\n\r\n--x\r\n\r\n\xfc"
        "\r\n--x\r\n\r\n2\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n"
        "A: 1\r\n\r\n3\r\n--x--\r\n");
    size_t len;
    struct bounce b = make_bounce("you@here.test", str_from(RECEIVED), 1);
    char *text = write_bounce(&b, &len);
    expect_no_shorter(text); /* nothing to be left out */
    free(text);
}

static void test_status(void **state)
{
    static const struct {
        unsigned code;
        unsigned char enhanced[3];
        unsigned status[3];
    } cases[] = {
        {550, {5, 1, 1}, {5, 1, 1}}, {0, {4, 4, 7}, {4, 4, 7}},
        {554, {0, 0, 0}, {5, 0, 0}}, {0, {0, 0, 0}, {5, 0, 0}},
        {450, {0, 0, 0}, {4, 0, 0}}, {550, {2, 1, 5}, {5, 0, 0}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct outcome o = {.class = OUTCOME_FAILED, .code = cases[i].code};
        unsigned status[3];
        memcpy(o.enhanced, cases[i].enhanced, 3);
        bounce_status(&o, BOUNCE_FAILED, status);
        assert_memory_equal(status, cases[i].status, sizeof status);
    }
}

static int print_one(const char *name)
{
    struct bounce b = make_every(name);
    if (strcmp(name, "plain") == 0) {
        b = make_bounce("you@here.test", str_from(RECEIVED), 2);
    } else if (strcmp(name, "eight-bit") == 0) {
        b = make_bounce("you@here.test", str_n(EIGHT_BIT, sizeof EIGHT_BIT - 1), 2);
    }
    struct buf out;
    buf_init(&out, BOUNCE_MAX);
    bool ok = bounce_write(&b, &out);
    if (strcmp(name, "shortened") == 0) {
        struct buf whole = out;
        buf_init(&out, BOUNCE_MAX);
        ok = ok && bounce_shorten(buf_slice(&whole), &out);
        buf_free(&whole);
    }
    ok = ok && fwrite(out.data, 1, out.len, stdout) == out.len;
    buf_free(&out);
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),       cmocka_unit_test(test_lines),
        cmocka_unit_test(test_small_things), cmocka_unit_test(test_many_recipients),
        cmocka_unit_test(test_header),       cmocka_unit_test(test_status),
        cmocka_unit_test(test_beginning),    cmocka_unit_test(test_shorten),
    };
    if (argc == 3 && strcmp(argv[1], "--print") == 0) {
        return print_one(argv[2]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
