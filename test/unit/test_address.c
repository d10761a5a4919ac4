#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/address.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define A10      "aaaaaaaaaa"
#define L63      A10 A10 A10 A10 A10 A10 "aaa"
#define L64      L63 "a"

static void test_good(void **state)
{
    (void)state;
    static const struct {
        const char *text, *route, *local, *domain;
    } cases[] = {
        {"", "", "", ""},
        {"ann@example.com", "", "ann", "example.com"},
        {"postmaster", "", "postmaster", ""},
        {"Ann.B+tag@Example.COM", "", "Ann.B+tag", "Example.COM"},
        {"a!b%c@d", "", "a!b%c", "d"},
        {"!#$%&'*+-/=?^_`{|}~@x", "", "!#$%&'*+-/=?^_`{|}~", "x"},
        {"-@x", "", "-", "x"},
        {"\"a b\"@x.test", "", "\"a b\"", "x.test"},
        {"\"a@b\"@x.test", "", "\"a@b\"", "x.test"},
        {"\"a\\\"b\\\\\"@x", "", "\"a\\\"b\\\\\"", "x"},
        {"\"\"@x", "", "\"\"", "x"},
        {"\"..\"@x", "", "\"..\"", "x"},
        {"@a,@b:ann@c", "@a,@b", "ann", "c"},
        {"@a.test:\"q:r\"@c", "@a.test", "\"q:r\"", "c"},
        {"ann@[192.0.2.1]", "", "ann", "[192.0.2.1]"},
        {"ann@[IPv6:2001:db8::1]", "", "ann", "[IPv6:2001:db8::1]"},
        {"ann@[ipv6:::ffff:192.0.2.1]", "", "ann", "[ipv6:::ffff:192.0.2.1]"},
        {"ann@under_score.test", "", "ann", "under_score.test"},
        {"ann@" L63 ".test", "", "ann", L63 ".test"},
        {L64 "@x", "", L64, "x"},
        {"ann@1.2", "", "ann", "1.2"},
    };
    struct arena *a = arena_new();
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address addr;
        const char *why = address_parse(str_from(cases[i].text), &addr);
        if (why != NULL) {
            fail_msg("<%s> %s", cases[i].text, why);
        }
        assert_string_equal(arena_str(a, addr.route).ptr, cases[i].route);
        assert_string_equal(arena_str(a, addr.local).ptr, cases[i].local);
        assert_string_equal(arena_str(a, addr.domain).ptr, cases[i].domain);
        assert_string_equal(address_print(a, &addr).ptr, cases[i].text);
        assert_int_equal(address_is_null(&addr), cases[i].text[0] == '\0');
    }
    arena_free(&a);
}

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"@", "source route"},
        {"@x", "source route"},
        {"@x:", "no local part"},
        {"@:a@b", "source route"},
        {"@a,b:c@d", "source route"},
        {"@a,,@b:c@d", "source route"},
        {"@a, @b:c@d", "source route"},
        {"ann@", "no domain"},
        {"ann@@x", "domain name"},
        {"ann@x@y", "domain name"},
        {"ann@.x", "domain name"},
        {"ann@x.", "domain name"},
        {"ann@x..y", "domain name"},
        {"ann@-x", "domain name"},
        {"ann@x-.y", "domain name"},
        {"ann@x y", "domain name"},
        {"ann@x\r\n", "domain name"},
        {"ann@" L64 ".test", "domain name"},
        {"ann@[192.0.2.256]", "address literal"},
        {"ann@[192.0.2]", "address literal"},
        {"ann@[192.0.2.1", "address literal"},
        {"ann@[192.0.2.1]x", "address literal"},
        {"ann@[2001:db8::1]", "address literal"},
        {"ann@[IPv6:192.0.2.1]", "address literal"},
        {"ann@[IPv6:1::2::3]", "address literal"},
        {"ann@[]", "address literal"},
        {".ann@x", "empty word"},
        {"ann.@x", "empty word"},
        {"a..n@x", "empty word"},
        {"a n@x", "not allowed"},
        {"a,b@x", "not allowed"},
        {"a\x01@x", "not allowed"},
        {"a\x7f@x", "not allowed"},
        {"a<b@x", "not allowed"},
        {"a\"b\"@x", "not allowed"},
        {"\"a\"b@x", "not allowed"},
        {"\"a\tb\"@x", "not allowed"},
        {"\"a\\\tb\"@x", "not allowed"},
        {"\"a\nb\"@x", "not allowed"},
        {"\"abc@x", "without an end"},
        {"\"abc\\\"@x", "without an end"},
        {"\"", "without an end"},
        {"\"\\", "without an end"},
        {"\xC3\xA9@x", "not ASCII"},
        {"ann@\xC3\xA9.test", "not ASCII"},
        {L64 "a@x", "longer than 64"},
        {"ann@" L63 "." L63 "." L63 "." L63, "longer than 254"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address addr;
        const char *why = address_parse(str_from(cases[i].text), &addr);
        if (why == NULL || strstr(why, cases[i].why) == NULL) {
            fail_msg("<%s>: %s", cases[i].text, why != NULL ? why : "accepted");
        }
        assert_true(address_is_null(&addr));
        assert_int_equal(addr.route.len, 0);
    }
    struct address addr;
    assert_non_null(address_parse(str_n("a\0b@x", 5), &addr));
    assert_non_null(address_parse(str_n("a@x\0", 4), &addr));
    assert_non_null(address_parse(str_n("a@[192.0.2.1\0]", 14), &addr));
}

static void test_longest_path(void **state)
{
    (void)state;
    /* 254 octets between the brackets is the longest path (RFC 5321 4.5.3.1.3) */
    char text[255] = "ann@" L63 "." L63 "." L63 ".";
    size_t len = strlen(text);
    memset(text + len, 'b', sizeof text - len);
    struct address addr;
    assert_null(address_parse(str_n(text, 254), &addr));
    assert_non_null(address_parse(str_n(text, 255), &addr));
}

static void test_names(void **state)
{
    (void)state;
    char name[256] = L63 "." L63 "." L63 "." L63;
    assert_true(domain_name_ok(str_n(name, 255)));
    assert_false(domain_name_ok(str_n(name, 192)));
    assert_false(domain_name_ok(STR(L63 "." L63 "." L63 "." L63 ".a")));
    assert_false(domain_name_ok(STR("")));
    assert_false(domain_name_ok(STR_NONE));
    assert_false(domain_literal_ok(STR("")));
    assert_false(domain_literal_ok(STR("[IPv6:]")));
    assert_true(domain_literal_ok(STR("[IPv6:::]")));
    assert_false(domain_literal_ok(STR("[1.2.3.4]]")));
    assert_false(domain_literal_ok(STR("[fe80::1%eth0]")));
}

static void test_equality(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {{"ann@x.test", "ann@X.TEST", true},
                 {"ann@x", "Ann@x", false},
                 {"ann@x", "\"ann\"@x", true},
                 {"\"a\\nn\"@x", "ann@x", true},
                 {"ann@x", "annb@x", false},
                 {"annb@x", "ann@x", false},
                 {"@r:ann@x", "ann@x", true},
                 {"", "", true},
                 {"", "ann", false},
                 {"", "\"\"", false},
                 {"ann", "ann@x", false}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address a, b;
        assert_null(address_parse(str_from(cases[i].a), &a));
        assert_null(address_parse(str_from(cases[i].b), &b));
        if (address_eq(&a, &b) != cases[i].equal) {
            fail_msg("<%s> and <%s>", cases[i].a, cases[i].b);
        }
    }
}

static void test_unquoting(void **state)
{
    (void)state;
    static const struct {
        const char *local, *plain;
    } cases[] = {{"ann", "ann"},         {"\"a b\"", "a b"}, {"\"a\\\"b\"", "a\"b"},
                 {"\"a\\\\b\"", "a\\b"}, {"\"\"", ""},       {"", ""},
                 {"\"..\\/x\"", "../x"}};
    struct arena *a = arena_new();
    for (size_t i = 0; i < COUNT(cases); i++) {
        str plain = address_unquote_local(a, str_from(cases[i].local));
        assert_string_equal(plain.ptr, cases[i].plain);
        assert_int_equal(plain.len, strlen(cases[i].plain));
    }
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),         cmocka_unit_test(test_bad),
        cmocka_unit_test(test_longest_path), cmocka_unit_test(test_names),
        cmocka_unit_test(test_equality),     cmocka_unit_test(test_unquoting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
