#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "channels/smtp_syntax.h"

static void commands(void **state)
{
    (void)state;
    static const struct {
        const char *line, *verb, *args;
    } cases[] = {
        {"NOOP", "NOOP", ""},
        {"NOOP ", "NOOP", ""},
        {"NOOP \t ", "NOOP", ""},
        {"EHLO a.example", "EHLO", "a.example"},
        {"EHLO   a  b ", "EHLO", "a  b"},
        {" NOOP", "", "NOOP"},
        {"", "", ""},
        {"MAIL FROM:<a@b> SIZE=1", "MAIL", "FROM:<a@b> SIZE=1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        str verb, args;
        smtp_command_split(str_from(cases[i].line), &verb, &args);
        assert_true(str_eq(verb, str_from(cases[i].verb)));
        assert_true(str_eq(args, str_from(cases[i].args)));
    }
}

static void paths(void **state)
{
    (void)state;
    static const struct {
        const char *args, *path, *rest; /* path NULL: refused */
    } cases[] = {
        {"FROM:<a@b>", "a@b", ""},
        {"from:<a@b>", "a@b", ""},
        {"FROM: <a@b>", "a@b", ""},
        {"FROM:<>", "", ""},
        {"FROM:<a@b> SIZE=1", "a@b", " SIZE=1"},
        {"FROM:<\"x>y\"@b> S=1", "\"x>y\"@b", " S=1"},
        {"FROM:<\"x\\\">y\"@b>", "\"x\\\">y\"@b", ""},
        {"FROM:<@a,@b:c@d>", "@a,@b:c@d", ""},
        {"FROM:<a@b>SIZE=1", NULL, NULL},
        {"FROM:<a@b", NULL, NULL},
        {"FROM:a@b", NULL, NULL},
        {"FROM:", NULL, NULL},
        {"FROM <a@b>", NULL, NULL},
        {"TO:<a@b>", NULL, NULL},
        {"FROM:<\"x>@b", NULL, NULL},
        {"FROM:<\"x\\", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        str args = str_from(cases[i].args), path;
        bool ok = smtp_path_take(&args, STR("FROM:"), &path);
        assert_int_equal(ok, cases[i].path != NULL);
        if (ok) {
            assert_true(str_eq(path, str_from(cases[i].path)));
            assert_true(str_eq(args, str_from(cases[i].rest)));
        }
    }
}

static void params(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum smtp_param_status status;
        const char *keyword, *value;
    } cases[] = {
        {"", SMTP_PARAM_END, NULL, NULL},
        {"  ", SMTP_PARAM_END, NULL, NULL},
        {" SIZE=10", SMTP_PARAM_GOOD, "SIZE", "10"},
        {" SMTPUTF8", SMTP_PARAM_GOOD, "SMTPUTF8", NULL},
        {" X-1=a,b", SMTP_PARAM_GOOD, "X-1", "a,b"},
        {" SIZE=", SMTP_PARAM_BAD, NULL, NULL},
        {" =1", SMTP_PARAM_BAD, NULL, NULL},
        {" -X=1", SMTP_PARAM_BAD, NULL, NULL},
        {" S=1=2", SMTP_PARAM_BAD, NULL, NULL},
        {" S_=1", SMTP_PARAM_BAD, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct smtp_param p;
        str rest = str_from(cases[i].text);
        assert_int_equal(smtp_param_take(&rest, &p), cases[i].status);
        if (cases[i].status == SMTP_PARAM_GOOD) {
            assert_true(str_eq(p.keyword, str_from(cases[i].keyword)));
            assert_true(str_eq(p.value, str_from(cases[i].value)));
            assert_int_equal(p.value.ptr == NULL, cases[i].value == NULL);
            assert_int_equal(smtp_param_take(&rest, &p), SMTP_PARAM_END);
        }
    }
    struct smtp_param p;
    str rest = STR(" A=1  B");
    assert_int_equal(smtp_param_take(&rest, &p), SMTP_PARAM_GOOD);
    assert_int_equal(smtp_param_take(&rest, &p), SMTP_PARAM_GOOD);
    assert_true(str_eq(p.keyword, STR("B")));
}

static void helo_names(void **state)
{
    (void)state;
    char longest[SMTP_HELO_MAX + 1];
    memset(longest, 'a', sizeof longest);
    assert_true(smtp_helo_ok(STR("mail.example")));
    assert_true(smtp_helo_ok(STR("[192.0.2.1]")));
    assert_true(smtp_helo_ok(STR("MY_PC")));
    assert_true(smtp_helo_ok(str_n(longest, SMTP_HELO_MAX)));
    assert_false(smtp_helo_ok(str_n(longest, SMTP_HELO_MAX + 1)));
    assert_false(smtp_helo_ok(STR("")));
    assert_false(smtp_helo_ok(STR("a b")));
    assert_false(smtp_helo_ok(STR("a\tb")));
    assert_false(smtp_helo_ok(STR("a\x7f")));
    assert_false(smtp_helo_ok(STR("\xc3\xa4.example")));
}

static void http(void **state)
{
    (void)state;
    static const char *const yes[] = {"GET / HTTP/1.1",
                                      "post /x HTTP/1.0",
                                      "Host: a.example",
                                      "CONNECT a:25 HTTP/1.1",
                                      "Content-Type: text/plain",
                                      "PRI * HTTP/2.0",
                                      "x:"};
    static const char *const no[] = {
        "NOOP", "MAIL FROM:<a@b>", "", ":", "HELP", "a b: c", "GETX /", "RCPT TO:<x@y>"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        assert_true(smtp_is_http(str_from(yes[i])));
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        assert_false(smtp_is_http(str_from(no[i])));
    }
}

static void sendable(void **state)
{
    (void)state;
    static const char *const yes[] = {"",           "a@b",          "@x,@y:a@b",
                                      "\"a b\"@c",  "\"a>b\"@c",    "\"a\\\"> \"@c",
                                      "postmaster", "a@[192.0.2.1]"};
    static const char *const no[] = {"a b@c",   "a@b> SIZE=1", "a\r\nRCPT TO:<x@y>",
                                     "<a@b",    "\"a@b",       "\"a\\",
                                     "a\x7f@b", "\xc3\xa4@b",  "a\t@b"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        assert_true(smtp_path_sendable(str_from(yes[i])));
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        assert_false(smtp_path_sendable(str_from(no[i])));
    }
    assert_false(smtp_path_sendable(STR("a\0b@c")));
}

static void replies(void **state)
{
    (void)state;
    struct buf out;
    char long_text[1000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    buf_init(&out, 600);
    assert_true(smtp_reply_print(&out, &(struct smtp_reply_line){250, {2, 1, 0}, "OK"}));
    assert_true(str_eq(buf_slice(&out), STR("250 2.1.0 OK\r\n")));
    buf_clear(&out);
    assert_true(smtp_reply_print(&out, &(struct smtp_reply_line){354, {0, 0, 0}, "Go"}));
    assert_true(str_eq(buf_slice(&out), STR("354 Go\r\n")));
    buf_clear(&out);
    assert_true(smtp_reply_print(
        &out, &(struct smtp_reply_line){550, {5, 0, 0}, "a\r\n250 b\tc\xe4"}));
    assert_true(str_eq(buf_slice(&out), STR("550 5.0.0 a??250 b?c?\r\n")));
    buf_clear(&out);
    assert_true(
        smtp_reply_print(&out, &(struct smtp_reply_line){550, {5, 0, 0}, long_text}));
    assert_true(out.len <= 512);
    assert_true(str_iends(buf_slice(&out), STR("x\r\n")));
    size_t len = out.len;
    assert_false(
        smtp_reply_print(&out, &(struct smtp_reply_line){550, {5, 0, 0}, long_text}));
    assert_int_equal(out.len, len);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands),   cmocka_unit_test(paths), cmocka_unit_test(params),
        cmocka_unit_test(helo_names), cmocka_unit_test(http),  cmocka_unit_test(sendable),
        cmocka_unit_test(replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
