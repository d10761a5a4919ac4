/* str: comparing, searching and cutting slices. */
#include "base/str.h"

char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool ascii_is_space(char c)
{
    return c == ' ' || c == '\t';
}

bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool ascii_is_alnum(char c)
{
    char low = ascii_lower(c);
    return ascii_is_digit(c) || (low >= 'a' && low <= 'z');
}

bool str_eq(str a, str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_ieq(str a, str b)
{
    return a.len == b.len && str_icmp(a, b) == 0;
}

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

str str_from_pos(str s, size_t from)
{
    if (from > s.len) {
        from = s.len;
    }
    return from == 0 ? s : str_n(s.ptr + from, s.len - from);
}

str str_sub(str s, size_t from, size_t len)
{
    str rest = str_from_pos(s, from);
    return str_n(rest.ptr, len < rest.len ? len : rest.len);
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

/* FNV-1a, 64 bits: offset basis and prime as published by its authors. */
static const uint64_t FNV_BASIS = 14695981039346656037ULL;
static const uint64_t FNV_PRIME = 1099511628211ULL;

uint64_t str_hash(str s)
{
    uint64_t h = FNV_BASIS;
    for (size_t i = 0; i < s.len; i++) {
        h = (h ^ (unsigned char)s.ptr[i]) * FNV_PRIME;
    }
    return h;
}

uint64_t str_ihash(str s)
{
    uint64_t h = FNV_BASIS;
    for (size_t i = 0; i < s.len; i++) {
        h = (h ^ (unsigned char)ascii_lower(s.ptr[i])) * FNV_PRIME;
    }
    return h;
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
