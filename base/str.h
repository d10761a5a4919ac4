/* str: a (pointer, length) slice. Never owns its bytes, need not be NUL-terminated,
 * may hold NUL. Case-blind comparison is ASCII only: host names are A-labels. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const char *ptr;
    size_t len;
} str;

#define STR(lit) ((str){("" lit), sizeof(lit) - 1})
#define STR_NONE ((str){NULL, 0})
/* For printf: "%.*s", STR_ARG(s) */
#define STR_ARG(s) (int)(s).len, (s).ptr

static inline str str_from(const char *cstr)
{
    return (str){cstr, cstr ? strlen(cstr) : 0};
}
static inline str str_n(const char *ptr, size_t len)
{
    return (str){ptr, len};
}
static inline bool str_empty(str s)
{
    return s.len == 0;
}

bool str_eq(str a, str b);
bool str_ieq(str a, str b);
/* Total orders like memcmp; str_icmp folds ASCII case. */
int str_cmp(str a, str b);
int str_icmp(str a, str b);
bool str_starts(str s, str prefix);
bool str_istarts(str s, str prefix);
bool str_iends(str s, str suffix);
/* Index of the first/last c, or -1. */
ptrdiff_t str_find(str s, char c);
ptrdiff_t str_rfind(str s, char c);
/* Bytes from..end / first len; both clamp to the slice. */
static inline str str_from_pos(str s, size_t from)
{
    from = from < s.len ? from : s.len;
    return from == 0 ? s : str_n(s.ptr + from, s.len - from);
}
static inline str str_sub(str s, size_t from, size_t len)
{
    str rest = str_from_pos(s, from);
    return str_n(rest.ptr, len < rest.len ? len : rest.len);
}
/* Without blanks and tabs (also CR, LF) at both ends. */
str str_trim(str s);
/* Takes the next blank-separated word off *rest; false when none is left. */
bool str_word(str *rest, str *word);
/* Takes text up to sep off *rest (sep removed); false when *rest is exhausted
 * (ptr == NULL). "a,,b" gives "a", "", "b". */
bool str_split(str *rest, char sep, str *part);
/* Parses an unsigned decimal, whole slice, no sign, no blanks, at most max. */
bool str_u64(str s, uint64_t max, uint64_t *out);
/* The same, or in another base as PMDF's option files have it: base '%' digits, "16%1F";
 * base 2 to 36. */
bool str_number(str s, uint64_t max, uint64_t *out);
/* A hash of the bytes / of the bytes folded to lower case; all its bits are good. The
 * same in each run on machines of one byte order: somebody may look for texts with equal
 * hashes, so what a peer can fill with names is bounded. */
uint64_t str_hash(str s);
uint64_t str_ihash(str s);
/* Levenshtein distance with transpositions, ASCII case folded; stops early and
 * returns limit + 1 when it exceeds limit. For "did you mean". */
unsigned str_distance(str a, str b, unsigned limit);
/* Length in bytes (1 to 4) of the well-formed UTF-8 sequence s begins with, its code
 * point in *code (may be NULL); 0 when s is empty or does not begin with one. */
size_t str_utf8(str s, uint32_t *code);

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}
/* Blank or tab only. */
static inline bool ascii_is_space(char c)
{
    return c == ' ' || c == '\t';
}
static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static inline bool ascii_is_alnum(char c)
{
    char low = (char)(c | 0x20);
    return ascii_is_digit(c) || (low >= 'a' && low <= 'z');
}

#endif
