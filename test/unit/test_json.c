/* json: what is taken, what is refused and why, and that what is written reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/json.h"

static struct json_object parsed(struct arena *a, const char *text)
{
    struct json_object o;
    const char *reason;
    if (!json_parse(a, str_from(text), &o, &reason)) {
        fail_msg("%s: %s", text, reason);
    }
    return o;
}

static void test_types(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct json_object o = parsed(
        a, " {\"s\" : \"x\", \"i\":-12,\"t\":true,\"f\":false,\"n\":null,"
           "\"big\":99999999999999999999,\"d\":1.5e+3,\"l\":[1,{\"a\":[]},\"]\"]} \r\n");
    assert_int_equal(o.count, 8);
    assert_true(str_eq(json_get(&o, "s", JSON_STRING)->text, STR("x")));
    assert_int_equal(json_get(&o, "i", JSON_INTEGER)->integer, -12);
    assert_true(json_get(&o, "t", JSON_BOOL)->truth);
    assert_false(json_get(&o, "f", JSON_BOOL)->truth);
    assert_non_null(json_get(&o, "n", JSON_NULL));
    assert_true(
        str_eq(json_get(&o, "big", JSON_OTHER)->text, STR("99999999999999999999")));
    assert_true(str_eq(json_get(&o, "d", JSON_OTHER)->text, STR("1.5e+3")));
    assert_true(str_eq(json_get(&o, "l", JSON_OTHER)->text, STR("[1,{\"a\":[]},\"]\"]")));
    assert_null(json_get(&o, "i", JSON_STRING));
    assert_null(json_get(&o, "nothing", JSON_STRING));
    assert_int_equal(parsed(a, "{}").count, 0);
    arena_free(&a);
}

static void test_strings(void **state)
{
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"{\"a\":\"\"}", ""},
        {"{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"}", "\"\\/\b\f\n\r\t"},
        {"{\"a\":\"\\u0041\\u00e9\\u20AC\"}", "A\xC3\xA9\xE2\x82\xAC"},
        {"{\"a\":\"\\ud83d\\ude00\"}", "\xF0\x9F\x98\x80"},
        {"{\"a\":\"\xC3\xA9\"}", "\xC3\xA9"},
    };
    (void)state;
    struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_object o = parsed(a, cases[i].json);
        str text = json_get(&o, "a", JSON_STRING)->text;
        assert_int_equal(text.len, strlen(cases[i].text));
        assert_memory_equal(text.ptr, cases[i].text, text.len);
    }
    arena_free(&a);
}

static void test_refused(void **state)
{
    static const struct {
        const char *json, *reason;
    } cases[] = {
        {"", "not an object"},
        {"[]", "not an object"},
        {"{", "an object needs \"name\":value"},
        {"{\"a\":1", "a comma or the closing brace is missing"},
        {"{\"a\":1,}", "an object needs \"name\":value"},
        {"{a:1}", "an object needs \"name\":value"},
        {"{\"a\" 1}", "an object needs \"name\":value"},
        {"{\"a\":}", "a value is missing"},
        {"{\"a\":tru}", "a value is missing"},
        {"{\"a\":1}x", "text after the object"},
        {"{\"a\":1}{}", "text after the object"},
        {"{\"a\":1,\"a\":2}", "a name is there twice"},
        {"{\"a\":01}", "a malformed number"},
        {"{\"a\":-}", "a malformed number"},
        {"{\"a\":1.}", "a malformed number"},
        {"{\"a\":1e}", "a malformed number"},
        {"{\"a\":+1}", "a value is missing"},
        {"{\"a\":\"x", "a string without an end"},
        {"{\"a\":\"x\\", "unknown escape in a string"},
        {"{\"a\":\"x\\\"", "a string without an end"},
        {"{\"a\":\"\\q\"}", "unknown escape in a string"},
        {"{\"a\":\"\\u12\"}", "a \\u needs four hexadecimal digits"},
        {"{\"a\":\"\\u12g4\"}", "a \\u needs four hexadecimal digits"},
        {"{\"a\":\"\\u0000\"}", "NUL in a string"},
        {"{\"a\":\"\\ud800\"}", "half a surrogate pair"},
        {"{\"a\":\"\\ude00\"}", "half a surrogate pair"},
        {"{\"a\":\"\\ud800\\u0041\"}", "half a surrogate pair"},
        {"{\"a\":\"a\nb\"}", "a control byte in a string"},
        {"{\"a\":\"\xFF\"}", "not UTF-8"},
        {"{\"a\":\"\xC0\x80\"}", "not UTF-8"},
        {"{\"a\":[1 2]}", "a comma or the closing bracket is missing"},
        {"{\"a\":{\"b\"}}", "an object needs \"name\":value"},
        {"{\"a\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}", "nested too deeply"},
    };
    (void)state;
    struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_object o;
        const char *reason = NULL;
        if (json_parse(a, str_from(cases[i].json), &o, &reason)) {
            fail_msg("taken: %s", cases[i].json);
        }
        assert_string_equal(reason, cases[i].reason);
    }
    arena_free(&a);
}

/* A NUL byte ends nothing. */
static void test_nul(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct json_object o;
    const char *reason;
    assert_false(json_parse(a, STR("{}\0"), &o, &reason));
    assert_string_equal(reason, "text after the object");
    assert_false(json_parse(a, STR("{\"a\":\"\0\"}"), &o, &reason));
    assert_string_equal(reason, "a control byte in a string");
    arena_free(&a);
}

static void test_member_limit(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct buf b;
    struct json_object o;
    const char *reason;
    buf_init(&b, 65536);
    for (int i = 0; i < JSON_MEMBERS_MAX + 1; i++) {
        buf_printf(&b, "%c\"m%d\":%d", i == 0 ? '{' : ',', i, i);
    }
    buf_puts(&b, "}");
    assert_false(json_parse(a, buf_slice(&b), &o, &reason));
    assert_string_equal(reason, "too many members");
    buf_free(&b);
    arena_free(&a);
}

static void test_written_reads_back(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct buf b;
    buf_init(&b, 1024);
    str nasty = STR("a\"b\\c\n\t\x01\x7f \xC3\xA9/");
    buf_puts(&b, "{\"a\":");
    assert_true(json_put_string(&b, nasty));
    buf_puts(&b, "}");
    assert_null(memchr(b.data, '\n', b.len)); /* one line, whatever it says */
    struct json_object o;
    const char *reason;
    assert_true(json_parse(a, buf_slice(&b), &o, &reason));
    assert_true(str_eq(json_get(&o, "a", JSON_STRING)->text, nasty));
    buf_clear(&b);
    assert_true(json_put_string(&b, STR("x\xFFy")));
    assert_true(str_eq(buf_slice(&b), STR("\"x\\ufffdy\"")));
    buf_free(&b);
    buf_init(&b, 4);
    assert_false(json_put_string(&b, STR("too long")));
    buf_free(&b);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_refused),      cmocka_unit_test(test_nul),
        cmocka_unit_test(test_member_limit), cmocka_unit_test(test_written_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
