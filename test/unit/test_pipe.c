/* pipe: whom programs run as is looked at when the kind is prepared: by then the daemon
 * is the user it stays. */
#include "channels/pipe.h"

#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "router/runtime.h"

/* With `user` on the channel and USER in option.dat. */
static bool prepare(const char *user, const char *ours, const char **slug)
{
    struct channel pipe = {.name = STR("pipe"), .type = CHANNEL_PIPE};
    struct channel *channels[] = {&pipe};
    struct snapshot s = {.channels = channels, .channel_count = 1};
    struct arena *a = arena_new();
    struct diags *d = diags_new(a, sources_new(a));
    void *state = NULL;
    s.options.user = str_from(ours);
    pipe.opts.user = str_from(user);
    bool good = kind_pipe.prepare(&s, NULL, &state, d);
    *slug = diags_errors(d) > 0 ? diags_first(d)->slug : "";
    if (good) {
        kind_pipe.retire(state);
    }
    arena_free(&a);
    return good;
}

static void test_user(void **state)
{
    const struct passwd *me = getpwuid(geteuid());
    const char *slug, *other = geteuid() == 0 ? "nobody" : "root";
    char name[64];
    (void)state;
    assert_true(prepare("", other, &slug));
    if (me != NULL) {
        snprintf(name, sizeof name, "%s", me->pw_name);
        assert_true(prepare(name, name, &slug));
    }
    assert_false(prepare(other, other, &slug));
    assert_string_equal(slug, "pipe-user");
    assert_false(prepare("no-such-user-here", "no-such-user-here", &slug));
    assert_string_equal(slug, "pipe-user");
    /* allowed when it was compiled, as USER says another */
    assert_true(prepare("no-such-user-here", other, &slug));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_user),
    };
    return cmocka_run_group_tests_name("pipe", tests, NULL, NULL);
}
