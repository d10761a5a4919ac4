/* runtime: every kind is asked, a refusal undoes what the others opened and leaves
 * nothing behind, the last reference retires. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "router/runtime.h"

/* What the fake kinds did. The kinds have no state of their own: the test's is reached
 * through the snapshot's local host name (borrowed for this). */
struct story {
    unsigned prepared, retired;
    void *before; /* given to prepare() last */
    bool refuse_second;
};

static struct story *story_of(const struct snapshot *s)
{
    return (struct story *)(uintptr_t)s->local_host.ptr;
}

static bool prepare_first(const struct snapshot *s, void *before, void **state,
                          struct diags *d)
{
    (void)d;
    story_of(s)->before = before;
    story_of(s)->prepared++;
    *state = story_of(s);
    return true;
}

static bool prepare_second(const struct snapshot *s, void *before, void **state,
                           struct diags *d)
{
    if (story_of(s)->refuse_second) {
        diag_error(d, SPAN_NONE, "test", "refused");
        return false;
    }
    return prepare_first(s, before, state, d);
}

static bool prepare_third(const struct snapshot *s, void *before, void **state,
                          struct diags *d)
{
    return prepare_first(s, before, state, d);
}

static void retire(void *state)
{
    ((struct story *)state)->retired++;
}

static const struct channel_kind first = {
    .name = "first", .type = CHANNEL_LOCAL, .prepare = prepare_first, .retire = retire};
static const struct channel_kind second = {
    .name = "second", .type = CHANNEL_TCP, .prepare = prepare_second, .retire = retire};
static const struct channel_kind third = {.name = "third",
                                          .type = CHANNEL_UNSUPPORTED,
                                          .prepare = prepare_third,
                                          .retire = retire};
static const struct channel_kind plain = {.name = "plain", .type = CHANNEL_BITBUCKET};
static const struct channel_kind *const kinds[] = {&first, &second, &third, &plain, NULL};

static struct snapshot *make_snapshot(struct story *story)
{
    struct arena *a = arena_new();
    struct snapshot *s = arena_new_of(a, struct snapshot);
    atomic_init(&s->refs, 1);
    s->arena = a;
    s->local_host = str_n((const char *)story, 0);
    return s;
}

static void test_life(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct diags *d = diags_new(a, sources_new(a));
    struct story story = {0};
    struct snapshot *s = make_snapshot(&story);
    struct runtime *r = runtime_prepare(&s, kinds, NULL, d);
    assert_non_null(r);
    assert_null(s); /* taken over */
    assert_int_equal(story.prepared, 3);

    struct channel tcp = {.type = CHANNEL_TCP}, bitbucket = {.type = CHANNEL_BITBUCKET};
    assert_ptr_equal(runtime_kind(r, &tcp), &second);
    assert_ptr_equal(runtime_state(r, &tcp), &story);
    assert_ptr_equal(runtime_kind(r, &bitbucket), &plain);
    assert_null(runtime_state(r, &bitbucket));

    struct runtime *held = runtime_ref(r);
    runtime_unref(&r);
    assert_null(r);
    assert_int_equal(story.retired, 0);
    runtime_unref(&held);
    assert_int_equal(story.retired, 3);
    runtime_unref(&held); /* NULL inside */
    arena_free(&a);
}

/* A new configuration that cannot be prepared costs the running one nothing. */
static void test_refusal_keeps_old(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    struct diags *d = diags_new(a, sources_new(a));
    struct story old_story = {0}, new_story = {.refuse_second = true};
    struct snapshot *s = make_snapshot(&old_story);
    struct runtime *old = runtime_prepare(&s, kinds, NULL, d);
    assert_non_null(old);

    s = make_snapshot(&new_story);
    assert_null(runtime_prepare(&s, kinds, NULL, d));
    assert_null(s);
    assert_int_equal(diags_errors(d), 1);
    assert_int_equal(new_story.prepared, 2); /* also the kind after the refusing one */
    assert_int_equal(new_story.retired, 2);  /* and both let go */
    assert_int_equal(old_story.retired, 0);
    struct channel tcp = {.type = CHANNEL_TCP};
    assert_ptr_equal(runtime_state(old, &tcp), &old_story);
    runtime_unref(&old);
    assert_int_equal(old_story.retired, 3);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_refusal_keeps_old),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
