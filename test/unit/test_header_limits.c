/* Headers at their limits: all of what is asked for, or nothing and a word about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "router/header_rewrite.h"
#include "test/unit/route_fixture.h"

static const char CONFIG[] =
    "old.test $U%new.test@tcp-out\nnew.test $U%new.test@tcp-out\n"
    "\nl\nhere.test\n\ntcp_out\ntcp-out\n";

struct made {
    struct fixture f;
    struct buf header, out;
    unsigned work;
};

static void setup(struct made *m)
{
    m->f = fixture_new(CONFIG, NULL);
    m->work = HEADER_WORK_MAX;
    buf_init(&m->header, 1 << 20);
    buf_init(&m->out, 2 * HEADER_PROCESSED_MAX);
}

static void teardown(struct made *m)
{
    buf_free(&m->header);
    buf_free(&m->out);
    fixture_free(&m->f);
}

static void put(struct made *m, const char *text, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        assert_true(buf_puts(&m->header, text));
    }
}

static enum header_verdict rewrite(struct made *m)
{
    struct header_context c = {
        .snapshot = m->f.s,
        .source = fixture_channel(&m->f, "l"),
        .destination = fixture_channel(&m->f, "tcp_out"),
        .bare_domain = STR("here.test"),
        .sender = STR("ann@here.test"),
    };
    struct arena *a = arena_new();
    buf_clear(&m->out);
    enum header_verdict v =
        header_rewrite(&c, buf_slice(&m->header), &m->work, a, &m->out);
    arena_free(&a);
    return v;
}

static unsigned count(const struct buf *text, const char *what)
{
    unsigned n = 0;
    str rest = buf_slice(text);
    const char *at;
    while (rest.len > 0 &&
           (at = memmem(rest.ptr, rest.len, what, strlen(what))) != NULL) {
        n++;
        rest = str_from_pos(rest, (size_t)(at - rest.ptr) + strlen(what));
    }
    return n;
}

static void as_many_addresses_as_are_allowed(void **state)
{
    struct made m;
    (void)state;
    setup(&m);
    put(&m, "To: a@old.test,b@x\r\n", HEADER_WORK_MAX / 2);
    assert_int_equal(rewrite(&m), HEADER_CHANGED);
    assert_int_equal(count(&m.out, "a@new.test, b@x\r\n"), HEADER_WORK_MAX / 2);
    assert_int_equal(m.work, 0);

    m.work = HEADER_WORK_MAX;
    put(&m, "To: a@old.test\r\n", 1);
    assert_int_equal(rewrite(&m), HEADER_TOO_MUCH);
    assert_int_equal(m.out.len, 0);
    teardown(&m);
}

/* Nothing changes: that has to be known before it is said. */
static void more_that_would_stay(void **state)
{
    struct made m;
    (void)state;
    setup(&m);
    put(&m, "To: a@new.test\r\n", HEADER_WORK_MAX);
    assert_int_equal(rewrite(&m), HEADER_SAME);
    put(&m, "To: a@new.test\r\n", 1);
    m.work = HEADER_WORK_MAX;
    assert_int_equal(rewrite(&m), HEADER_TOO_MUCH);
    teardown(&m);
}

static void all_addresses_in_one_field(void **state)
{
    struct made m;
    (void)state;
    setup(&m);
    put(&m, "To: a@old.test", 1);
    put(&m, ",\r\n a@old.test", HEADER_WORK_MAX - 1);
    put(&m, "\r\n", 1);
    assert_int_equal(rewrite(&m), HEADER_CHANGED);
    assert_int_equal(count(&m.out, "a@new.test"), HEADER_WORK_MAX);

    buf_clear(&m.header);
    m.work = HEADER_WORK_MAX;
    put(&m, "To: a@old.test", 1);
    put(&m, ",\r\n a@old.test", HEADER_WORK_MAX);
    put(&m, "\r\n", 1);
    assert_int_equal(rewrite(&m), HEADER_TOO_MUCH);
    assert_int_equal(m.out.len, 0);
    teardown(&m);
}

static void no_room_for_the_result(void **state)
{
    struct made m;
    (void)state;
    setup(&m);
    put(&m, "To: a@old.test\r\n", 10);
    m.out.max = 100;
    assert_int_equal(rewrite(&m), HEADER_TOO_MUCH);
    assert_int_equal(m.out.len, 0);
    teardown(&m);
}

/* Beginnings without an end, again and again: linear. */
static void beginnings(void **state)
{
    static const char *const texts[] = {
        "(", "\"", "[",  "<",     "=?a?b?c", "=?",   "@",     ",",  ":",
        ";", "\\", "a ", "\r\n ", "(\")",    "<\">", "a@b(c", "\t", "a.@"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct made m;
        setup(&m);
        put(&m, "To: ", 1);
        put(&m, texts[i], (unsigned)(HEADER_PROCESSED_MAX / strlen(texts[i])));
        put(&m, "\r\nFrom: a@old.test\r\n", 1);
        assert_int_equal(rewrite(&m), HEADER_CHANGED);
        assert_int_equal(count(&m.out, "\r\nFrom: a@new.test\r\n"), 1);
        teardown(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_addresses_as_are_allowed),
        cmocka_unit_test(more_that_would_stay),
        cmocka_unit_test(all_addresses_in_one_field),
        cmocka_unit_test(no_room_for_the_result),
        cmocka_unit_test(beginnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
