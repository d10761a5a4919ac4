/* The rows of base/slugs.def: sorted, told in whole sentences, found; and the table of
 * docs/diagnostics.md is made of them (UPDATE_GOLDEN=1 in the environment writes it). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/slugs.h"

enum { PAGE_MAX = 1 << 20 };
static const char BEGIN[] = "<!-- begin slugs -->\n";
static const char END[] = "<!-- end slugs -->\n";

static void test_rows(void **state)
{
    (void)state;
    const struct slug *s, *before = NULL;
    for (size_t i = 0; (s = slug_at(i)) != NULL; i++) {
        str name = str_from(s->name), text = str_from(s->text);
        assert_true(before == NULL || str_cmp(str_from(before->name), name) < 0);
        assert_true(name.len > 0 && name.len <= 32);
        for (size_t n = 0; n < name.len; n++) {
            assert_true((name.ptr[n] >= 'a' && name.ptr[n] <= 'z') || name.ptr[n] == '-');
        }
        assert_true(text.ptr[text.len - 1] == '.');
        assert_true(text.ptr[0] >= 'A' && text.ptr[0] <= 'Z');
        assert_true(str_find(text, '|') < 0 && str_find(text, '\n') < 0);
        before = s;
    }
    assert_non_null(before);
}

static void test_find(void **state)
{
    (void)state;
    const struct slug *s;
    for (size_t i = 0; (s = slug_at(i)) != NULL; i++) {
        assert_ptr_equal(slug_find(str_from(s->name)), s);
        assert_int_equal(slug_index(s), i);
    }
    assert_null(slug_find(STR("")));
    assert_null(slug_find(STR("keyword")));
    assert_null(slug_find(STR("Keyword-Range")));
    assert_string_equal(slug_nearest(STR("keyword-rnage"))->name, "keyword-range");
    assert_null(slug_nearest(STR("something else")));
}

static void page_read(const char *path, struct buf *out)
{
    char piece[4096];
    size_t n;
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0) {
        assert_true(buf_append(out, piece, n));
    }
    assert_int_equal(fclose(f), 0);
    assert_true(buf_putc(out, '\0'));
}

static void put_table(struct buf *out)
{
    static const char *const severities[] = {
        [SLUG_WARNING] = "warning", [SLUG_ERROR] = "error", [SLUG_EITHER] = "either"};
    const struct slug *s;
    buf_puts(out, "| Slug | Severity | What it means, and what to do |\n|---|---|---|\n");
    for (size_t i = 0; (s = slug_at(i)) != NULL; i++) {
        buf_printf(out, "| `%s` | %s | %s |\n", s->name, severities[s->severity],
                   s->text);
    }
}

static void test_page(void **state)
{
    (void)state;
    const char *top = getenv("top_srcdir");
    char path[512];
    struct buf page, wanted;
    snprintf(path, sizeof path, "%s/docs/diagnostics.md", top != NULL ? top : ".");
    buf_init(&page, PAGE_MAX);
    buf_init(&wanted, PAGE_MAX);
    page_read(path, &page);
    const char *begin = strstr(page.data, BEGIN), *end = strstr(page.data, END);
    assert_true(begin != NULL && end != NULL && begin < end);
    begin += sizeof BEGIN - 1;
    buf_append(&wanted, page.data, (size_t)(begin - page.data));
    put_table(&wanted);
    buf_puts(&wanted, end);
    buf_putc(&wanted, '\0');
    if (getenv("UPDATE_GOLDEN") != NULL) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(wanted.data, f);
        assert_int_equal(fclose(f), 0);
    } else if (strcmp(page.data, wanted.data) != 0) {
        fail_msg("docs/diagnostics.md differs from base/slugs.def: make golden");
    }
    buf_free(&page);
    buf_free(&wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
