/* header_addresses: one pass over the value finds the separators, a second one over each
 * item its address. */
#include "router/header_addresses.h"

#include "base/check.h"

/* RFC 2047 2 says 75. Any bound keeps a field of nothing but beginnings from taking time
 * that grows with its square. */
enum { ENCODED_MAX = 256 };

/* --- what belongs together --- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The length of what begins with `open` and ends with `close`; 0: it does not end. */
static size_t enclosed(str text, char close)
{
    for (size_t i = 1; i < text.len; i++) {
        if (text.ptr[i] == '\\') {
            i++;
        } else if (text.ptr[i] == close) {
            return i + 1;
        }
    }
    return 0;
}

/* Comments nest. */
static size_t comment(str text)
{
    size_t depth = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\\') {
            i++;
        } else if (c == '(') {
            depth++;
        } else if (c == ')' && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* Steps over one octet or more and the `end` behind them; false: there is a blank before
 * it, or it is too far. */
static bool skip_word(str text, size_t *at, char end)
{
    size_t from = *at;
    while (*at < text.len && *at < ENCODED_MAX && text.ptr[*at] != end &&
           !is_blank(text.ptr[*at])) {
        ++*at;
    }
    return *at > from && *at < text.len && text.ptr[(*at)++] == end;
}

/* "=?charset?encoding?text?=" (RFC 2047 2): the text should be without what separates
 * addresses, but programs that put commas there are many. 0: it is none. */
static size_t encoded_word(str text)
{
    size_t at = 2;
    if (!str_starts(text, STR("=?")) || !skip_word(text, &at, '?') ||
        !skip_word(text, &at, '?')) {
        return 0;
    }
    while (skip_word(text, &at, '?')) {
        if (at < text.len && text.ptr[at] == '=') {
            return at + 1;
        }
    }
    return 0;
}

/* The length of the token text begins with: a quoted string, a comment, a literal, an
 * encoded word, or else one octet. 0: it does not end. */
static size_t token(str text)
{
    size_t encoded;
    switch (text.ptr[0]) {
    case '"':
        return enclosed(text, '"');
    case '[':
        return enclosed(text, ']');
    case '(':
        return comment(text);
    case '=':
        encoded = encoded_word(text);
        return encoded > 0 ? encoded : 1;
    default:
        return 1;
    }
}

/* --- the address of an item --- */

/* What of an item has been put together. */
struct spec {
    struct arena *arena;
    str text;
    size_t begin, end; /* in text; begin == end: nothing yet */
    bool gap;          /* blanks or a comment behind the end */
    char *joined;      /* the words without the gaps; NULL while there is none */
    size_t joined_len;
};

static bool joins(char c)
{
    return c == '.' || c == '@' || c == ':' || c == ',';
}

static bool spec_join(struct spec *s, size_t from, size_t to)
{
    size_t len = to - from;
    if (s->joined_len + len > ADDRESS_PATH_MAX) {
        return false;
    }
    memcpy(s->joined + s->joined_len, s->text.ptr + from, len);
    s->joined_len += len;
    return true;
}

/* Adds a word. Between two words there may be no gap unless there is punctuation: else
 * it is a phrase, not an address. */
static bool spec_add(struct spec *s, size_t from, size_t to)
{
    if (s->end == s->begin) {
        s->begin = from;
    } else if (s->gap) {
        if (!joins(s->text.ptr[s->end - 1]) && !joins(s->text.ptr[from])) {
            return false;
        }
        if (s->joined == NULL) {
            s->joined = arena_alloc(s->arena, ADDRESS_PATH_MAX);
            if (!spec_join(s, s->begin, s->end)) {
                return false;
            }
        }
    }
    s->end = to;
    s->gap = false;
    return s->joined == NULL || spec_join(s, from, to);
}

/* The end of the word at `at`: the next blank or comment. */
static size_t word_end(str text, size_t at)
{
    while (at < text.len && !is_blank(text.ptr[at]) && text.ptr[at] != '(') {
        size_t len = token(str_from_pos(text, at));
        check(len > 0); /* header_addresses() has seen its end */
        at += len;
    }
    return at;
}

/* Is text an address and nothing else but blanks and comments? Then its place, and the
 * address without those. */
static bool spec_find(str text, struct arena *a, str *spot, str *spec)
{
    struct spec s = {.arena = a, .text = text};
    size_t at = 0;
    while (at < text.len) {
        bool in_comment = text.ptr[at] == '(';
        if (in_comment || is_blank(text.ptr[at])) {
            s.gap = true;
            at += in_comment ? comment(str_from_pos(text, at)) : 1;
            continue;
        }
        size_t end = word_end(text, at);
        if (!spec_add(&s, at, end)) {
            return false;
        }
        at = end;
    }
    *spot = str_sub(text, s.begin, s.end - s.begin);
    *spec = s.joined != NULL ? str_n(s.joined, s.joined_len) : *spot;
    return s.end > s.begin;
}

/* An encoded word, perhaps damaged, or a quoted string. Without an address these are
 * names. */
static bool is_name(str spec)
{
    return str_starts(spec, STR("=?")) || spec.ptr[0] == '"';
}

static void item_address(struct header_item *item, str text, struct arena *a)
{
    str spot, spec;
    if (!spec_find(text, a, &spot, &spec) ||
        address_parse(spec, &item->address) != NULL) {
        return;
    }
    if (!item->angle && item->address.domain.len == 0 && is_name(spec)) {
        return;
    }
    item->spot = item->angle ? text : spot;
}

bool header_is_blank(str text)
{
    size_t at = 0;
    while (at < text.len && (is_blank(text.ptr[at]) || text.ptr[at] == '(')) {
        size_t len = token(str_from_pos(text, at));
        if (len == 0) {
            return false;
        }
        at += len;
    }
    return at == text.len;
}

/* --- the items of a value --- */

struct scan {
    str value;
    size_t begin;             /* of the item */
    ptrdiff_t open, close;    /* of its angle brackets, -1: none yet */
    bool in_group, in_angles; /* here */
};

static void item_add(struct scan *s, size_t at, struct arena *a, struct header_items *out)
{
    struct header_item *item = vec_add(a, &out->list);
    item->raw = str_sub(s->value, s->begin, at - s->begin);
    item->end = at < s->value.len ? s->value.ptr[at] : '\0';
    item->in_group = s->in_group;
    item->angle = s->open >= 0;
    if (item->angle) {
        item_address(
            item,
            str_sub(s->value, (size_t)s->open + 1, (size_t)(s->close - s->open - 1)), a);
    } else if (item->end != ':') {
        item_address(item, item->raw, a);
    }
    s->begin = at + 1;
    s->open = s->close = -1;
}

/* What stands before ':' at `at`, outside of angle brackets, is the name of a group. */
static bool group_begins(const struct scan *s, size_t at)
{
    str name = str_trim(str_sub(s->value, s->begin, at - s->begin));
    bool route = name.len > 0 && name.ptr[0] == '@'; /* it forgot its brackets */
    return !s->in_group && s->open < 0 && !route;
}

/* A separator outside of angle brackets. */
static bool separator(struct scan *s, size_t at, struct arena *a,
                      struct header_items *out)
{
    char c = s->value.ptr[at];
    if (out->list.n >= HEADER_ITEMS_MAX - 1 || (c == ':' && !group_begins(s, at))) {
        return false;
    }
    item_add(s, at, a, out);
    s->in_group = c == ':' || (c == ',' && s->in_group);
    return true;
}

static bool bracket(struct scan *s, size_t at)
{
    bool open = s->value.ptr[at] == '<';
    if (s->in_angles == open || (open && s->open >= 0)) {
        return false;
    }
    s->in_angles = open;
    *(open ? &s->open : &s->close) = (ptrdiff_t)at;
    return true;
}

static bool scan_token(struct scan *s, size_t at, struct arena *a,
                       struct header_items *out)
{
    char c = s->value.ptr[at];
    if (c == '<' || c == '>') {
        return bracket(s, at);
    }
    if (!s->in_angles && (c == ',' || c == ';' || c == ':')) {
        return separator(s, at, a, out);
    }
    return true;
}

bool header_addresses(str value, struct arena *a, struct header_items *out)
{
    struct scan s = {.value = value, .open = -1, .close = -1};
    *out = (struct header_items){0};
    size_t at = 0;
    while (at < value.len) {
        size_t len = token(str_from_pos(value, at));
        if (len == 0 || (len == 1 && !scan_token(&s, at, a, out))) {
            return false;
        }
        at += len;
    }
    if (s.in_angles) {
        return false;
    }
    item_add(&s, value.len, a, out);
    return true;
}
