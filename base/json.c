/* json: a recursive descent parser with a depth limit, and the encoder of strings. What
 * comes here may be hostile only as far as root or our own user is; it is strict all
 * the same, because a misread command is worse than a refused one. */
#include "base/json.h"

#include <stdio.h>

#include "base/check.h"
#include "base/vec.h"

struct reader {
    struct arena *arena;
    str rest;
    unsigned depth;
    const char *reason;
};

static bool fail(struct reader *r, const char *reason)
{
    if (r->reason == NULL) {
        r->reason = reason;
    }
    return false;
}

static void skip(struct reader *r, size_t n)
{
    r->rest = str_from_pos(r->rest, n);
}

static void skip_blanks(struct reader *r)
{
    while (r->rest.len > 0 && strchr(" \t\r\n", r->rest.ptr[0]) != NULL &&
           r->rest.ptr[0] != '\0') {
        skip(r, 1);
    }
}

static char peek(const struct reader *r)
{
    return r->rest.len > 0 ? r->rest.ptr[0] : '\0';
}

/* Takes c, after blanks, if it is there. */
static bool take(struct reader *r, char c)
{
    skip_blanks(r);
    if (peek(r) != c || r->rest.len == 0) {
        return false;
    }
    skip(r, 1);
    return true;
}

static bool take_word(struct reader *r, str word)
{
    if (!str_starts(r->rest, word)) {
        return false;
    }
    skip(r, word.len);
    return true;
}

/* Four hexadecimal digits. */
static bool take_unit(struct reader *r, uint32_t *unit)
{
    *unit = 0;
    if (r->rest.len < 4) {
        return fail(r, "a \\u needs four hexadecimal digits");
    }
    for (int i = 0; i < 4; i++) {
        char c = ascii_lower(r->rest.ptr[i]);
        bool letter = c >= 'a' && c <= 'f';
        if (!ascii_is_digit(c) && !letter) {
            return fail(r, "a \\u needs four hexadecimal digits");
        }
        *unit = *unit << 4 | (uint32_t)(letter ? c - 'a' + 10 : c - '0');
    }
    skip(r, 4);
    return true;
}

static size_t put_utf8(char *out, uint32_t code)
{
    static const struct {
        uint32_t below;
        unsigned char lead;
        size_t len;
    } forms[] = {{0x80, 0, 1}, {0x800, 0xC0, 2}, {0x10000, 0xE0, 3}, {0x110000, 0xF0, 4}};
    size_t i = 0;
    while (code >= forms[i].below) {
        i++;
        check(i < sizeof forms / sizeof forms[0]);
    }
    size_t len = forms[i].len;
    for (size_t at = len - 1; at > 0; at--) {
        out[at] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    out[0] = (char)(forms[i].lead | code);
    return len;
}

/* What follows "\u", perhaps with the second half of a surrogate pair. */
static bool take_code(struct reader *r, char *out, size_t *len)
{
    uint32_t code, low;
    if (!take_unit(r, &code)) {
        return false;
    }
    if (code >= 0xD800 && code < 0xDC00) {
        if (!take_word(r, STR("\\u")) || !take_unit(r, &low) || low < 0xDC00 ||
            low > 0xDFFF) {
            return fail(r, "half a surrogate pair");
        }
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code <= 0xDFFF) {
        return fail(r, "half a surrogate pair");
    }
    if (code == 0) {
        return fail(r, "NUL in a string");
    }
    *len += put_utf8(out + *len, code);
    return true;
}

static bool take_escape(struct reader *r, char *out, size_t *len)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char c = peek(r);
    skip(r, 1);
    if (c == 'u') {
        return take_code(r, out, len);
    }
    const char *at = c == '\0' ? NULL : strchr(names, c);
    if (at == NULL) {
        return fail(r, "unknown escape in a string");
    }
    out[(*len)++] = values[at - names];
    return true;
}

/* Bytes up to the closing quote, as written. */
static size_t string_extent(str rest)
{
    size_t n = 0;
    while (n < rest.len && rest.ptr[n] != '"') {
        n += rest.ptr[n] == '\\' ? 2 : 1;
    }
    return n;
}

/* A string, its opening quote already taken. Decoding never makes it longer. */
static bool read_string(struct reader *r, str *out)
{
    size_t len = 0;
    char *text = arena_alloc(r->arena, string_extent(r->rest) + 1);
    while (!take_word(r, STR("\""))) {
        size_t unit = str_utf8(r->rest, NULL);
        if (unit == 0) {
            return fail(r, r->rest.len == 0 ? "a string without an end" : "not UTF-8");
        }
        if ((unsigned char)peek(r) < 0x20) {
            return fail(r, "a control byte in a string");
        }
        if (take_word(r, STR("\\"))) {
            if (!take_escape(r, text, &len)) {
                return false;
            }
            continue;
        }
        memcpy(text + len, r->rest.ptr, unit);
        len += unit;
        skip(r, unit);
    }
    *out = str_n(text, len);
    return true;
}

static size_t take_digits(struct reader *r)
{
    size_t n = 0;
    while (ascii_is_digit(peek(r))) {
        skip(r, 1);
        n++;
    }
    return n;
}

/* RFC 8259 section 6. */
static bool read_number(struct reader *r, struct json_member *m)
{
    str from = r->rest;
    bool minus = take_word(r, STR("-")), whole = true;
    bool zero = peek(r) == '0';
    size_t digits = take_digits(r);
    bool good = digits > 0 && !(zero && digits > 1);
    if (take_word(r, STR("."))) {
        whole = false;
        good = good && take_digits(r) > 0;
    }
    if (ascii_lower(peek(r)) == 'e') {
        whole = false;
        skip(r, 1);
        if (!take_word(r, STR("+"))) {
            take_word(r, STR("-"));
        }
        good = good && take_digits(r) > 0;
    }
    if (!good) {
        return fail(r, "a malformed number");
    }
    uint64_t value;
    m->type = JSON_OTHER;
    m->text = str_sub(from, 0, from.len - r->rest.len);
    if (whole && str_u64(str_from_pos(m->text, minus), INT64_MAX, &value)) {
        m->type = JSON_INTEGER;
        m->integer = minus ? -(int64_t)value : (int64_t)value;
    }
    return true;
}

static bool read_value(struct reader *r, struct json_member *m);

/* An object or array inside: only checked. */
static bool read_nested(struct reader *r, char close)
{
    struct json_member inner;
    str name;
    skip(r, 1);
    if (take(r, close)) {
        return true;
    }
    do {
        if (close == '}' && (!take(r, '"') || !read_string(r, &name) || !take(r, ':'))) {
            return fail(r, "an object needs \"name\":value");
        }
        if (!read_value(r, &inner)) {
            return false;
        }
    } while (take(r, ','));
    return take(r, close) || fail(r, "a comma or the closing bracket is missing");
}

static bool read_other(struct reader *r, struct json_member *m)
{
    char c = peek(r);
    str from = r->rest;
    if (c != '{' && c != '[') {
        return fail(r, "a value is missing");
    }
    if (++r->depth > JSON_DEPTH_MAX) {
        return fail(r, "nested too deeply");
    }
    bool good = read_nested(r, c == '{' ? '}' : ']');
    r->depth--;
    m->type = JSON_OTHER;
    m->text = str_sub(from, 0, from.len - r->rest.len);
    return good;
}

static bool read_value(struct reader *r, struct json_member *m)
{
    skip_blanks(r);
    if (take_word(r, STR("\""))) {
        m->type = JSON_STRING;
        return read_string(r, &m->text);
    }
    if (peek(r) == '-' || ascii_is_digit(peek(r))) {
        return read_number(r, m);
    }
    if (take_word(r, STR("true"))) {
        m->type = JSON_BOOL;
        m->truth = true;
        return true;
    }
    if (take_word(r, STR("false"))) {
        m->type = JSON_BOOL;
        return true;
    }
    if (take_word(r, STR("null"))) {
        m->type = JSON_NULL;
        return true;
    }
    return read_other(r, m);
}

static bool has_name(const struct json_member *members, size_t count, str name)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(members[i].name, name)) {
            return true;
        }
    }
    return false;
}

static bool read_members(struct reader *r, struct json_object *out)
{
    VEC(struct json_member) members = {0};
    if (!take(r, '{')) {
        return fail(r, "not an object");
    }
    if (!take(r, '}')) {
        do {
            struct json_member m = {0};
            if (!take(r, '"') || !read_string(r, &m.name) || !take(r, ':')) {
                return fail(r, "an object needs \"name\":value");
            }
            if (has_name(members.at, members.n, m.name)) {
                return fail(r, "a name is there twice");
            }
            if (members.n >= JSON_MEMBERS_MAX) {
                return fail(r, "too many members");
            }
            if (!read_value(r, &m)) {
                return false;
            }
            *vec_add(r->arena, &members) = m;
        } while (take(r, ','));
        if (!take(r, '}')) {
            return fail(r, "a comma or the closing brace is missing");
        }
    }
    out->members = members.at;
    out->count = members.n;
    skip_blanks(r);
    return r->rest.len == 0 || fail(r, "text after the object");
}

bool json_parse(struct arena *a, str text, struct json_object *out, const char **reason)
{
    struct reader r = {.arena = a, .rest = text};
    *out = (struct json_object){0};
    bool good = read_members(&r, out);
    *reason = r.reason;
    return good;
}

const struct json_member *json_get(const struct json_object *o, const char *name,
                                   enum json_type type)
{
    for (size_t i = 0; i < o->count; i++) {
        if (str_eq(o->members[i].name, str_from(name)) && o->members[i].type == type) {
            return &o->members[i];
        }
    }
    return NULL;
}

bool json_put_string(struct buf *out, str s)
{
    bool good = buf_putc(out, '"');
    while (good && s.len > 0) {
        uint32_t code;
        size_t len = str_utf8(s, &code);
        if (len == 0) {
            good = buf_puts(out, "\\ufffd");
            len = 1;
        } else if (code < 0x20 || (code >= 0x7F && code < 0xA0)) {
            good = buf_printf(out, "\\u%04x", (unsigned)code);
        } else if (code == '"' || code == '\\') {
            good = buf_printf(out, "\\%c", (char)code);
        } else {
            good = buf_append(out, s.ptr, len);
        }
        s = str_from_pos(s, len);
    }
    return good && buf_putc(out, '"');
}
