#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "channels/smtp_data.h"

struct data_case {
    const char *name;
    str input;
    str message; /* what is decoded; not looked at with flaws */
    unsigned flaws;
    bool end;
    str rest; /* what stays behind the end */
};

#define IN(text)                                                                         \
    {                                                                                    \
        text, sizeof(text) - 1                                                           \
    }

static const struct data_case cases[] = {
    {"empty message", IN(".\r\n"), IN(""), 0, true, IN("")},
    {"one line", IN("a\r\n.\r\n"), IN("a\r\n"), 0, true, IN("")},
    {"commands behind", IN("a\r\n.\r\nQUIT\r\n"), IN("a\r\n"), 0, true, IN("QUIT\r\n")},
    {"stuffed dot", IN("..a\r\n.\r\n"), IN(".a\r\n"), 0, true, IN("")},
    {"two dots alone", IN("..\r\n.\r\n"), IN(".\r\n"), 0, true, IN("")},
    {"dot not doubled", IN(".a\r\n.\r\n"), IN("a\r\n"), 0, true, IN("")},
    {"dot inside", IN("a.b\r\n.\r\n"), IN("a.b\r\n"), 0, true, IN("")},
    {"empty lines", IN("\r\n\r\n.\r\n"), IN("\r\n\r\n"), 0, true, IN("")},
    {"not ended", IN("a\r\n."), IN("a\r\n"), 0, false, IN("")},
    {"dot CR", IN("a\r\n.\r"), IN("a\r\n"), 0, false, IN("")},
    {"8 bit", IN("\xe4\xff\r\n.\r\n"), IN("\xe4\xff\r\n"), 0, true, IN("")},
    /* what smuggling is made of: none of these ends the message */
    {"LF . LF", IN("a\n.\nMAIL\r\n"), IN(""), SMTP_DATA_BARE_LF, false, IN("")},
    {"LF . CRLF", IN("a\n.\r\nMAIL\r\n"), IN(""), SMTP_DATA_BARE_LF, false, IN("")},
    {"CRLF . LF", IN("a\r\n.\nMAIL\r\n"), IN(""), SMTP_DATA_BARE_LF, false, IN("")},
    {"CR . CR", IN("a\r.\rMAIL\r\n"), IN(""), SMTP_DATA_BARE_CR, false, IN("")},
    {"CR . CRLF", IN("a\r.\r\nMAIL\r\n"), IN(""), SMTP_DATA_BARE_CR, false, IN("")},
    {"CRLF . CR", IN("a\r\n.\rMAIL\r\n"), IN(""), SMTP_DATA_BARE_CR, false, IN("")},
    {"CRLF . CR CRLF", IN("a\r\n.\r\r\nM\r\n"), IN(""), SMTP_DATA_BARE_CR, false, IN("")},
    {"CR CRLF . CRLF ends", IN("a\r\r\n.\r\nX"), IN(""), SMTP_DATA_BARE_CR, true,
     IN("X")},
    {"LF CRLF . CRLF ends", IN("a\n\r\n.\r\nX"), IN(""), SMTP_DATA_BARE_LF, true,
     IN("X")},
    {"NUL in the end", IN("a\r\n.\0\r\nM\r\n"), IN(""), SMTP_DATA_NUL, false, IN("")},
    {"dot NUL", IN("a\r\n\0.\r\nM\r\n"), IN(""), SMTP_DATA_NUL, false, IN("")},
    {"true end after", IN("a\n.\nb\r\n.\r\nX"), IN(""), SMTP_DATA_BARE_LF, true, IN("X")},
    {"both", IN("a\nb\rc\r\n.\r\n"), IN(""), SMTP_DATA_BARE_LF | SMTP_DATA_BARE_CR, true,
     IN("")},
};

static void run_decode(const struct data_case *c, size_t piece)
{
    struct smtp_data d;
    struct buf out;
    size_t used = 0;
    smtp_data_start(&d, 0);
    buf_init(&out, 1000);
    while (used < c->input.len && d.at != SMTP_DATA_END) {
        str rest = str_sub(c->input, used, piece);
        size_t before = rest.len;
        smtp_data_decode(&d, &rest, &out);
        used += before - rest.len;
    }
    assert_int_equal(d.flaws, c->flaws);
    assert_int_equal(d.at == SMTP_DATA_END, c->end);
    assert_true(str_eq(str_from_pos(c->input, used), c->rest));
    if (c->flaws == 0) {
        assert_true(str_eq(buf_slice(&out), c->message));
        assert_int_equal(d.size_bytes, c->message.len);
    }
    buf_free(&out);
}

static void decode_finds_only_the_true_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t piece = 1; piece <= cases[i].input.len; piece++) {
            run_decode(&cases[i], piece);
        }
    }
}

static void decode_stops_when_out_is_full(void **state)
{
    (void)state;
    struct smtp_data d;
    struct buf out, whole;
    str input = STR("..0123456789\r\nabcdefghijklmnopqrstuvwxyz\r\n..\r\n.\r\nQ"),
        rest = input;
    smtp_data_start(&d, 0);
    buf_init(&out, SMTP_DATA_ROOM + 3);
    buf_init(&whole, 1000);
    while (d.at != SMTP_DATA_END) {
        size_t before = rest.len;
        smtp_data_decode(&d, &rest, &out);
        assert_true(rest.len < before);
        assert_true(buf_str(&whole, buf_slice(&out)));
        buf_clear(&out);
    }
    assert_int_equal(d.flaws, 0);
    assert_true(str_eq(rest, STR("Q")));
    assert_true(str_eq(buf_slice(&whole),
                       STR(".0123456789\r\nabcdefghijklmnopqrstuvwxyz\r\n.\r\n")));
    buf_free(&out);
    buf_free(&whole);
}

static unsigned decode_line_of(size_t len, bool dot, uint64_t limit)
{
    struct smtp_data d;
    struct buf in, out;
    buf_init(&in, 20000);
    buf_init(&out, 20000);
    if (dot) {
        assert_true(buf_putc(&in, '.'));
    }
    for (size_t i = 0; i < len; i++) {
        assert_true(buf_putc(&in, i == 0 && dot ? '.' : 'x'));
    }
    assert_true(buf_puts(&in, "\r\n.\r\n"));
    str rest = buf_slice(&in);
    smtp_data_start(&d, limit);
    smtp_data_decode(&d, &rest, &out);
    assert_int_equal(d.at, SMTP_DATA_END);
    buf_free(&in);
    buf_free(&out);
    return d.flaws;
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(decode_line_of(SMTP_DATA_LINE_MAX, false, 0), 0);
    assert_int_equal(decode_line_of(SMTP_DATA_LINE_MAX, true, 0), 0);
    assert_int_equal(decode_line_of(SMTP_DATA_LINE_MAX + 1, false, 0),
                     SMTP_DATA_LONG_LINE);
    assert_int_equal(decode_line_of(SMTP_DATA_LINE_MAX + 1, true, 0),
                     SMTP_DATA_LONG_LINE);
    assert_int_equal(decode_line_of(98, false, 100), 0);
    assert_int_equal(decode_line_of(98, true, 100), 0);
    assert_int_equal(decode_line_of(99, false, 100), SMTP_DATA_TOO_BIG);
}

struct encode_case {
    str message, wire;
};

static const struct encode_case encode_cases[] = {
    {IN(""), IN(".\r\n")},
    {IN("a\r\n"), IN("a\r\n.\r\n")},
    {IN("a"), IN("a\r\n.\r\n")},
    {IN("a\r\n.\r\n"), IN("a\r\n..\r\n.\r\n")},
    {IN(".a\r\n..b\r\n"), IN("..a\r\n...b\r\n.\r\n")},
    {IN("a.b\r\n"), IN("a.b\r\n.\r\n")},
    {IN("\r\n.x"), IN("\r\n..x\r\n.\r\n")},
    {IN("a\n.\nb"), IN("a\r\n..\r\nb\r\n.\r\n")},
    {IN("a\r.\rb"), IN("a\r\n..\r\nb\r\n.\r\n")},
    {IN("a\r"), IN("a\r\n.\r\n")},
    {IN("\r"), IN("\r\n.\r\n")},
    {IN("a\r\r\n.b"), IN("a\r\n\r\n..b\r\n.\r\n")},
    {IN("a\n\r\n"), IN("a\r\n\r\n.\r\n")},
    {IN("a\0.\0b\r\n\0.\r\n"), IN("a.b\r\n..\r\n.\r\n")},
};

static void run_encode(const struct encode_case *c, size_t piece)
{
    struct smtp_data_encoder e;
    struct buf out;
    buf_init(&out, 1000);
    smtp_data_encode_start(&e);
    for (size_t at = 0; at < c->message.len; at += piece) {
        assert_true(smtp_data_encode(&e, str_sub(c->message, at, piece), &out));
    }
    assert_true(smtp_data_encode_end(&e, &out));
    assert_true(str_eq(buf_slice(&out), c->wire));
    buf_free(&out);
}

static void encode_hides_every_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof encode_cases / sizeof encode_cases[0]; i++) {
        for (size_t piece = 1; piece <= encode_cases[i].message.len + 1; piece++) {
            run_encode(&encode_cases[i], piece);
        }
    }
}

static void encode_says_when_out_is_full(void **state)
{
    (void)state;
    struct smtp_data_encoder e;
    struct buf out;
    buf_init(&out, 10);
    smtp_data_encode_start(&e);
    assert_false(smtp_data_encode(&e, STR("0123456789"), &out));
    assert_int_equal(out.len, 0);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_finds_only_the_true_end),
        cmocka_unit_test(decode_stops_when_out_is_full),
        cmocka_unit_test(limits),
        cmocka_unit_test(encode_hides_every_end),
        cmocka_unit_test(encode_says_when_out_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
