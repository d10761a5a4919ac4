#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/log.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

struct fixture {
    int pipe[2];
    struct log *log;
    char text[8192];
};

static int set_up(void **state)
{
    static struct fixture f;
    assert_int_equal(pipe(f.pipe), 0);
    f.log = log_new(f.pipe[1], LOG_KEYVALUE);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    log_free(&f->log);
    assert_null(f->log);
    close(f->pipe[0]);
    close(f->pipe[1]);
    return 0;
}

/* What one log_end() wrote, without the time, the event and the end of line. */
static const char *fields(struct fixture *f, enum log_format format)
{
    ssize_t n = read(f->pipe[0], f->text, sizeof f->text - 1);
    assert_true(n > 0);
    assert_int_equal(f->text[n - 1], '\n');
    f->text[n - 1] = '\0';
    assert_null(strchr(f->text, '\n'));
    const char *mark = format == LOG_JSON ? ",\"event\":\"switch\"" : " event=switch";
    const char *at = strstr(f->text, mark);
    assert_non_null(at);
    return at + strlen(mark);
}

static void test_time_and_event_lead(void **state)
{
    struct fixture *f = *state;
    struct log_line line;
    int y, mo, d, h, mi, s, us, end = 0;
    log_begin(&line, f->log, LOG_DOWNGRADE);
    log_end(&line);
    ssize_t n = read(f->pipe[0], f->text, sizeof f->text - 1);
    f->text[n] = '\0';
    sscanf(f->text, "ts=%4d-%2d-%2dT%2d:%2d:%2d.%6d+00:00 event=tls_downgrade\n%n", &y,
           &mo, &d, &h, &mi, &s, &us, &end);
    assert_int_equal(end, n);
}

static void test_encoding(void **state)
{
    struct fixture *f = *state;
    static const struct {
        str value;
        const char *keyvalue, *json;
    } cases[] = {
        {{"tcp_local", 9}, "tcp_local", "\"tcp_local\""},
        {{"<a@b>;c,d/[1]", 13}, "<a@b>;c,d/[1]", "\"<a@b>;c,d/[1]\""},
        {{"", 0}, "\"\"", "\"\""},
        {{NULL, 0}, "\"\"", "\"\""},
        {{"two words", 9}, "\"two words\"", "\"two words\""},
        {{"a=b", 3}, "\"a=b\"", "\"a=b\""},
        {{"say \"hi\"", 8}, "\"say \\\"hi\\\"\"", "\"say \\\"hi\\\"\""},
        {{"\"", 1}, "\"\\\"\"", "\"\\\"\""},
        {{"back\\slash", 10}, "\"back\\\\slash\"", "\"back\\\\slash\""},
        {{"a\r\nb", 4}, "\"a\\x0d\\x0ab\"", "\"a\\u000d\\u000ab\""},
        {{"\0", 1}, "\"\\x00\"", "\"\\u0000\""},
        {{"\x1b[31m", 5}, "\"\\x1b[31m\"", "\"\\u001b[31m\""},
        {{"\x7f", 1}, "\"\\x7f\"", "\"\\u007f\""},
        {{"\xC3\xA9", 2}, "\"\xC3\xA9\"", "\"\xC3\xA9\""},
        {{"\xC2\x85", 2}, "\"\\xc2\\x85\"", "\"\\u0085\""},
        {{"\xE2\x80\xA8", 3}, "\"\\xe2\\x80\\xa8\"", "\"\\u2028\""},
        {{"\xFF\xC3", 2}, "\"\\xff\\xc3\"", "\"\\ufffd\\ufffd\""},
        {{"\xF0\x9F\x98\x80", 4}, "\"\xF0\x9F\x98\x80\"", "\"\xF0\x9F\x98\x80\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char expected[100];
        struct log_line line;
        log_set_format(f->log, LOG_KEYVALUE);
        log_begin(&line, f->log, LOG_SWITCH);
        log_str(&line, "k", cases[i].value);
        log_end(&line);
        snprintf(expected, sizeof expected, " k=%s", cases[i].keyvalue);
        assert_string_equal(fields(f, LOG_KEYVALUE), expected);
        log_set_format(f->log, LOG_JSON);
        log_begin(&line, f->log, LOG_SWITCH);
        log_str(&line, "k", cases[i].value);
        log_end(&line);
        snprintf(expected, sizeof expected, ",\"k\":%s}", cases[i].json);
        assert_string_equal(fields(f, LOG_JSON), expected);
    }
}

static void write_all_kinds(struct log_line *line)
{
    log_cstr(line, "skipped", NULL);
    log_cstr(line, "c", "x y");
    log_int(line, "i", INT64_MIN);
    log_int(line, "j", 7);
    log_duration_ms(line, "d", 1249999);
    log_fmt(line, "f", "%s:%d", "site.cnf", 12);
    log_end(line);
}

static void test_kinds_of_values(void **state)
{
    struct fixture *f = *state;
    struct log_line line;
    log_begin(&line, f->log, LOG_SWITCH);
    write_all_kinds(&line);
    assert_string_equal(fields(f, LOG_KEYVALUE),
                        " c=\"x y\" i=-9223372036854775808 j=7 d=1.2 f=site.cnf:12");
    log_set_format(f->log, LOG_JSON);
    log_begin(&line, f->log, LOG_SWITCH);
    log_set_format(f->log, LOG_KEYVALUE); /* a line keeps the format it began with */
    write_all_kinds(&line);
    assert_string_equal(fields(f, LOG_JSON), ",\"c\":\"x y\",\"i\":-9223372036854775808,"
                                             "\"j\":7,\"d\":1.2,\"f\":\"site.cnf:12\"}");
    assert_memory_equal(f->text, "{\"ts\":\"", 7);
}

static void test_long_value_is_cut(void **state)
{
    struct fixture *f = *state;
    static char big[5000];
    memset(big, '\x01', sizeof big);
    for (int format = LOG_KEYVALUE; format <= LOG_JSON;
         format += LOG_JSON - LOG_KEYVALUE) {
        bool json = format == LOG_JSON;
        struct log_line line;
        log_set_format(f->log, (enum log_format)format);
        log_begin(&line, f->log, LOG_SWITCH);
        log_str(&line, "big", str_n(big, sizeof big));
        log_cstr(&line, "after", "x");
        log_end(&line);
        const char *text = fields(f, (enum log_format)format);
        const char *tail =
            json ? "...\",\"after\":\"x\",\"cut\":1}" : "...\" after=x cut=1";
        assert_true(strlen(text) < 1100);
        assert_string_equal(text + strlen(text) - strlen(tail), tail);
    }
    struct log_line line;
    log_set_format(f->log, LOG_KEYVALUE);
    log_begin(&line, f->log, LOG_SWITCH);
    log_fmt(&line, "f", "%02000d", 1);
    log_end(&line);
    const char *text = fields(f, LOG_KEYVALUE);
    assert_string_equal(text + strlen(text) - 10, "0... cut=1");
}

static void test_full_line_drops_fields(void **state)
{
    struct fixture *f = *state;
    static char big[2000];
    for (int fill = 0; fill < 2; fill++) {
        memset(big, fill ? '\xFF' : 'x', sizeof big);
        for (int format = LOG_KEYVALUE; format <= LOG_JSON; format += 4) {
            struct log_line line;
            log_set_format(f->log, (enum log_format)format);
            log_begin(&line, f->log, LOG_SWITCH);
            for (int i = 0; i < 300; i++) {
                log_str(&line, "k", str_n(big, (size_t)i * 7 % 1500));
                log_int(&line, "number", INT64_MIN);
            }
            log_end(&line);
            const char *text = fields(f, (enum log_format)format);
            const char *tail = format == LOG_JSON ? ",\"cut\":1}" : " cut=1";
            assert_true(strlen(f->text) < sizeof line.text);
            assert_string_equal(text + strlen(text) - strlen(tail), tail);
        }
    }
}

static void test_every_event_has_name_and_text(void **state)
{
    (void)state;
    for (unsigned e = 0; e < LOG_EVENT_COUNT; e++) {
        const char *name = log_event_name((enum log_event)e);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
        assert_true(strlen(name) > 0);
        assert_true(strlen(log_event_text((enum log_event)e)) > 10);
        for (unsigned other = 0; other < e; other++) {
            assert_string_not_equal(name, log_event_name((enum log_event)other));
        }
    }
    assert_string_equal(log_event_name(LOG_DOWNGRADE), "tls_downgrade");
}

static void test_dead_log_does_no_harm(void **state)
{
    (void)state;
    struct log *l = log_new(-1, LOG_KEYVALUE);
    struct log_line line;
    log_begin(&line, l, LOG_SWITCH);
    log_end(&line);
    log_free(&l);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_time_and_event_lead),
        TEST(test_encoding),
        TEST(test_kinds_of_values),
        TEST(test_long_value_is_cut),
        TEST(test_full_line_drops_fields),
        cmocka_unit_test(test_every_event_has_name_and_text),
        cmocka_unit_test(test_dead_log_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
