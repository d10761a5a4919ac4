#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "channels/smtp_reply.h"

#define IN(text)                                                                         \
    {                                                                                    \
        text, sizeof(text) - 1                                                           \
    }

struct reply_case {
    str input;
    enum smtp_reply_status status;
    unsigned code, enhanced[3];
    const char *text; /* or the flaw */
};

static const struct reply_case cases[] = {
    {IN("220 mx.example ESMTP\r\n"), SMTP_REPLY_DONE, 220, {0}, "mx.example ESMTP"},
    {IN("250\r\n"), SMTP_REPLY_DONE, 250, {0}, ""},
    {IN("250 \r\n"), SMTP_REPLY_DONE, 250, {0}, ""},
    {IN("250 2.1.0 ok\r\n"), SMTP_REPLY_DONE, 250, {2, 1, 0}, "ok"},
    {IN("550 5.1.1\r\n"), SMTP_REPLY_DONE, 550, {5, 1, 1}, ""},
    {IN("550 5.1.255 x\r\n"), SMTP_REPLY_DONE, 550, {5, 1, 255}, "x"},
    {IN("550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user\r\n"),
     SMTP_REPLY_DONE,
     550,
     {5, 1, 1},
     "no\nsuch\nuser"},
    {IN("550-no\r\n550 5.1.1 user\r\n"), SMTP_REPLY_DONE, 550, {5, 1, 1}, "no\nuser"},
    {IN("250-a\r\n250-SIZE 10\r\n250 HELP\r\n"),
     SMTP_REPLY_DONE,
     250,
     {0},
     "a\nSIZE 10\nHELP"},
    /* looks like an enhanced code, is none */
    {IN("550 4.1.1 x\r\n"), SMTP_REPLY_DONE, 550, {0}, "4.1.1 x"},
    {IN("550 5.1 x\r\n"), SMTP_REPLY_DONE, 550, {0}, "5.1 x"},
    {IN("550 5.1.1.1 x\r\n"), SMTP_REPLY_DONE, 550, {0}, "5.1.1.1 x"},
    {IN("550 5.1.999 x\r\n"), SMTP_REPLY_DONE, 550, {0}, "5.1.999 x"},
    {IN("550 5.1.x\r\n"), SMTP_REPLY_DONE, 550, {0}, "5.1.x"},
    {IN("354 3.0.0 go\r\n"), SMTP_REPLY_DONE, 354, {0}, "3.0.0 go"},
    /* not complete */
    {IN("250 ok\r"), SMTP_REPLY_MORE, 0, {0}, ""},
    {IN("250-ok\r\n"), SMTP_REPLY_MORE, 250, {0}, "ok"},
    {IN(""), SMTP_REPLY_MORE, 0, {0}, ""},
    /* bad */
    {IN("hello\r\n"), SMTP_REPLY_BAD, 0, {0}, "a reply does not begin with a code"},
    {IN("\r\n"), SMTP_REPLY_BAD, 0, {0}, "a reply does not begin with a code"},
    {IN("25 ok\r\n"), SMTP_REPLY_BAD, 0, {0}, "a reply does not begin with a code"},
    {IN("2500 ok\r\n"), SMTP_REPLY_BAD, 0, {0}, "a reply does not begin with a code"},
    {IN("199 ok\r\n"), SMTP_REPLY_BAD, 0, {0}, "a reply does not begin with a code"},
    {IN("600 ok\r\n"), SMTP_REPLY_BAD, 0, {0}, "a reply does not begin with a code"},
    {IN("-\r\n"), SMTP_REPLY_BAD, 0, {0}, "a reply does not begin with a code"},
    {IN("250-a\r\n251 b\r\n"),
     SMTP_REPLY_BAD,
     0,
     {0},
     "the lines of a reply have different codes"},
    {IN("250 a\nb"), SMTP_REPLY_BAD, 0, {0}, "a reply line does not end in CR LF"},
    {IN("250 a\rb"), SMTP_REPLY_BAD, 0, {0}, "a reply line does not end in CR LF"},
    {IN("250 a\0b\r\n"), SMTP_REPLY_BAD, 0, {0}, "a reply holds a NUL"},
};

static enum smtp_reply_status feed(struct smtp_reply *r, str input, size_t piece)
{
    enum smtp_reply_status status = SMTP_REPLY_MORE;
    for (size_t at = 0; at < input.len && status == SMTP_REPLY_MORE; at += piece) {
        str rest = str_sub(input, at, piece);
        status = smtp_reply_feed(r, &rest);
    }
    return status;
}

static void syntax(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct reply_case *c = &cases[i];
        for (size_t piece = 1; piece <= c->input.len; piece++) {
            struct smtp_reply r;
            smtp_reply_init(&r);
            assert_int_equal(feed(&r, c->input, piece), c->status);
            if (c->status == SMTP_REPLY_BAD) {
                assert_string_equal(r.flaw, c->text);
            } else {
                assert_int_equal(r.code, c->code);
                assert_memory_equal(r.enhanced, c->enhanced, sizeof r.enhanced);
                assert_true(str_eq(buf_slice(&r.text), str_from(c->text)));
            }
            smtp_reply_free(&r);
        }
    }
}

static void several_in_one_piece(void **state)
{
    (void)state;
    struct smtp_reply r;
    str rest = STR("250 2.1.0 a\r\n550 b\r\n354");
    smtp_reply_init(&r);
    assert_int_equal(smtp_reply_feed(&r, &rest), SMTP_REPLY_DONE);
    assert_int_equal(r.code, 250);
    smtp_reply_reset(&r);
    assert_int_equal(smtp_reply_feed(&r, &rest), SMTP_REPLY_DONE);
    assert_int_equal(r.code, 550);
    assert_int_equal(r.enhanced[0], 0);
    smtp_reply_reset(&r);
    assert_int_equal(smtp_reply_feed(&r, &rest), SMTP_REPLY_MORE);
    smtp_reply_free(&r);
}

static void limits(void **state)
{
    (void)state;
    struct smtp_reply r;
    char text[5000];
    str line;
    memset(text, 'x', sizeof text);
    memcpy(text, "250 ", 4);
    smtp_reply_init(&r);
    line = str_n(text, SMTP_REPLY_LINE_MAX - 2);
    assert_int_equal(feed(&r, line, 1000), SMTP_REPLY_MORE);
    assert_int_equal(feed(&r, STR("\r\n"), 2), SMTP_REPLY_DONE);
    smtp_reply_reset(&r);
    line.len++; /* too long, and told so before it ends */
    assert_int_equal(feed(&r, line, 1000), SMTP_REPLY_BAD);
    assert_string_equal(r.flaw, "a reply line is too long");
    smtp_reply_reset(&r);
    for (int i = 0; i < SMTP_REPLY_LINES_MAX; i++) {
        assert_int_equal(feed(&r, STR("250-x\r\n"), 100), SMTP_REPLY_MORE);
    }
    assert_int_equal(feed(&r, STR("250 x\r\n"), 100), SMTP_REPLY_BAD);
    smtp_reply_reset(&r);
    enum smtp_reply_status status = SMTP_REPLY_MORE;
    int lines = 0;
    text[3] = '-';
    memcpy(text + 4000, "\r\n", 2);
    while (status == SMTP_REPLY_MORE && lines < 100) {
        status = feed(&r, str_n(text, 4002), 5000);
        lines++;
    }
    assert_int_equal(status, SMTP_REPLY_BAD);
    assert_int_equal(lines, 17); /* 64 KiB */
    smtp_reply_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syntax),
        cmocka_unit_test(several_in_one_piece),
        cmocka_unit_test(limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
