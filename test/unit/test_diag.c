#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/diag.h"
#include "base/slugs.h"

struct fixture {
    struct arena *arena;
    struct sources *sources;
    struct diags *diags;
    struct buf out;
};

static int set_up(void **state)
{
    struct arena *a = arena_new();
    struct fixture *f = arena_new_of(a, struct fixture);
    f->arena = a;
    f->sources = sources_new(a);
    f->diags = diags_new(a, f->sources);
    buf_init(&f->out, 1024 * 1024);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct arena *a = f->arena;
    buf_free(&f->out);
    arena_free(&a);
    return 0;
}

static uint32_t add(struct fixture *f, const char *name, str text, struct span from)
{
    return sources_add(f->sources, str_from(name), str_from(name), text, from);
}

/* The span of the first `what` in a source. */
static struct span span_of(struct fixture *f, uint32_t id, const char *what)
{
    str text = sources_get(f->sources, id)->text;
    const char *at = memmem(text.ptr, text.len, what, strlen(what));
    assert_non_null(at);
    return (struct span){id, (uint32_t)(at - text.ptr), (uint32_t)strlen(what)};
}

static void assert_renders(struct fixture *f, const char *expected)
{
    buf_clear(&f->out);
    diags_render(f->diags, false, &f->out);
    assert_true(buf_putc(&f->out, '\0'));
    assert_string_equal(f->out.data, expected);
}

static void test_error_with_mark_and_note(void **state)
{
    struct fixture *f = *state;
    uint32_t id = add(f, "site.cnf", STR("\n\ntcp_relay smtp port 70000\n"), SPAN_NONE);
    struct diag *m = diag_error(f->diags, span_of(f, id, "70000"), "keyword-range",
                                "'%s' needs a number from %d to %d", "port", 1, 65535);
    diag_mark(f->diags, m, span_of(f, id, "port"));
    diag_note(f->diags, m, span_of(f, id, "tcp_relay"),
              "channel 'tcp_relay' was first defined here");
    diag_note(f->diags, m, SPAN_NONE, "second note");
    assert_renders(f, "site.cnf:3:21: error: 'port' needs a number from 1 to 65535 "
                      "[keyword-range]\n"
                      "    3 | tcp_relay smtp port 70000\n"
                      "      |                ~~~~ ^~~~~\n"
                      "site.cnf:3:1: note: channel 'tcp_relay' was first defined here\n"
                      "note: second note\n");
}

static void test_order_and_counts(void **state)
{
    struct fixture *f = *state;
    uint32_t one = add(f, "one", STR("a b c d\n"), SPAN_NONE);
    uint32_t two = add(f, "two", STR("x\n"), SPAN_NONE);
    assert_false(diags_failed(f->diags, true));
    diag_warning(f->diags, span_of(f, two, "x"), "w", "in two");
    assert_true(diags_failed(f->diags, true));
    assert_false(diags_failed(f->diags, false));
    diag_warning(f->diags, span_of(f, one, "d"), "w", "d");
    diag_error(f->diags, span_of(f, one, "b"), "e", "b");
    diag_warning(f->diags, span_of(f, one, "c"), "w", "c");
    diag_error(f->diags, span_of(f, one, "a"), "e", "a");
    diag_error(f->diags, span_of(f, one, "a"), "e", "a again");
    diag_error(f->diags, SPAN_NONE, "e", "nowhere");
    diag_error(f->diags, span_of(f, one, "a"), "e", "a last");
    assert_true(diags_failed(f->diags, false));
    assert_int_equal(diags_errors(f->diags), 5);
    assert_int_equal(diags_warnings(f->diags), 3);
    static const char *const expected[] = {"nowhere", "a", "a again", "a last",
                                           "b",       "c", "d",       "in two"};
    const struct diag *m = diags_first(f->diags);
    for (size_t i = 0; i < 8; i++, m = m->next) {
        assert_non_null(m);
        assert_string_equal(m->text.ptr, expected[i]);
    }
    assert_null(m);
    assert_ptr_equal(diags_sources(f->diags), f->sources);
}

/* Warnings that were added before are taken out, later ones do not come in; errors stay,
 * and so does the order. */
static void test_silence(void **state)
{
    struct fixture *f = *state;
    uint32_t id = add(f, "one", STR("a b c d\n"), SPAN_NONE);
    const struct slug *slug = slug_find(STR("no-effect"));
    diag_warning(f->diags, span_of(f, id, "c"), "no-effect", "c");
    diag_warning(f->diags, span_of(f, id, "b"), "ignored-line", "b");
    diag_warning(f->diags, span_of(f, id, "a"), "no-effect", "a");
    diags_silence(f->diags, slug);
    assert_int_equal(diags_warnings(f->diags), 1);
    struct diag *gone = diag_warning(f->diags, span_of(f, id, "a"), "no-effect", "a");
    diag_note(f->diags, gone, SPAN_NONE, "a note does no harm");
    diag_error(f->diags, span_of(f, id, "a"), "no-effect", "error");
    diags_silence(f->diags, slug);
    assert_int_equal(diags_warnings(f->diags), 1);
    assert_int_equal(diags_errors(f->diags), 1);
    const struct diag *m = diags_first(f->diags);
    assert_string_equal(m->text.ptr, "error");
    assert_string_equal(m->next->text.ptr, "b");
    assert_null(m->next->next);
    diags_silence(f->diags, slug_find(STR("ignored-line")));
    diag_error(f->diags, span_of(f, id, "d"), "quote", "last");
    assert_string_equal(diags_first(f->diags)->next->text.ptr, "last");
    assert_false(diags_warnings(f->diags) > 0);
}

/* However the messages come, they are sorted, and those at one place keep their order. */
static void test_many_in_any_order(void **state)
{
    enum { COUNT = 5000 };
    struct fixture *f = *state;
    char *text = arena_alloc(f->arena, COUNT);
    memset(text, 'x', COUNT - 1);
    uint32_t id = add(f, "one", str_n(text, COUNT - 1), SPAN_NONE);
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t at = i * 2654435761U % (COUNT / 4);
        diag_error(f->diags, (struct span){id, at, 1}, "quote", "%u", i);
        if (i % 1000 == 0) {
            assert_non_null(diags_first(f->diags)); /* sorts what is there */
        }
    }
    unsigned n = 1;
    const struct diag *m = diags_first(f->diags);
    for (; m->next != NULL; m = m->next, n++) {
        const struct diag *next = m->next;
        assert_true(m->span.offset <= next->span.offset);
        if (m->span.offset == next->span.offset) {
            assert_true(atoi(m->text.ptr) < atoi(next->text.ptr));
        }
    }
    assert_int_equal(n, COUNT);
}

static void test_include_chain(void **state)
{
    struct fixture *f = *state;
    uint32_t site = add(f, "site.cnf", STR("first\n<rules\n"), SPAN_NONE);
    uint32_t rules = add(f, "rules", STR("\n\n<more\nx"), span_of(f, site, "<rules"));
    uint32_t more = add(f, "more", STR("bad\nworse\n"), span_of(f, rules, "<more"));
    diag_error(f->diags, span_of(f, more, "bad"), "e", "three deep");
    diag_error(f->diags, span_of(f, more, "worse"), "e", "again");
    diag_error(f->diags, span_of(f, rules, "x"), "e", "two deep");
    diag_warning(f->diags, span_of(f, site, "first"), "w", "not included");
    assert_renders(f, "site.cnf:1:1: warning: not included [w]\n"
                      "    1 | first\n"
                      "      | ^~~~~\n"
                      "In file included from site.cnf:2:\n"
                      "rules:4:1: error: two deep [e]\n"
                      "    4 | x\n"
                      "      | ^\n"
                      "In file included from rules:3,\n"
                      "                 from site.cnf:2:\n"
                      "more:1:1: error: three deep [e]\n"
                      "    1 | bad\n"
                      "      | ^~~\n"
                      "more:2:1: error: again [e]\n"
                      "    2 | worse\n"
                      "      | ^~~~~\n");
}

static void test_odd_places(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        uint32_t offset, length;
        const char *expected;
    } cases[] = {
        /* end of line, empty span */
        {"ab\ncd\n", 6, 2, 0, "f:1:3: error: m [e]\n    1 | ab\n      |   ^\n"},
        /* the span goes on in the next line */
        {"ab\ncd\n", 6, 1, 4, "f:1:2: error: m [e]\n    1 | ab\n      |  ^\n"},
        /* behind the last line */
        {"ab\n", 3, 3, 0, "f:2:1: error: m [e]\n    2 |\n      | ^\n"},
        {"ab", 2, 2, 1, "f:1:3: error: m [e]\n    1 | ab\n      |   ^\n"},
        {"", 0, 0, 0, "f:1:1: error: m [e]\n    1 |\n      | ^\n"},
        /* outside the text: no excerpt, clamped place */
        {"ab", 2, 50, 1, "f:1:3: error: m [e]\n"},
        /* tabs keep their width */
        {"\ta\tbc\n", 6, 3, 2, "f:1:4: error: m [e]\n    1 | \ta\tbc\n      | \t \t^~\n"},
        /* CR LF files */
        {"abc\r\nd", 6, 1, 2, "f:1:2: error: m [e]\n    1 | abc\n      |  ^~\n"},
        {"abc\r\nd", 6, 3, 1, "f:1:4: error: m [e]\n    1 | abc\n      |    ^\n"},
        /* controls, NUL, escape sequences */
        {"\033[1m x\0\x7f y", 10, 9, 1,
         "f:1:10: error: m [e]\n    1 | ?[1m x?? y\n      |          ^\n"},
        /* UTF-8: one column a character; C1 controls and direction marks hidden */
        {"\xC3\xA9 \xC2\x9B \xE2\x80\xAE x", 11, 10, 1,
         "f:1:11: error: m [e]\n    1 | \xC3\xA9 ? ? x\n      |       ^\n"},
        /* not UTF-8 */
        {"\xE9\xFF x", 4, 3, 1, "f:1:4: error: m [e]\n    1 | ?? x\n      |    ^\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(set_up(state), 0);
        struct fixture *f = *state;
        uint32_t id = add(f, "f", str_n(cases[i].text, cases[i].len), SPAN_NONE);
        diag_error(f->diags, (struct span){id, cases[i].offset, cases[i].length}, "e",
                   "m");
        assert_renders(f, cases[i].expected);
        tear_down(state);
    }
}

static void test_messages_are_cleaned(void **state)
{
    struct fixture *f = *state;
    diag_error(f->diags, SPAN_NONE, "e", "word '%s'", "\033[31m\n\xFF\xC3\xA9");
    assert_renders(f, "error: word '?[31m??\xC3\xA9' [e]\n");
}

static void test_long_line_is_a_window(void **state)
{
    struct fixture *f = *state;
    char text[2000];
    memset(text, 'x', sizeof text);
    memcpy(text + 1000, "BAD", 3);
    uint32_t id = add(f, "f", str_n(text, sizeof text), SPAN_NONE);
    diag_error(f->diags, span_of(f, id, "BAD"), "e", "m");
    diags_render(f->diags, false, &f->out);
    str rest = buf_slice(&f->out), head, line, marks;
    assert_true(str_split(&rest, '\n', &head));
    assert_true(str_split(&rest, '\n', &line));
    assert_true(str_split(&rest, '\n', &marks));
    assert_true(str_eq(head, STR("f:1:1001: error: m [e]")));
    assert_true(line.len < 200);
    assert_true(str_starts(line, STR("    1 | ...x")));
    assert_true(str_iends(line, STR("x...")));
    ptrdiff_t bad = str_find(line, 'B');
    assert_true(bad > 0);
    assert_int_equal(str_find(marks, '^'), bad);
    assert_true(str_iends(marks, STR(" ^~~")));
}

static void test_small_output_buffer(void **state)
{
    struct fixture *f = *state;
    uint32_t id = add(f, "f", STR("abc def\n"), SPAN_NONE);
    struct diag *m = diag_error(f->diags, span_of(f, id, "def"), "e", "m");
    diag_note(f->diags, m, span_of(f, id, "abc"), "n");
    for (size_t max = 0; max < 100; max++) {
        struct buf small;
        buf_init(&small, max);
        diags_render(f->diags, true, &small);
        assert_true(small.len <= max);
        buf_free(&small);
    }
}

static void test_colour(void **state)
{
    struct fixture *f = *state;
    uint32_t id = add(f, "f", STR("abc\n"), SPAN_NONE);
    diag_warning(f->diags, span_of(f, id, "bc"), "w", "m");
    diags_render(f->diags, true, &f->out);
    buf_putc(&f->out, '\0');
    assert_string_equal(f->out.data,
                        "\033[1mf:1:2:\033[0m \033[1;35mwarning:\033[0m m [w]\n"
                        "    1 | abc\n"
                        "      | \033[1;32m ^~\033[0m\n");
}

static void test_places(void **state)
{
    struct fixture *f = *state;
    uint32_t id = add(f, "f.cnf", STR("one\ntwo three\n"), SPAN_NONE);
    struct span two = span_of(f, id, "two"), three = span_of(f, id, "three");
    struct place place = span_place(f->sources, three);
    assert_int_equal(place.line, 2);
    assert_int_equal(place.column, 5);
    assert_true(str_eq(place.file, STR("f.cnf")));
    assert_int_equal(span_place(f->sources, SPAN_NONE).line, 0);
    assert_string_equal(span_text(f->arena, f->sources, three).ptr, "f.cnf:2");
    assert_string_equal(span_text(f->arena, f->sources, SPAN_NONE).ptr, "-");
    struct span both = span_join(three, two);
    assert_int_equal(both.offset, two.offset);
    assert_int_equal(both.length, 9);
    assert_int_equal(sources_count(f->sources), 1);
    assert_null(sources_get(f->sources, 0));
    assert_null(sources_get(f->sources, 2));
    struct diag *m = diag_error(f->diags, two, "slug", "text");
    assert_string_equal(diag_line(f->arena, f->diags, m).ptr,
                        "f.cnf:2:1: error: text [slug]");
}

/* Places come from counts made at some bytes only: they are those of counting from the
 * start, at every byte of a text with lines of all lengths; and wrong spans do no harm.
 */
static void test_places_in_a_long_text(void **state)
{
    struct fixture *f = *state;
    enum { LENGTH = 3 * 4096 + 1 };
    for (unsigned variant = 0; variant < 4; variant++) {
        char *text = arena_alloc(f->arena, LENGTH + variant);
        memset(text, 'x', LENGTH + variant);
        for (size_t i = 0; i < LENGTH - 5000; i += 1 + (i * 7 + variant) % 90) {
            text[i] = '\n';
        }
        text[4095] = text[4096] = text[8191] = variant % 2 == 0 ? '\n' : 'x';
        str all = str_n(text, LENGTH - 1 + variant);
        uint32_t id = add(f, "long.cnf", all, SPAN_NONE);
        unsigned line = 1, column = 1;
        for (uint32_t i = 0; i <= all.len; i++) {
            struct place place = span_place(f->sources, (struct span){id, i, 1});
            assert_int_equal(place.line, line);
            assert_int_equal(place.column, column);
            bool end = i < all.len && all.ptr[i] == '\n';
            line += end;
            column = end ? 1 : column + 1;
        }
        struct place end = span_place(f->sources, (struct span){id, UINT32_MAX, 9});
        assert_int_equal(end.line, line);
        assert_int_equal(end.column, column - 1);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_error_with_mark_and_note),
        TEST(test_order_and_counts),
        TEST(test_silence),
        TEST(test_many_in_any_order),
        TEST(test_include_chain),
        TEST(test_places_in_a_long_text),
        cmocka_unit_test(test_odd_places),
        TEST(test_messages_are_cleaned),
        TEST(test_long_line_is_a_window),
        TEST(test_small_output_buffer),
        TEST(test_colour),
        TEST(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
