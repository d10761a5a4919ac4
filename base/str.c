/* str: comparing, searching and cutting slices. */
#include "base/str.h"

bool str_eq(str a, str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* --- eight octets at once: what is done for each host of each message --- */

static const uint64_t EACH = 0x0101010101010101ull;

static uint64_t word_at(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

/* All of fewer than eight octets as a number, some of them twice: with the length it is
 * that of no other text. */
static uint64_t word_short(const char *p, size_t len)
{
    uint32_t first, last;
    if (len >= sizeof first) {
        memcpy(&first, p, sizeof first);
        memcpy(&last, p + len - sizeof last, sizeof last);
        return (uint64_t)last << 32 | first;
    }
    return len == 0 ? 0
                    : (uint64_t)(unsigned char)p[len / 2] << 16 |
                          (uint64_t)(unsigned char)p[len - 1] << 8 | (unsigned char)p[0];
}

/* The last word of a text whose whole words have been read: its last eight octets, or
 * what there is. */
static uint64_t word_last(str s)
{
    return s.len >= sizeof(uint64_t) ? word_at(s.ptr + s.len - sizeof(uint64_t))
                                     : word_short(s.ptr, s.len);
}

/* 'A' to 'Z' become 'a' to 'z', octet by octet: the top bit of each sum says whether the
 * seven bits below it reach 'A', or go beyond 'Z'. */
static uint64_t word_lower(uint64_t w)
{
    uint64_t seven = w & (0x7f * EACH);
    uint64_t from_a = seven + (0x80 - 'A') * EACH;
    uint64_t beyond_z = seven + (0x7f - 'Z') * EACH;
    uint64_t upper = from_a & ~beyond_z & ~w & (0x80 * EACH);
    return w | upper >> 2;
}

static bool words_alike(uint64_t a, uint64_t b)
{
    return a == b || word_lower(a) == word_lower(b);
}

bool str_ieq(str a, str b)
{
    if (a.len != b.len || a.ptr == b.ptr) {
        return a.len == b.len;
    }
    for (size_t i = 0; i + sizeof(uint64_t) < a.len; i += sizeof(uint64_t)) {
        if (!words_alike(word_at(a.ptr + i), word_at(b.ptr + i))) {
            return false;
        }
    }
    return words_alike(word_last(a), word_last(b));
}

/* Each word is mixed in by a multiplication, which carries upwards, and a shift, which
 * brings the upper half down again. The constants are odd and have no pattern. */
static const uint64_t MIX_FIRST = 0x9e3779b97f4a7c15ull, MIX_WORD = 0xff51afd7ed558ccdull;

static uint64_t mixed(uint64_t h, uint64_t word)
{
    h = (h ^ word) * MIX_WORD;
    return h ^ h >> 32;
}

uint64_t str_hash(str s)
{
    uint64_t h = MIX_FIRST ^ s.len;
    for (size_t i = 0; i + sizeof(uint64_t) < s.len; i += sizeof(uint64_t)) {
        h = mixed(h, word_at(s.ptr + i));
    }
    return mixed(mixed(h, word_last(s)), 0);
}

uint64_t str_ihash(str s)
{
    uint64_t h = MIX_FIRST ^ s.len;
    for (size_t i = 0; i + sizeof(uint64_t) < s.len; i += sizeof(uint64_t)) {
        h = mixed(h, word_lower(word_at(s.ptr + i)));
    }
    return mixed(mixed(h, word_lower(word_last(s))), 0);
}

/* --- */

static int length_order(str a, str b)
{
    return (a.len > b.len) - (a.len < b.len);
}

int str_cmp(str a, str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;
    return order != 0 ? order : length_order(a, b);
}

int str_icmp(str a, str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < n; i++) {
        unsigned char x = (unsigned char)ascii_lower(a.ptr[i]);
        unsigned char y = (unsigned char)ascii_lower(b.ptr[i]);
        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    return length_order(a, b);
}

bool str_starts(str s, str prefix)
{
    return s.len >= prefix.len && str_eq(str_sub(s, 0, prefix.len), prefix);
}

bool str_istarts(str s, str prefix)
{
    return s.len >= prefix.len && str_ieq(str_sub(s, 0, prefix.len), prefix);
}

bool str_iends(str s, str suffix)
{
    return s.len >= suffix.len && str_ieq(str_from_pos(s, s.len - suffix.len), suffix);
}

ptrdiff_t str_find(str s, char c)
{
    const char *p = s.len > 0 ? memchr(s.ptr, c, s.len) : NULL;
    return p != NULL ? p - s.ptr : -1;
}

ptrdiff_t str_rfind(str s, char c)
{
    const char *p = s.len > 0 ? memrchr(s.ptr, c, s.len) : NULL;
    return p != NULL ? p - s.ptr : -1;
}

static bool is_trimmed(char c)
{
    return ascii_is_space(c) || c == '\r' || c == '\n';
}

str str_trim(str s)
{
    while (s.len > 0 && is_trimmed(s.ptr[s.len - 1])) {
        s.len--;
    }
    while (s.len > 0 && is_trimmed(s.ptr[0])) {
        s = str_from_pos(s, 1);
    }
    return s;
}

bool str_word(str *rest, str *word)
{
    size_t from = 0;
    while (from < rest->len && ascii_is_space(rest->ptr[from])) {
        from++;
    }
    size_t end = from;
    while (end < rest->len && !ascii_is_space(rest->ptr[end])) {
        end++;
    }
    *word = str_sub(*rest, from, end - from);
    *rest = str_from_pos(*rest, end);
    return word->len > 0;
}

bool str_split(str *rest, char sep, str *part)
{
    if (rest->ptr == NULL) {
        *part = STR_NONE;
        return false;
    }
    ptrdiff_t at = str_find(*rest, sep);
    if (at < 0) {
        *part = *rest;
        *rest = STR_NONE;
    } else {
        *part = str_sub(*rest, 0, (size_t)at);
        *rest = str_from_pos(*rest, (size_t)at + 1);
    }
    return true;
}

bool str_u64(str s, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    if (s.len == 0) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (!ascii_is_digit(s.ptr[i])) {
            return false;
        }
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
        if (value > max) {
            return false;
        }
    }
    *out = value;
    return true;
}

/* The value of a digit, or 36. */
static unsigned digit_value(char c)
{
    c = ascii_lower(c);
    return ascii_is_digit(c)      ? (unsigned)(c - '0')
           : c >= 'a' && c <= 'z' ? (unsigned)(c - 'a') + 10
                                  : 36;
}

bool str_number(str s, uint64_t max, uint64_t *out)
{
    ptrdiff_t percent = str_find(s, '%');
    uint64_t base = 10, value = 0;
    if (percent < 0) {
        return str_u64(s, max, out);
    }
    str digits = str_from_pos(s, (size_t)percent + 1);
    if (!str_u64(str_sub(s, 0, (size_t)percent), 36, &base) || base < 2 ||
        digits.len == 0) {
        return false;
    }
    for (size_t i = 0; i < digits.len; i++) {
        unsigned digit = digit_value(digits.ptr[i]);
        if (digit >= base || value > (UINT64_MAX - digit) / base) {
            return false;
        }
        value = value * base + digit;
        if (value > max) {
            return false;
        }
    }
    *out = value;
    return true;
}

enum { DISTANCE_MAX_LEN = 127 }; /* longer words are nobody's typing mistake */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

unsigned str_distance(str a, str b, unsigned limit)
{
    unsigned rows[3][DISTANCE_MAX_LEN + 1];
    size_t gap = a.len > b.len ? a.len - b.len : b.len - a.len;
    if (str_ieq(a, b)) {
        return 0;
    }
    if (gap > limit || a.len > DISTANCE_MAX_LEN || b.len > DISTANCE_MAX_LEN) {
        return limit + 1;
    }
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.len; j++) {
        last[j] = before[j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        unsigned best = row[0] = (unsigned)i;
        char ca = ascii_lower(a.ptr[i - 1]);
        for (size_t j = 1; j <= b.len; j++) {
            char cb = ascii_lower(b.ptr[j - 1]);
            row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == ascii_lower(b.ptr[j - 2]) &&
                cb == ascii_lower(a.ptr[i - 2]) && before[j - 2] + 1 < row[j]) {
                row[j] = before[j - 2] + 1;
            }
            best = row[j] < best ? row[j] : best;
        }
        if (best > limit) { /* no later row can come below the best of this one */
            return limit + 1;
        }
        unsigned *spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[b.len] > limit ? limit + 1 : last[b.len];
}

size_t str_utf8(str s, uint32_t *code)
{
    /* RFC 3629: no over-long forms, no surrogates, nothing above U+10FFFF. */
    if (s.len == 0) {
        return 0;
    }
    unsigned char lead = (unsigned char)s.ptr[0];
    size_t n = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (n == 0 || lead > 0xF4 || s.len < n) {
        return 0;
    }
    uint32_t c = n == 1 ? lead : lead & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        unsigned char next = (unsigned char)s.ptr[i];
        if ((next & 0xC0) != 0x80) {
            return 0;
        }
        c = c << 6 | (next & 0x3F);
    }
    if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10FFFF ||
        (c >= 0xD800 && c <= 0xDFFF)) {
        return 0;
    }
    if (code != NULL) {
        *code = c;
    }
    return n;
}
