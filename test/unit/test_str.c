#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/str.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void assert_str(str s, const char *expected)
{
    if (s.len != strlen(expected) || (s.len > 0 && memcmp(s.ptr, expected, s.len) != 0)) {
        fail_msg("'%.*s' is not '%s'", STR_ARG(s), expected);
    }
}

static void test_comparing(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int cmp, icmp;
    } cases[] = {{"", "", 0, 0},        {"a", "", 1, 1},       {"abc", "abd", -1, -1},
                 {"ABC", "abc", -1, 0}, {"ab", "abc", -1, -1}, {"[", "a", -1, -1},
                 {"\xE9", "e", 1, 1},   {"Z", "_", -1, 1},     {"\xC9", "\xE9", -1, -1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        str a = str_from(cases[i].a), b = str_from(cases[i].b);
        int cmp = str_cmp(a, b), icmp = str_icmp(a, b);
        assert_int_equal((cmp > 0) - (cmp < 0), cases[i].cmp);
        assert_int_equal((icmp > 0) - (icmp < 0), cases[i].icmp);
        assert_int_equal(str_eq(a, b), cases[i].cmp == 0);
        assert_int_equal(str_ieq(a, b), cases[i].icmp == 0);
        assert_int_equal(str_ihash(a) == str_ihash(b), cases[i].icmp == 0);
        assert_int_equal(str_hash(a) == str_hash(b), cases[i].cmp == 0);
    }
    assert_true(str_eq(STR_NONE, STR("")));
    assert_false(str_eq(str_n("a\0b", 3), str_n("a\0c", 3)));
}

static bool same_letters(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (ascii_lower(a[i]) != ascii_lower(b[i])) {
            return false;
        }
    }
    return true;
}

/* Comparing and hashing take eight octets at once: each octet at each place of texts of
 * each length, against one octet after the other. */
static void test_each_octet_of_each_length(void **state)
{
    (void)state;
    char a[40], b[40];
    for (size_t len = 1; len < sizeof a; len++) {
        for (size_t at = 0; at < len; at++) {
            for (unsigned octet = 0; octet < 256; octet++) {
                memset(a, 'x', sizeof a);
                memset(b, 'X', sizeof b);
                a[at] = (char)octet;
                b[at] = (char)(octet ^ (len % 2 == 0 ? 0x20 : 0x80));
                str x = str_n(a, len), y = str_n(b, len);
                bool same = same_letters(a, b, len);
                assert_int_equal(str_ieq(x, y), same);
                assert_int_equal(str_ihash(x) == str_ihash(y), same);
                b[at] = a[at];
                assert_true(str_ieq(x, y));
                assert_true(str_ihash(x) == str_ihash(y));
                assert_int_equal(str_hash(x) == str_hash(y), len == 1);
            }
        }
        assert_false(str_ieq(str_n(a, len), str_n(a, len - 1)));
        assert_false(str_ihash(str_n(a, len)) == str_ihash(str_n(a, len - 1)));
    }
}

/* Tables take the low bits: names that differ in little are spread over them. */
static void test_hashes_spread(void **state)
{
    (void)state;
    enum { NAMES = 4096, PLACES = 8192 };
    static unsigned char taken[PLACES];
    unsigned used = 0;
    memset(taken, 0, sizeof taken);
    for (unsigned i = 0; i < NAMES; i++) {
        char name[64];
        int len = snprintf(name, sizeof name, "host%u.customer.example", i);
        size_t place = str_ihash(str_n(name, (size_t)len)) % PLACES;
        used += taken[place]++ == 0;
    }
    /* by chance alone 8192 * (1 - e^-0.5), 3223, give or take 30 */
    assert_in_range(used, 3100, 3350);
}

static void test_prefixes(void **state)
{
    (void)state;
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_true(str_starts(STR("abc"), STR("")));
    assert_false(str_starts(STR("abc"), STR("AB")));
    assert_false(str_starts(STR("a"), STR("ab")));
    assert_true(str_istarts(STR("abc"), STR("AB")));
    assert_true(str_iends(STR("host.TEST"), STR(".test")));
    assert_false(str_iends(STR("test"), STR(".test")));
    assert_true(str_iends(STR_NONE, STR("")));
}

static void test_cutting(void **state)
{
    (void)state;
    assert_str(str_sub(STR("abcdef"), 2, 3), "cde");
    assert_str(str_sub(STR("abc"), 1, 100), "bc");
    assert_str(str_sub(STR("abc"), 9, 1), "");
    assert_str(str_from_pos(STR("abc"), 1), "bc");
    assert_str(str_from_pos(STR_NONE, 1), "");
    assert_str(str_trim(STR(" \t a b\r\n ")), "a b");
    assert_str(str_trim(STR(" \t ")), "");
    assert_int_equal(str_find(STR("a@b@c"), '@'), 1);
    assert_int_equal(str_rfind(STR("a@b@c"), '@'), 3);
    assert_int_equal(str_find(STR_NONE, '@'), -1);
    assert_int_equal(str_rfind(STR("abc"), '@'), -1);
}

static void test_words(void **state)
{
    (void)state;
    static const char *const expected[] = {"one", "two", "three"};
    str rest = STR("  one\ttwo   three "), word;
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_true(str_word(&rest, &word));
        assert_str(word, expected[i]);
    }
    assert_false(str_word(&rest, &word));
    assert_false(str_word(&rest, &word));
    rest = STR_NONE;
    assert_false(str_word(&rest, &word));
}

static void test_splitting(void **state)
{
    (void)state;
    static const struct {
        const char *text, *parts[4];
    } cases[] = {{"a,,b", {"a", "", "b"}},
                 {"", {""}},
                 {",", {"", ""}},
                 {"abc", {"abc"}},
                 {"a,", {"a", ""}}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        str rest = str_from(cases[i].text), part;
        for (size_t j = 0; cases[i].parts[j] != NULL; j++) {
            assert_true(str_split(&rest, ',', &part));
            assert_str(part, cases[i].parts[j]);
        }
        assert_false(str_split(&rest, ',', &part));
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        bool good;
        uint64_t value;
    } cases[] = {{"0", 10, true, 0},
                 {"007", 10, true, 7},
                 {"65535", 65535, true, 65535},
                 {"65536", 65535, false, 0},
                 {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
                 {"18446744073709551616", UINT64_MAX, false, 0},
                 {"99999999999999999999999", UINT64_MAX, false, 0},
                 {"", 10, false, 0},
                 {"-1", 10, false, 0},
                 {"+1", 10, false, 0},
                 {" 1", 10, false, 0},
                 {"1 ", 10, false, 0},
                 {"0x1", 10, false, 0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t value = 12345;
        assert_int_equal(str_u64(str_from(cases[i].text), cases[i].max, &value),
                         cases[i].good);
        assert_int_equal(value, cases[i].good ? cases[i].value : 12345);
    }
}

static void test_based_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        int64_t value; /* -1: refused */
    } cases[] = {{"10", 10, 10},      {"11", 10, -1},      {"16%FF", 255, 255},
                 {"16%ff", 255, 255}, {"16%100", 255, -1}, {"2%1010", 10, 10},
                 {"36%z", 99, 35},    {"10%42", 42, 42},   {"2%2", 9, -1},
                 {"37%1", 9, -1},     {"1%0", 9, -1},      {"0%0", 9, -1},
                 {"16%", 9, -1},      {"%1", 9, -1},       {"16%1%1", 99, -1},
                 {"16% 1", 9, -1},    {"", 9, -1},         {"0x1F", 99, -1}};
    uint64_t value;
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool good = str_number(str_from(cases[i].text), cases[i].max, &value);
        if (good != (cases[i].value >= 0) ||
            (good && value != (uint64_t)cases[i].value)) {
            fail_msg("%s", cases[i].text);
        }
    }
    assert_true(str_number(STR("16%FFFFFFFFFFFFFFFF"), UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
    assert_false(str_number(STR("16%10000000000000000"), UINT64_MAX, &value));
}

static void test_distance(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        unsigned limit, distance;
    } cases[] = {{"tcp_tls", "tcp_tsl", 2, 1},
                 {"musttlsclient", "mustlsclient", 2, 1},
                 {"MustTLS", "musttls", 2, 0},
                 {"", "ab", 2, 2},
                 {"ab", "", 1, 2},
                 {"kitten", "sitting", 3, 3},
                 {"kitten", "sitting", 2, 3},
                 {"port", "daemon", 2, 3},
                 {"abcdef", "ghijkl", 2, 3},
                 {"ab", "ba", 1, 1},
                 {"xabab", "xbaba", 2, 2},
                 {"same", "same", 0, 0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        str a = str_from(cases[i].a), b = str_from(cases[i].b);
        assert_int_equal(str_distance(a, b, cases[i].limit), cases[i].distance);
        assert_int_equal(str_distance(b, a, cases[i].limit), cases[i].distance);
    }
    char longer[300];
    memset(longer, 'a', sizeof longer);
    str big = str_n(longer, 300);
    assert_int_equal(str_distance(big, str_n(longer, 299), 2), 3);
    assert_int_equal(str_distance(big, big, 2), 0);
    assert_int_equal(str_distance(str_n(longer, 127), str_n(longer, 126), 2), 1);
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len;
        uint32_t code;
    } cases[] = {{"a", 1, 'a'},
                 {"\xC3\xA9x", 2, 0xE9},
                 {"\xE2\x82\xAC", 3, 0x20AC},
                 {"\xF0\x9F\x98\x80", 4, 0x1F600},
                 {"\xF4\x8F\xBF\xBF", 4, 0x10FFFF},
                 {"\xF4\x90\x80\x80", 0, 0},
                 {"\xC0\x80", 0, 0},
                 {"\xE0\x80\x80", 0, 0},
                 {"\xF0\x80\x80\x80", 0, 0},
                 {"\xED\xA0\x80", 0, 0},
                 {"\xC3", 0, 0},
                 {"\xC3(", 0, 0},
                 {"\x80", 0, 0},
                 {"\xFF", 0, 0},
                 {"", 0, 0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t code = 0;
        assert_int_equal(str_utf8(str_from(cases[i].text), &code), cases[i].len);
        assert_int_equal(code, cases[i].code);
    }
    assert_int_equal(str_utf8(STR("\xC3\xA9"), NULL), 2);
}

static void test_ascii(void **state)
{
    (void)state;
    unsigned alnum = 0, digits = 0, blanks = 0, folded = 0;
    for (int c = 0; c < 256; c++) {
        alnum += ascii_is_alnum((char)c);
        digits += ascii_is_digit((char)c);
        blanks += ascii_is_space((char)c);
        folded += ascii_lower((char)c) != (char)c;
    }
    assert_int_equal(alnum, 62);
    assert_int_equal(digits, 10);
    assert_int_equal(blanks, 2);
    assert_int_equal(folded, 26);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_octet_of_each_length),
        cmocka_unit_test(test_hashes_spread),
        cmocka_unit_test(test_comparing),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_cutting),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_splitting),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_based_numbers),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
