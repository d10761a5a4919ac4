/* report_language: which words a notification gets, and what comes of their sequences.
 * The configuration is test/config/good/notification-texts. */
#include "router/report_language.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { DAY_MS = 24 * 60 * 60 * 1000 };

struct test {
    struct arena *arena;
    struct snapshot *s;
    struct outcome outcome;
    struct bounce_recipient recipient;
    const char *why;
};

static int set_up(void **state)
{
    struct test *t = calloc(1, sizeof *t);
    const char *top = getenv("top_srcdir");
    struct diags *diags;
    bool unreadable;
    t->arena = arena_new();
    struct snapshot_request req = {
        .path = arena_printf(t->arena, "%s/test/config/good/notification-texts",
                             top != NULL ? top : ".")};
    t->s = snapshot_load(&req, t->arena, &diags, &unreadable);
    assert_non_null(t->s);
    outcome_set(&t->outcome, OUTCOME_FAILED, 550, 5, 1, 1, "nobody");
    t->recipient = (struct bounce_recipient){
        .address = STR("bob|x@far.test"), .outcome = &t->outcome, .remote = STR("")};
    *state = t;
    return 0;
}

static int tear_down(void **state)
{
    struct test *t = *state;
    snapshot_unref(&t->s);
    arena_free(&t->arena);
    free(t);
    return 0;
}

static struct report_language question(struct test *t, const char *header)
{
    return (struct report_language){.snapshot = t->s,
                                    .source_channel = STR("tcp_alone"),
                                    .sender = STR("you@here.test"),
                                    .header = str_from(header),
                                    .recipients = &t->recipient,
                                    .count = 1};
}

/* What the header may say is a tag or nothing. */
static void test_probe(void **state)
{
    static const struct {
        const char *header, *language;
    } cases[] = {
        {"Subject: x\r\n", ""},
        {"Accept-Language: de-AT, en;q=0.5\r\n", "de-AT"},
        {"X-Accept-Language: fr\r\nAccept-Language:\r\n de\r\n", "de"},
        {"Accept-Language: *\r\nPreferred-Language: it\r\n", "it"},
        {"Accept-Language: de|failed|x\r\n", "de"},
        {"Accept-Language: ../../etc\r\n", ""},
        {"Accept-Language: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", ""},
    };
    struct test *t = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct report_language q = question(t, cases[i].header);
        str wanted =
            arena_printf(t->arena, "failed|tcp_alone|%s|you@here.test|bob?x@far.test",
                         cases[i].language);
        str got = report_language_probe(&q, t->arena);
        if (!str_eq(got, wanted)) {
            fail_msg("%s: %.*s", cases[i].header, STR_ARG(got));
        }
    }
}

/* What an operator returns, and bad members of a list, which are for its owner. */
static void test_kinds(void **state)
{
    struct test *t = *state;
    struct report_language q = question(t, "Subject: x\r\n");
    q.returned = true;
    assert_true(str_starts(report_language_probe(&q, t->arena), STR("bounced|")));
    t->recipient.action = BOUNCE_DELAYED;
    assert_true(str_starts(report_language_probe(&q, t->arena), STR("delayed|")));
    q.members = true;
    assert_true(str_starts(report_language_probe(&q, t->arena), STR("members|")));
}

static char *written(struct test *t, const struct report_text *text, str header)
{
    struct buf out;
    size_t len;
    struct bounce b = {.local_host = STR("mail.test"),
                       .report_id = STR("R"),
                       .message_id = STR("M"),
                       .sender = STR("you@here.test"),
                       .now_ms = 1000ll * DAY_MS,
                       .arrived_ms = 997ll * DAY_MS,
                       .until_ms = 1009ll * DAY_MS,
                       .recipients = &t->recipient,
                       .count = 1,
                       .header = header,
                       .text = text};
    buf_init(&out, 100000);
    assert_true(bounce_write(&b, &out));
    assert_true(buf_putc(&out, '\0'));
    return buf_take(&out, &len);
}

static void test_language(void **state)
{
    struct test *t = *state;
    static const char header[] =
        "Accept-Language: de\r\nX-Evil: %R\r\n--=_R.141dd76000.0\r\n";
    struct report_language q = question(t, header);
    const struct report_text *text = report_language_text(&q, t->arena, &t->why);
    assert_null(t->why);
    assert_non_null(text);
    assert_true(str_eq(text->language, STR("de")));
    char *report = written(t, text, str_from(header));
    assert_non_null(strstr(report, "\r\nContent-Type: text/plain; charset=utf-8\r\n"
                                   "Content-Language: de\r\n"));
    assert_non_null(strstr(report, "\r\nHier ist die Post.\r\n"));
    assert_non_null(strstr(report, "nicht angekommen =E2=80=93 leider:\r\n"));
    assert_non_null(strstr(report, "\r\n    550 5.1.1 nobody\r\n"));
    assert_non_null(strstr(report, "\r\nX-Evil: %R\r\n")); /* not replaced again */
    assert_non_null(strstr(report, "\r\nGr=C3=BC=C3=9Fe\r\n"));
    free(report);
}

/* Nobody asks for German, and there is no other text of failures: ours. Of what timed out
 * there is one. */
static void test_default(void **state)
{
    struct test *t = *state;
    struct report_language q = question(t, "Subject: x\r\n");
    assert_null(report_language_text(&q, t->arena, &t->why));
    outcome_set(&t->outcome, OUTCOME_FAILED, 0, 4, 4, 7, "not delivered within 12 days");
    const struct report_text *text = report_language_text(&q, t->arena, &t->why);
    assert_non_null(text);
    char *report = written(t, text, STR(""));
    assert_non_null(strstr(report, "\r\nContent-Language: en\r\n"));
    assert_non_null(strstr(report,
                           "\r\nThis is the mail system.\r\n\r\n"
                           "Your message waited 3 days:\r\n\r\n  <bob|x@far.test>"));
    assert_non_null(strstr(report, "\r\n100% sure.\r\n"));
    free(report);
}

/* A text that becomes too long is not the end of the report. */
static void test_too_long(void **state)
{
    enum { TIMES = 30000, LINE = 60 };
    struct test *t = *state;
    char *body = malloc(2 * TIMES), *header = malloc(LINE * 100);
    for (unsigned i = 0; i < TIMES; i++) {
        memcpy(body + 2 * i, "%H", 2);
    }
    memset(header, 'x', LINE * 100);
    struct report_text text = {.charset = STR("us-ascii"),
                               .language = STR("en"),
                               .body = str_n(body, 2 * TIMES)};
    char *report = written(t, &text, str_n(header, LINE * 100));
    assert_non_null(strstr(report, "\r\nYour message could not be delivered"));
    assert_null(strstr(report, "Content-Language"));
    free(report);
    free(body);
    free(header);
}

static void test_folders(void **state)
{
    static const char *const german[] = {"de", "DE", "de/", "PMDF_LANG:de/",
                                         "IMTA_LANG:de"};
    struct test *t = *state;
    for (size_t i = 0; i < sizeof german / sizeof german[0]; i++) {
        const struct report_text *text =
            report_text_find(t->s, str_from(german[i]), REPORT_TEXT_FAILED, &t->why);
        assert_null(t->why);
        assert_true(text != NULL && str_eq(text->language, STR("de")));
    }
    /* not in that folder: the one beside the main file */
    const struct report_text *text =
        report_text_find(t->s, STR("de"), REPORT_TEXT_TIMEDOUT, &t->why);
    assert_true(t->why == NULL && str_eq(text->language, STR("en")));
    assert_null(report_text_find(t->s, STR("../de"), REPORT_TEXT_FAILED, &t->why));
    assert_non_null(t->why);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_probe),    TEST(test_language),
                                       TEST(test_default),  TEST(test_folders),
                                       TEST(test_too_long), TEST(test_kinds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
