/* service_bind: which endpoints a configuration describes, and what is said when it
 * describes none that could be opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <unistd.h>

#include "router/service.h"

static void accept_nobody(struct worker *w, const struct service *service, int fd)
{
    (void)w;
    (void)service;
    close(fd);
}

static const struct channel_kind serves = {
    .name = "serves", .type = CHANNEL_TCP, .accept = accept_nobody};
static const struct channel_kind delivers = {.name = "delivers", .type = CHANNEL_LOCAL};
static const struct channel_kind *const kinds[] = {&serves, &delivers, NULL};

static const struct channel tcp = {.name = {"tcp_in", 6}, .type = CHANNEL_TCP};
static const struct channel local = {.name = {"l", 1}, .type = CHANNEL_LOCAL};

static struct service service_on(const struct channel *c, const char *ip, uint16_t port)
{
    return (struct service){.name = STR("SMTP"),
                            .interface_address = str_from(ip),
                            .port = port,
                            .channel = c};
}

/* Describes the services; the endpoints' number, or the slug of the first message. */
static unsigned describe(const struct service *services, unsigned count, const char *slug)
{
    struct arena *a = arena_new(), *mine = arena_new();
    struct diags *d = diags_new(a, sources_new(a));
    struct snapshot *s = arena_new_of(mine, struct snapshot);
    atomic_init(&s->refs, 1);
    s->arena = mine;
    s->services = (struct service *)(uintptr_t)services;
    s->service_count = count;
    struct endpoints *e = endpoints_new(s, kinds, 1, d);
    unsigned n = e != NULL ? e->count : 0;
    assert_int_equal(e == NULL, slug != NULL);
    assert_int_equal(diags_errors(d), slug != NULL);
    if (slug != NULL) {
        assert_string_equal(diags_first(d)->slug, slug);
    }
    endpoints_free(&e);
    snapshot_unref(&s);
    arena_free(&a);
    return n;
}

static void test_described(void **state)
{
    (void)state;
    struct service two[] = {service_on(&tcp, "127.0.0.1", 2525),
                            service_on(&tcp, "::1", 2525)};
    assert_int_equal(describe(two, 2, NULL), 2);
}

static void test_refused(void **state)
{
    (void)state;
    struct service final[] = {service_on(&local, "127.0.0.1", 2525)};
    struct service same[] = {service_on(&tcp, "127.0.0.1", 2525),
                             service_on(&tcp, "127.0.0.1", 2525)};
    describe(NULL, 0, "no-service");
    describe(final, 1, "service-channel");
    describe(same, 2, "listen");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_described),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
