/* tcp_dead: what is kept off, for how long, who tries again, and that it stays bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "channels/tcp_dead.h"

static struct sockaddr_storage address(const char *ip, unsigned port)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a;
    if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
    } else {
        assert_int_equal(inet_pton(AF_INET6, ip, &v6->sin6_addr), 1);
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
    }
    return a;
}

static bool dead(struct tcp_dead *d, const char *ip, unsigned port, int64_t now_ms,
                 char *text)
{
    struct sockaddr_storage a = address(ip, port);
    return tcp_dead_check(d, (struct sockaddr *)&a, now_ms, 30000, text);
}

static void note(struct tcp_dead *d, const char *ip, unsigned port, int64_t now_ms)
{
    struct sockaddr_storage a = address(ip, port);
    tcp_dead_note(d, (struct sockaddr *)&a, now_ms, 60000, "connection refused");
}

static void test_times(void **state)
{
    struct tcp_dead *d = tcp_dead_new();
    char text[TCP_DEAD_TEXT_MAX];
    (void)state;
    assert_false(dead(d, "192.0.2.1", 25, 0, text));
    note(d, "192.0.2.1", 25, 0);
    assert_true(dead(d, "192.0.2.1", 25, 12345, text));
    assert_string_equal(text, "connection refused, 12 s ago");
    assert_false(dead(d, "192.0.2.1", 26, 1000, text)); /* another port, another host */
    assert_false(dead(d, "192.0.2.2", 25, 1000, text));
    assert_false(dead(d, "::ffff:192.0.2.1", 25, 1000, text));
    assert_true(dead(d, "192.0.2.1", 25, 59999, text));
    assert_false(dead(d, "192.0.2.1", 25, 60000, text)); /* one tries again */
    assert_true(dead(d, "192.0.2.1", 25, 60001, text));  /* the others do not */
    assert_true(dead(d, "192.0.2.1", 25, 89999, text));
    assert_false(dead(d, "192.0.2.1", 25, 90000, text)); /* nobody heard of the first */
    note(d, "192.0.2.1", 25, 90500);
    assert_true(dead(d, "192.0.2.1", 25, 150499, text));
    struct sockaddr_storage a = address("192.0.2.1", 25);
    tcp_dead_clear(d, (struct sockaddr *)&a);
    assert_false(dead(d, "192.0.2.1", 25, 90600, text));
    assert_false(dead(d, "192.0.2.1", 25, 90600, text));
    tcp_dead_unref(&d);
    assert_null(d);
}

static void test_families(void **state)
{
    struct tcp_dead *d = tcp_dead_new(), *second = tcp_dead_ref(d);
    struct sockaddr other = {.sa_family = AF_UNIX};
    char text[TCP_DEAD_TEXT_MAX];
    (void)state;
    note(d, "2001:db8::1", 25, 0);
    assert_true(dead(d, "2001:db8::1", 25, 1, text));
    assert_false(dead(d, "2001:db8::2", 25, 1, text));
    tcp_dead_note(d, &other, 0, 60000, "x"); /* a socket in the file system */
    assert_false(tcp_dead_check(d, &other, 1, 1000, text));
    tcp_dead_unref(&second);
    assert_true(dead(d, "2001:db8::1", 25, 1, text));
    tcp_dead_unref(&d);
}

/* However many there are: the ones noted last are remembered, memory does not grow. */
static void test_bounded(void **state)
{
    struct tcp_dead *d = tcp_dead_new();
    char text[TCP_DEAD_TEXT_MAX], ip[40];
    unsigned known = 0;
    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(ip, sizeof ip, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        note(d, ip, 25, i);
        assert_true(dead(d, ip, 25, i, text));
    }
    for (unsigned i = 98000; i < 100000; i++) {
        snprintf(ip, sizeof ip, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        known += dead(d, ip, 25, 100000, text);
    }
    assert_true(known > 1800);
    tcp_dead_unref(&d);
}

static void test_clear_all(void **state)
{
    struct tcp_dead *d = tcp_dead_new();
    char text[TCP_DEAD_TEXT_MAX];
    (void)state;
    note(d, "192.0.2.1", 25, 0);
    note(d, "2001:db8::1", 25, 0);
    tcp_dead_clear_all(d);
    assert_false(dead(d, "192.0.2.1", 25, 1, text));
    assert_false(dead(d, "2001:db8::1", 25, 1, text));
    note(d, "192.0.2.1", 25, 1);
    assert_true(dead(d, "192.0.2.1", 25, 2, text));
    tcp_dead_unref(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_clear_all),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
