#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "channels/smtp_line.h"

struct line_case {
    const char *name;
    str input;
    struct {
        str text;
        unsigned flaws;
    } lines[4];
    unsigned count;
    size_t left; /* bytes of an unfinished line in text, held CR not counted */
};

static const struct line_case cases[] = {
    {"plain", {"NOOP\r\n", 6}, {{{"NOOP", 4}, 0}}, 1, 0},
    {"two", {"A\r\nB\r\n", 6}, {{{"A", 1}, 0}, {{"B", 1}, 0}}, 2, 0},
    {"empty", {"\r\n\r\n", 4}, {{{"", 0}, 0}, {{"", 0}, 0}}, 2, 0},
    {"unfinished", {"A\r\nBC\r", 6}, {{{"A", 1}, 0}}, 1, 2},
    {"bare LF never ends", {"A\nB\r\n", 5}, {{{"A\nB", 3}, SMTP_LINE_BARE_LF}}, 1, 0},
    {"bare CR never ends", {"A\rB\r\n", 5}, {{{"A\rB", 3}, SMTP_LINE_BARE_CR}}, 1, 0},
    {"CR CR LF", {"A\r\r\n", 4}, {{{"A\r", 2}, SMTP_LINE_BARE_CR}}, 1, 0},
    {"LF CR LF", {"A\n\r\n", 4}, {{{"A\n", 2}, SMTP_LINE_BARE_LF}}, 1, 0},
    {"NUL", {"A\0B\r\n", 5}, {{{"A\0B", 3}, SMTP_LINE_NUL}}, 1, 0},
    {"as long as can be",
     {"12345678\r\nB\r\n", 13},
     {{{"12345678", 8}, 0}, {{"B", 1}, 0}},
     2,
     0},
    {"too long, tail dropped",
     {"123456789QUIT\r\nB\r\n", 18},
     {{{"12345678", 8}, SMTP_LINE_LONG}, {{"B", 1}, 0}},
     2,
     0},
    {"too long with a bare LF in the tail",
     {"123456789\nQUIT\r\n", 16},
     {{{"12345678", 8}, SMTP_LINE_LONG | SMTP_LINE_BARE_LF}},
     1,
     0},
};

static void run_case(const struct line_case *c, size_t piece)
{
    struct smtp_line l;
    unsigned count = 0;
    smtp_line_init(&l, 10);
    for (size_t at = 0; at < c->input.len; at += piece) {
        str rest = str_sub(c->input, at, piece);
        while (smtp_line_feed(&l, &rest)) {
            assert_true(count < c->count);
            assert_true(str_eq(buf_slice(&l.text), c->lines[count].text));
            assert_int_equal(l.flaws, c->lines[count].flaws);
            count++;
            smtp_line_reset(&l);
        }
        assert_int_equal(rest.len, 0);
    }
    assert_int_equal(count, c->count);
    assert_int_equal(l.text.len, c->left);
    smtp_line_free(&l);
}

static void lines_end_in_crlf_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t piece = 1; piece <= cases[i].input.len; piece++) {
            run_case(&cases[i], piece);
        }
    }
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct smtp_line l;
    char chunk[4096];
    memset(chunk, 'x', sizeof chunk);
    smtp_line_init(&l, 1000);
    for (int i = 0; i < 256; i++) {
        str rest = str_n(chunk, sizeof chunk);
        assert_false(smtp_line_feed(&l, &rest));
    }
    assert_int_equal(l.text.len, 998);
    assert_true(l.text.cap <= 1024);
    str rest = STR("\r\nNOOP\r\n");
    assert_true(smtp_line_feed(&l, &rest));
    assert_int_equal(l.flaws, SMTP_LINE_LONG);
    smtp_line_reset(&l);
    assert_true(smtp_line_feed(&l, &rest));
    assert_true(str_eq(buf_slice(&l.text), STR("NOOP")));
    smtp_line_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_end_in_crlf_only),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
