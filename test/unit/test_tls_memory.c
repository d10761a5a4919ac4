/* tls_memory: what TLS with hosts was like: per name and port, broken per address and
 * profile, too; bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "channels/tls_memory.h"

static struct tls_memory_host host(enum tls_memory_kind kind, const char *name,
                                   unsigned port)
{
    return (struct tls_memory_host){.kind = kind,
                                    .name = str_from(name),
                                    .port = port,
                                    .ip = STR("192.0.2.1"),
                                    .profile = STR("*")};
}

static void test_noted(void **state)
{
    struct tls_memory *m = tls_memory_new();
    const struct tls_memory_host h = host(TLS_MEMORY_WORKED, "mx.a.test", 25);
    (void)state;
    assert_int_equal(tls_memory_age_s(m, &h), -1);
    tls_memory_note(m, &h);
    assert_in_range(tls_memory_age_s(m, &h), 0, 1);
    tls_memory_age(m, 100);
    assert_in_range(tls_memory_age_s(m, &h), 100, 101);
    tls_memory_note(m, &h);
    assert_in_range(tls_memory_age_s(m, &h), 0, 1);
    tls_memory_unref(&m);
}

/* What is the same host, and what is another one. */
static void test_hosts(void **state)
{
    struct tls_memory *m = tls_memory_new();
    struct tls_memory_host h = host(TLS_MEMORY_WORKED, "mx.a.test", 25);
    (void)state;
    tls_memory_note(m, &h);
    h = host(TLS_MEMORY_WORKED, "MX.a.Test", 25);
    h.ip = STR("192.0.2.2");
    h.profile = STR("bank");
    assert_int_not_equal(tls_memory_age_s(m, &h), -1);
    h = host(TLS_MEMORY_WORKED, "mx.a.test", 26);
    assert_int_equal(tls_memory_age_s(m, &h), -1);
    h = host(TLS_MEMORY_WORKED, "mx.b.test", 25);
    assert_int_equal(tls_memory_age_s(m, &h), -1);
    h = host(TLS_MEMORY_BROKEN, "mx.a.test", 25);
    assert_int_equal(tls_memory_age_s(m, &h), -1);
    tls_memory_note(m, &h);
    assert_int_not_equal(tls_memory_age_s(m, &h), -1);
    h.ip = STR("192.0.2.2");
    assert_int_equal(tls_memory_age_s(m, &h), -1);
    h = host(TLS_MEMORY_BROKEN, "mx.a.test", 25);
    h.profile = STR("bank");
    assert_int_equal(tls_memory_age_s(m, &h), -1);
    tls_memory_unref(&m);
}

/* However many names there are: what was used last stays. */
static void test_bounded(void **state)
{
    struct tls_memory *m = tls_memory_new();
    const struct tls_memory_host mine = host(TLS_MEMORY_WORKED, "mine.test", 25);
    char name[64];
    unsigned kept = 0;
    (void)state;
    tls_memory_note(m, &mine);
    for (unsigned i = 0; i < 4 * TLS_MEMORY_MAX; i++) {
        snprintf(name, sizeof name, "mx%u.test", i);
        const struct tls_memory_host h = host(TLS_MEMORY_WORKED, name, 25);
        if (i % 1000 == 0) {
            tls_memory_age(m, 1);
            tls_memory_note(m, &mine);
        }
        tls_memory_note(m, &h);
    }
    assert_int_not_equal(tls_memory_age_s(m, &mine), -1);
    for (unsigned i = 0; i < 4 * TLS_MEMORY_MAX; i++) {
        snprintf(name, sizeof name, "mx%u.test", i);
        const struct tls_memory_host h = host(TLS_MEMORY_WORKED, name, 25);
        kept += tls_memory_age_s(m, &h) >= 0;
    }
    assert_in_range(kept, TLS_MEMORY_MAX / 2, TLS_MEMORY_MAX);
    tls_memory_unref(&m);
}

static void test_shared(void **state)
{
    struct tls_memory *m = tls_memory_new(), *other = tls_memory_ref(m);
    const struct tls_memory_host h = host(TLS_MEMORY_WORKED, "mx.a.test", 25);
    (void)state;
    tls_memory_note(m, &h);
    tls_memory_unref(&m);
    assert_null(m);
    assert_int_not_equal(tls_memory_age_s(other, &h), -1);
    tls_memory_unref(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noted),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
