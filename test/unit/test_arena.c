#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/vec.h"

static void test_memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    static const size_t sizes[] = {0, 1, 7, 16, 100, 4096, 5000, 300 * 1024, 3};
    for (size_t round = 0; round < 3; round++) {
        struct arena_mark mark = arena_mark(a);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            unsigned char *p = arena_alloc(a, sizes[i]);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
            for (size_t j = 0; j < sizes[i]; j++) {
                assert_int_equal(p[j], 0);
            }
            memset(p, 0xAA, sizes[i]);
        }
        arena_reset(a, mark);
    }
    arena_free(&a);
    assert_null(a);
    arena_free(&a);
}

static void test_allocations_do_not_overlap(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    unsigned char *p[500];
    for (unsigned i = 0; i < 500; i++) {
        p[i] = arena_alloc(a, i % 97 + 1);
        memset(p[i], (int)(i & 0xFF), i % 97 + 1);
    }
    for (unsigned i = 0; i < 500; i++) {
        for (unsigned j = 0; j < i % 97 + 1; j++) {
            assert_int_equal(p[i][j], i & 0xFF);
        }
    }
    arena_free(&a);
}

static void test_reset_keeps_what_came_before(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    assert_int_equal(arena_used(a), 0);
    struct arena_mark empty = arena_mark(a);
    char *kept = arena_strdup(a, "kept");
    size_t used = arena_used(a);
    assert_true(used >= 5);
    struct arena_mark mark = arena_mark(a);
    arena_alloc(a, 1);
    for (int i = 0; i < 100; i++) {
        arena_alloc(a, 10000);
    }
    assert_true(arena_used(a) >= used + 100 * 10000);
    arena_reset(a, mark);
    assert_int_equal(arena_used(a), used);
    assert_string_equal(kept, "kept");
    arena_reset(a, empty);
    assert_int_equal(arena_used(a), 0);
    assert_string_equal(arena_strdup(a, "again"), "again");
    arena_free(&a);
}

static void test_strings(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    char *cut = arena_strndup(a, "abcdef", 3);
    assert_string_equal(cut, "abc");
    str copy = arena_str(a, str_n("x\0y", 3));
    assert_int_equal(copy.len, 3);
    assert_memory_equal(copy.ptr, "x\0y\0", 4);
    str none = arena_str(a, STR_NONE);
    assert_int_equal(none.len, 0);
    assert_string_equal(none.ptr, "");
    str text = arena_printf(a, "%d-%s", 42, "tail");
    assert_string_equal(text.ptr, "42-tail");
    assert_int_equal(text.len, 7);
    arena_free(&a);
}

static void test_vec_grows(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    VEC(int) v = {0};
    for (int i = 0; i < 1000; i++) {
        int *slot = vec_add(a, &v);
        assert_int_equal(*slot, 0);
        *slot = i;
    }
    assert_int_equal(v.n, 1000);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(v.at[i], i);
    }
    arena_free(&a);
}

static void count_call(void *arg)
{
    char **at = arg;
    *(*at)++ = 'a';
}

static void count_other(void *arg)
{
    char **at = arg;
    *(*at)++ = 'b';
}

/* Called once, newest first, by a reset only when it was added behind the mark. */
/* Emptied again and again, as for each recipient. */
static void test_reset_to_nothing(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    for (unsigned i = 0; i < 100; i++) {
        struct arena_mark start = arena_mark(a);
        for (size_t size = 1; size < 100000 * (i % 3); size *= 3) {
            char *p = arena_alloc(a, size);
            assert_int_equal(p[size - 1], 0);
            memset(p, 'x', size);
        }
        arena_reset(a, start);
        assert_int_equal(arena_used(a), 0);
    }
    struct arena_mark inside = {0};
    for (unsigned i = 0; i < 2;
         i++) { /* a mark of an empty arena holds what comes later */
        inside = arena_mark(a);
        arena_alloc(a, 8 << 20);
        arena_reset(a, inside);
    }
    arena_free(&a);
}

static void test_deferred_calls(void **state)
{
    (void)state;
    char calls[8] = "", *at = calls;
    struct arena *a = arena_new();
    struct arena_mark start = arena_mark(a);
    arena_defer(a, count_call, (void *)&at);
    struct arena_mark mark = arena_mark(a);
    arena_defer(a, count_other, (void *)&at);
    arena_reset(a, mark);
    assert_string_equal(calls, "b");
    arena_alloc(a, 1 << 20);
    arena_reset(a, mark);
    assert_string_equal(calls, "b");
    arena_defer(a, count_other, (void *)&at);
    arena_reset(a, start);
    assert_string_equal(calls, "bba");
    arena_free(&a);
    assert_string_equal(calls, "bba");

    a = arena_new();
    arena_defer(a, count_call, (void *)&at);
    arena_free(&a);
    assert_string_equal(calls, "bbaa");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_zeroed_and_aligned),
        cmocka_unit_test(test_allocations_do_not_overlap),
        cmocka_unit_test(test_reset_keeps_what_came_before),
        cmocka_unit_test(test_reset_to_nothing),
        cmocka_unit_test(test_deferred_calls),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_vec_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
