/* reverse: what is said about an address besides what becomes of it, and the bound on the
 * work of one message. test/header has the addresses themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tables/reverse.h"
#include "test/config/memory_loader.h"

static const char config[] = ". $U%$H@tcp-daemon\n\nl\nhere.test\n\n"
                             "tcp_local smtp\ntcp-daemon\n";

static struct snapshot *load(struct arena *a, const char *more)
{
    struct memory_loader memory;
    struct snapshot_request request = {.path = STR(MEMORY_LOADER_MAIN),
                                       .loader = &memory.loader};
    struct diags *diags;
    bool unreadable;
    memory_loader_init(&memory, arena_printf(a, "%s%s", config, more));
    struct snapshot *s = snapshot_load(&request, a, &diags, &unreadable);
    assert_non_null(s);
    return s;
}

/* What becomes of an address of a header, or of the envelope; its text. */
static const char *reversed(const struct snapshot *s, enum route_form form,
                            const char *text, struct arena *a, struct reversal *r)
{
    struct rewrite_context ctx = {.source = s->channels[0],
                                  .direction = ROUTE_BACKWARD,
                                  .form = form,
                                  .destination = s->channels[1]};
    struct address addr;
    assert_null(address_parse(str_from(text), &addr));
    bool changed = reverse_address(s, &ctx, REVERSE_AFTER, a, r, &addr);
    const char *out = address_print(a, &addr).ptr;
    assert_int_equal(changed, strcmp(out, text) != 0);
    return out;
}

static unsigned line_of(const struct snapshot *s, struct span at)
{
    return span_place(s->sources, at).line;
}

static void test_lines(void **state)
{
    struct arena *a = arena_new();
    struct reversal r = {.work = REVERSE_WORK_MAX};
    (void)state;
    struct snapshot *s =
        load(a, "!== mappings\nREVERSE\n\n"
                "  *@a.test   $Y$0@b.test\n"
                "  *@c.test   $Y$D$0@d.test\n"
                "  *@e.test   $Y$0\n"
                "  *@f.test   $:E$Y$0@g.test\n"
                "!== reverse\nx@d.test  y@d.test\n\nz@e.test z@h.test\n");
    assert_string_equal(reversed(s, ROUTE_HEADER, "u@none.test", a, &r), "u@none.test");
    assert_int_equal(r.by.source, 0);
    assert_string_equal(reversed(s, ROUTE_HEADER, "u@a.test", a, &r), "u@b.test");
    assert_int_equal(line_of(s, r.by), 3);
    assert_string_equal(reversed(s, ROUTE_HEADER, "x@c.test", a, &r), "y@d.test");
    assert_int_equal(line_of(s, r.by), 1);
    assert_string_equal(reversed(s, ROUTE_HEADER, "u@f.test", a, &r), "u@f.test");
    assert_string_equal(reversed(s, ROUTE_ENVELOPE, "u@f.test", a, &r), "u@g.test");
    assert_null(r.problem);
    assert_string_equal(reversed(s, ROUTE_HEADER, "u@e.test", a, &r), "u@e.test");
    assert_non_null(r.problem);
    assert_int_equal(line_of(s, r.problem_at), 5);
    assert_string_equal(reversed(s, ROUTE_HEADER, "z@e.test", a, &r), "z@h.test");
    assert_true(r.work < REVERSE_WORK_MAX);
    snapshot_unref(&s);
    arena_free(&a);
}

/* A table that takes long for each address is asked for a number of them, then no more.
 */
static void test_work(void **state)
{
    struct arena *a = arena_new();
    struct reversal r = {.work = REVERSE_WORK_MAX};
    enum { LOCAL = 60 };
    char text[LOCAL + sizeof "@slow.test"];
    unsigned asked = 0;
    (void)state;
    struct snapshot *s = load(a, "!== mappings\nREVERSE\n\n"
                                 "  a*%*%*%*%*$0*$1*$2*$3*b*@slow.test  $Y$0@x.test\n"
                                 "  *@quick.test  $Y$0@x.test\n");
    memset(text, 'a', sizeof text);
    memcpy(text + LOCAL, "@slow.test", sizeof "@slow.test");
    while (r.work > 0 && asked < 1000) {
        struct arena_mark mark = arena_mark(a);
        reversed(s, ROUTE_HEADER, text, a, &r);
        arena_reset(a, mark);
        asked++;
    }
    assert_in_range(asked, 2, 999);
    assert_string_equal(reversed(s, ROUTE_HEADER, "u@quick.test", a, &r), "u@quick.test");
    assert_non_null(r.problem);
    snapshot_unref(&s);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
