/* dsn: by hand, one function per production. */
#include "router/dsn.h"

enum { XTEXT_CHAR = 3 }; /* "+XX" */

static bool is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

static int hex_upper(char c)
{
    if (ascii_is_digit(c)) {
        return c - '0';
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One character of xtext off the front: *c and its length; 0 when there is none. */
static size_t xtext_char(str s, char *c)
{
    *c = s.ptr[0];
    if (*c != '+') {
        return *c > ' ' && *c <= '~' && *c != '=' ? 1 : 0;
    }
    int high = s.len >= XTEXT_CHAR ? hex_upper(s.ptr[1]) : -1;
    int low = s.len >= XTEXT_CHAR ? hex_upper(s.ptr[2]) : -1;
    *c = (char)(high * 16 + low);
    return high >= 0 && low >= 0 ? XTEXT_CHAR : 0;
}

/* The number of characters of xtext that stands for printable ASCII; -1: it is not. */
static ptrdiff_t xtext_printable(str s)
{
    ptrdiff_t n = 0;
    while (s.len > 0) {
        char c;
        size_t took = xtext_char(s, &c);
        if (took == 0 || !is_printable(c)) {
            return -1;
        }
        s = str_from_pos(s, took);
        n++;
    }
    return n;
}

/* --- parameters --- */

static unsigned notify_word(str word)
{
    return str_ieq(word, STR("NEVER"))     ? QUEUE_NOTIFY_NEVER
           : str_ieq(word, STR("SUCCESS")) ? QUEUE_NOTIFY_SUCCESS
           : str_ieq(word, STR("FAILURE")) ? QUEUE_NOTIFY_FAILURE
           : str_ieq(word, STR("DELAY"))   ? QUEUE_NOTIFY_DELAY
                                           : 0;
}

const char *dsn_notify_parse(str value, unsigned *notify)
{
    unsigned set = 0;
    for (;;) {
        ptrdiff_t comma = str_find(value, ',');
        unsigned word = notify_word(comma < 0 ? value : str_sub(value, 0, (size_t)comma));
        if (word == 0) {
            return "NOTIFY takes NEVER, or SUCCESS, FAILURE and DELAY";
        }
        if ((set & word) != 0) {
            return "NOTIFY has a word twice";
        }
        set |= word;
        if (comma < 0) {
            break;
        }
        value = str_from_pos(value, (size_t)comma + 1);
    }
    if ((set & QUEUE_NOTIFY_NEVER) != 0 && set != QUEUE_NOTIFY_NEVER) {
        return "NOTIFY=NEVER stands alone";
    }
    *notify = set;
    return NULL;
}

const char *dsn_ret_parse(str value, enum queue_ret *ret)
{
    if (str_ieq(value, STR("FULL"))) {
        *ret = QUEUE_RET_FULL;
    } else if (str_ieq(value, STR("HDRS"))) {
        *ret = QUEUE_RET_HDRS;
    } else {
        return "RET takes FULL or HDRS";
    }
    return NULL;
}

const char *dsn_envid_flaw(str value)
{
    ptrdiff_t n = xtext_printable(value);
    if (n <= 0) {
        return "ENVID takes xtext of printable characters";
    }
    return n > DSN_ENVID_MAX || value.len > DSN_ENVID_TEXT_MAX ? "ENVID is too long"
                                                               : NULL;
}

/* An atom (RFC 822): what a type of addresses is called. */
static bool is_atom(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~' ||
            strchr("()<>@,;:\\\".[]=+", s.ptr[i]) != NULL) {
            return false;
        }
    }
    return s.len > 0;
}

/* "\x{...}" at the front of s: its length, and the character in *point. Upper case
 * hexadecimal of 2 to 6 digits without zeros in front, no control character (RFC 6533 3).
 * 0: it is none. */
static size_t embedded_unicode(str s, unsigned long *point)
{
    enum { DIGITS = 3, DIGITS_MAX = 6 };
    size_t i = DIGITS;
    *point = 0;
    if (!str_starts(s, STR("\\x{"))) {
        return 0;
    }
    for (; i < s.len && i < DIGITS + DIGITS_MAX && hex_upper(s.ptr[i]) >= 0; i++) {
        *point = *point * 16 + (unsigned long)hex_upper(s.ptr[i]);
    }
    bool ended = i < s.len && s.ptr[i] == '}' && i >= DIGITS + 2;
    bool control = *point < ' ' || (*point >= 0x7f && *point < 0xa0);
    bool surrogate = *point >= 0xd800 && *point <= 0xdfff;
    bool good = ended && s.ptr[DIGITS] != '0' && !control && !surrogate;
    return good && *point <= 0x10ffff ? i + 1 : 0;
}

static bool put_utf8(struct buf *out, unsigned long c)
{
    char text[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6) {
        text[i] = (char)(0x80 | (c & 0x3f));
    }
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    text[0] = (char)(first[n] | c);
    return buf_append(out, text, n);
}

/* utf-8-addr-xtext: printable ASCII but for '+' and '=', and \x{HEX}. */
static bool utf8_xtext_ok(str s)
{
    while (s.len > 0) {
        unsigned long point;
        size_t took = s.ptr[0] == '\\' ? embedded_unicode(s, &point) : 1;
        if (took == 0 || s.ptr[0] <= ' ' || s.ptr[0] > '~' || s.ptr[0] == '+' ||
            s.ptr[0] == '=') {
            return false;
        }
        s = str_from_pos(s, took);
    }
    return true;
}

const char *dsn_orcpt_flaw(str value)
{
    ptrdiff_t semicolon = str_find(value, ';');
    if (semicolon < 0 || !is_atom(str_sub(value, 0, (size_t)semicolon))) {
        return "ORCPT takes type;address";
    }
    if (value.len > DSN_ORCPT_MAX) {
        return "ORCPT is too long";
    }
    str address = str_from_pos(value, (size_t)semicolon + 1);
    bool utf8 = str_ieq(str_sub(value, 0, (size_t)semicolon), STR("utf-8"));
    if (address.len == 0 ||
        (utf8 ? !utf8_xtext_ok(address) : xtext_printable(address) < 0)) {
        return "The address of ORCPT is not written as it must be";
    }
    return NULL;
}

/* --- forms --- */

bool dsn_xtext_decode(str text, struct buf *out)
{
    size_t before = out->len;
    while (text.len > 0) {
        char c;
        size_t took = xtext_char(text, &c);
        if (took == 0 || !buf_putc(out, c)) {
            out->len = before;
            return false;
        }
        text = str_from_pos(text, took);
    }
    return true;
}

bool dsn_utf8_xtext_decode(str text, struct buf *out)
{
    size_t before = out->len;
    while (text.len > 0) {
        unsigned long point = 0;
        size_t took = text.ptr[0] == '\\' ? embedded_unicode(text, &point) : 1;
        bool ok = took == 1 ? buf_putc(out, text.ptr[0]) : put_utf8(out, point);
        if (took == 0 || !ok) {
            out->len = before;
            return false;
        }
        text = str_from_pos(text, took);
    }
    return true;
}

str dsn_xtext_encode(struct arena *a, str text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = arena_alloc(a, XTEXT_CHAR * text.len + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c > ' ' && c <= '~' && c != '+' && c != '=') {
            out[n++] = (char)c;
        } else {
            out[n++] = '+';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        }
    }
    return str_n(out, n);
}

str dsn_orcpt_make(struct arena *a, str address)
{
    for (size_t i = 0; i < address.len; i++) {
        if (!is_printable(address.ptr[i])) {
            return STR_NONE;
        }
    }
    str text = arena_printf(a, "rfc822;%.*s", STR_ARG(dsn_xtext_encode(a, address)));
    return text.len <= DSN_ORCPT_MAX ? text : STR_NONE;
}

const char *dsn_notify_print(unsigned notify)
{
    static const char *const texts[] = {
        "",      "SUCCESS",       "FAILURE",       "SUCCESS,FAILURE",
        "DELAY", "SUCCESS,DELAY", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"};
    return (notify & QUEUE_NOTIFY_NEVER) != 0 ? "NEVER" : texts[notify >> 1 & 7];
}

unsigned dsn_notify_stored(unsigned notify, bool held)
{
    bool alone = (notify & QUEUE_NOTIFY_EXPANDED) == 0;
    notify &= ~(unsigned)QUEUE_NOTIFY_EXPANDED;
    if (alone || held) {
        return notify;
    }
    unsigned left = notify & ~(unsigned)QUEUE_NOTIFY_SUCCESS;
    return notify != 0 && left == 0 ? QUEUE_NOTIFY_NEVER : left;
}

unsigned dsn_notify_receipt(unsigned notify)
{
    if ((notify & QUEUE_NOTIFY_NEVER) != 0) {
        return notify;
    }
    bool usual = (notify & ~(unsigned)QUEUE_NOTIFY_EXPANDED) == 0;
    return notify | QUEUE_NOTIFY_SUCCESS |
           (usual ? QUEUE_NOTIFY_FAILURE | QUEUE_NOTIFY_DELAY : 0);
}

bool dsn_wants_failure(unsigned notify)
{
    return notify == 0 || (notify & QUEUE_NOTIFY_FAILURE) != 0;
}

bool dsn_wants_delay(unsigned notify)
{
    return notify == 0 || (notify & QUEUE_NOTIFY_DELAY) != 0;
}

bool dsn_wants_success(unsigned notify)
{
    return (notify & QUEUE_NOTIFY_SUCCESS) != 0;
}
