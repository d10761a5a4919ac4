#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/map.h"

static int one = 1, two = 2;

static void test_first_one_stays(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct map *m = map_new(a, MAP_CASE);
    assert_null(map_get(m, STR("k")));
    assert_ptr_equal(map_add(m, STR("k"), &one), &one);
    assert_ptr_equal(map_add(m, STR("k"), &two), &one);
    assert_ptr_equal(map_get(m, STR("k")), &one);
    assert_null(map_get(m, STR("K")));
    assert_int_equal(map_count(m), 1);
    assert_null(map_get(NULL, STR("k")));
    assert_int_equal(map_count(NULL), 0);
    arena_free(&a);
}

static void test_case_blind_keys(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct map *m = map_new(a, MAP_NOCASE);
    map_add(m, STR("Host.Test"), &one);
    assert_ptr_equal(map_add(m, STR("hOST.tEST"), &two), &one);
    assert_ptr_equal(map_get(m, STR("host.test")), &one);
    assert_null(map_get(m, STR("host.tes")));
    map_add(m, STR(""), &two);
    assert_ptr_equal(map_get(m, STR_NONE), &two);
    arena_free(&a);
}

static void test_insertion_order(void **state)
{
    (void)state;
    enum { N = 5000 };
    struct arena *a = arena_new();
    struct map *m = map_new(a, MAP_CASE);
    int *values = arena_array(a, int, N);
    for (int i = 0; i < N; i++) {
        values[i] = i;
        map_add(m, arena_printf(a, "key%d", i), &values[i]);
    }
    assert_int_equal(map_count(m), N);
    for (int i = 0; i < N; i++) {
        str key, expected = arena_printf(a, "key%d", i);
        assert_ptr_equal(map_at(m, (size_t)i, &key), &values[i]);
        assert_true(str_eq(key, expected));
        assert_ptr_equal(map_get(m, expected), &values[i]);
    }
    assert_ptr_equal(map_at(m, 0, NULL), &values[0]);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_one_stays),
        cmocka_unit_test(test_case_blind_keys),
        cmocka_unit_test(test_insertion_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
