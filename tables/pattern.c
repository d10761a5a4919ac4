/* pattern: rule patterns and probe sequences. No rules are known here: rewrite.c asks
 * for one probe after another and looks each up in its hash table. */
#include "tables/pattern.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/address.h"
#include "base/check.h"

enum { IP_TEXT_MAX = 64 };

/* Parses text as an IP address into its canonical literal. */
static bool ip_literal(struct arena *a, str text, bool want_v6, str *out)
{
    char ip[IP_TEXT_MAX];
    char printed[INET6_ADDRSTRLEN];
    struct in6_addr v6;
    struct in_addr v4;

    if (text.len == 0 || text.len >= sizeof ip || memchr(text.ptr, 0, text.len)) {
        return false;
    }
    memcpy(ip, text.ptr, text.len);
    ip[text.len] = '\0';
    if (!want_v6) {
        if (inet_pton(AF_INET, ip, &v4) != 1) {
            return false;
        }
        *out = arena_printf(a, "[%s]", inet_ntop(AF_INET, &v4, printed, sizeof printed));
        return true;
    }
    if (inet_pton(AF_INET6, ip, &v6) != 1) {
        return false;
    }
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
        memcpy(&v4, &v6.s6_addr[12], sizeof v4);
        *out = arena_printf(a, "[%s]", inet_ntop(AF_INET, &v4, printed, sizeof printed));
    } else {
        *out = arena_printf(a, "[IPv6:%s]",
                            inet_ntop(AF_INET6, &v6, printed, sizeof printed));
    }
    return true;
}

bool literal_canonical(struct arena *a, str literal, str *out)
{
    if (literal.len < 3 || literal.ptr[0] != '[' || literal.ptr[literal.len - 1] != ']') {
        return false;
    }
    str inner = str_sub(literal, 1, literal.len - 2);
    if (str_istarts(inner, STR("IPv6:"))) {
        return ip_literal(a, str_from_pos(inner, 5), true, out);
    }
    return ip_literal(a, inner, false, out);
}

bool literal_from_ip(struct arena *a, str ip, str *out)
{
    ptrdiff_t zone = str_find(ip, '%');
    if (zone >= 0) {
        ip.len = (size_t)zone;
    }
    return ip_literal(a, ip, str_find(ip, ':') >= 0, out);
}

/* "1.2." inside the brackets of a literal prefix: one to three octets, each with its
 * dot. */
static bool prefix_ok(str inner)
{
    unsigned octets = 0;

    while (inner.len > 0) {
        ptrdiff_t dot = str_find(inner, '.');
        uint64_t value;
        if (dot <= 0 || !str_u64(str_sub(inner, 0, (size_t)dot), 255, &value)) {
            return false;
        }
        /* "[010.]" would never be probed for: addresses are printed without zeros */
        if (dot > 1 && inner.ptr[0] == '0') {
            return false;
        }
        inner = str_from_pos(inner, (size_t)dot + 1);
        octets++;
    }
    return octets >= 1 && octets <= 3;
}

static bool parse_literal(struct arena *a, str text, struct pattern *out, str *reason)
{
    if (text.len < 2 || text.ptr[text.len - 1] != ']') {
        *reason = STR("the literal has no closing ']'");
        return false;
    }
    str inner = str_sub(text, 1, text.len - 2);
    out->key = text;
    if (inner.len == 0) {
        out->kind = PATTERN_LITERAL_ANY;
        return true;
    }
    if (str_eq(inner, STR("*.*.*.*"))) {
        out->kind = PATTERN_LITERAL_STARS;
        return true;
    }
    if (prefix_ok(inner)) {
        out->kind = PATTERN_LITERAL_PREFIX;
        return true;
    }
    out->kind = PATTERN_LITERAL;
    *reason = STR("neither an address ([192.0.2.7], [IPv6:2001:db8::1]), nor the "
                  "beginning of one ([192.0.]), nor [] or [*.*.*.*]");
    return literal_canonical(a, text, &out->key);
}

static bool parse_dollar(str text, struct pattern *out, str *reason)
{
    out->kind = str_eq(text, STR("$*"))   ? PATTERN_FIRST
                : str_eq(text, STR("$%")) ? PATTERN_PERCENT
                                          : PATTERN_BANG;
    *reason = STR("'$' begins none of the patterns $*, $% and $!");
    return out->kind != PATTERN_BANG || str_eq(text, STR("$!"));
}

/* "*.*.dom" or "*.*": stars, each for a label, only in front. */
static bool parse_stars(str text, struct pattern *out, str *reason)
{
    while (str_starts(text, STR("*."))) {
        text = str_from_pos(text, 2);
    }
    bool all = str_eq(text, STR("*"));
    out->kind = all ? PATTERN_ALL_STARS : PATTERN_STARS;
    *reason = STR("'*' stands for one whole label, and only in front: *.dom, *.*.dom, *");
    return all || domain_name_ok(text);
}

/* A pattern without its tag. */
static bool parse_untagged(struct arena *a, str text, struct pattern *out, str *reason)
{
    out->kind = PATTERN_EXACT;
    out->key = text;
    if (text.len == 0) {
        *reason = STR("it is empty");
        return false;
    }
    if (text.ptr[0] == '$') {
        return parse_dollar(text, out, reason);
    }
    if (text.ptr[0] == '[') {
        return parse_literal(a, text, out, reason);
    }
    if (text.len == 1 && text.ptr[0] == '.') {
        out->kind = PATTERN_ALL;
        return true;
    }
    if (str_find(text, '*') >= 0) {
        return parse_stars(text, out, reason);
    }
    if (text.ptr[0] == '.') {
        out->kind = PATTERN_SUFFIX;
        text = str_from_pos(text, 1);
    }
    *reason = STR("not a host name, '.domain', '*.domain', '[literal]', '.', '$*', '$%' "
                  "or '$!'");
    return domain_name_ok(text);
}

static bool tag_ok(str tag, str *reason)
{
    *reason = STR("the tag before '|' is empty, too long, or not printable ASCII");
    for (size_t i = 0; i < tag.len; i++) {
        if (tag.ptr[i] <= ' ' || tag.ptr[i] >= 0x7f) {
            return false;
        }
    }
    return tag.len > 1 && tag.len <= PATTERN_TAG_MAX;
}

bool pattern_parse(struct arena *a, str text, struct pattern *out, str *reason)
{
    ptrdiff_t bar = str_rfind(text, '|');

    *out = (struct pattern){.tag = STR("")};
    if (bar < 0) {
        return parse_untagged(a, text, out, reason);
    }
    out->tag = str_sub(text, 0, (size_t)bar + 1);
    str rest = str_from_pos(text, (size_t)bar + 1);
    if (!tag_ok(out->tag, reason) || !parse_untagged(a, rest, out, reason)) {
        return false;
    }
    out->key = str_eq(out->key, rest)
                   ? text
                   : arena_printf(a, "%.*s%.*s", STR_ARG(out->tag), STR_ARG(out->key));
    return true;
}

/* What comes next; kept in pattern_probe.state. */
enum { PROBE_EXACT, PROBE_STARS, PROBE_WEAR, PROBE_LAST_STARS, PROBE_DONE };

void pattern_probe_start(struct pattern_probe *p, str spec, bool stars)
{
    p->match = (struct pattern_match){.spec = spec};
    p->key = STR("");
    p->stars = stars;
    p->at = 0;
    p->level = 0;
    p->state = PROBE_EXACT;
}

static void probe_found(struct pattern_probe *p, enum pattern_kind kind, str key,
                        str matched, str unmatched, str rest)
{
    p->key = key;
    p->match.kind = kind;
    p->match.matched = matched;
    p->match.unmatched = unmatched;
    p->match.rest = rest;
}

/* "*.*" and what is behind so many labels, in p->text. */
static str stars_text(struct pattern_probe *p, unsigned stars, str rest)
{
    size_t n = 0;

    check(stars <= 128 && rest.len < 256);
    for (unsigned i = 0; i < stars; i++) {
        p->text[n++] = '*';
        p->text[n++] = '.';
    }
    memcpy(p->text + n, rest.ptr, rest.len);
    return str_n(p->text, rest.len > 0 ? n + rest.len : n - 1);
}

/* Steps over one more label; false when the last one is left. */
static bool next_level(struct pattern_probe *p)
{
    ptrdiff_t dot = str_find(str_from_pos(p->match.spec, p->at), '.');

    if (dot < 0) {
        return false;
    }
    p->at += (size_t)dot + 1;
    p->level++;
    return true;
}

/* The probe with the dot at this level, or the one with stars. */
static void probe_level(struct pattern_probe *p, bool stars)
{
    str spec = p->match.spec;
    size_t cut = p->at - 1;
    str matched = str_from_pos(spec, cut);
    str key = stars ? stars_text(p, p->level, str_from_pos(spec, p->at)) : matched;

    probe_found(p, stars ? PATTERN_STARS : PATTERN_SUFFIX, key, matched,
                str_sub(spec, 0, cut), STR(""));
}

static bool next_of_name(struct pattern_probe *p)
{
    str spec = p->match.spec;

    if (p->state == PROBE_WEAR) { /* the dot of the level whose stars are done */
        p->state = PROBE_STARS;
        probe_level(p, false);
        return true;
    }
    if (p->state == PROBE_STARS && next_level(p)) {
        p->state = p->stars ? PROBE_WEAR : PROBE_STARS;
        probe_level(p, p->stars);
        return true;
    }
    bool last = p->state == PROBE_STARS && p->stars;
    p->state = PROBE_DONE;
    if (last) {
        probe_found(p, PATTERN_ALL_STARS, stars_text(p, p->level + 1, STR("")), STR(""),
                    spec, STR(""));
    }
    return last;
}

/* "[a.b.c.]" down to "[a.]" and "[]": p->at is the length of the inner text that is still
 * matched. */
static bool next_of_literal(struct pattern_probe *p)
{
    str spec = p->match.spec;
    str inner = str_sub(spec, 1, spec.len - 2);
    bool six = str_find(inner, ':') >= 0;

    if (p->state == PROBE_LAST_STARS && p->stars && !six) {
        p->state = PROBE_DONE;
        probe_found(p, PATTERN_LITERAL_STARS, STR("[*.*.*.*]"), STR("[*.*.*.*]"), inner,
                    inner);
        return true;
    }
    if (p->state != PROBE_WEAR) {
        p->state = PROBE_DONE;
        return false;
    }
    ptrdiff_t dot = !six && p->at > 1 ? str_rfind(str_sub(inner, 0, p->at - 1), '.') : -1;
    if (dot < 0) {
        p->state = PROBE_LAST_STARS;
        probe_found(p, PATTERN_LITERAL_ANY, STR("[]"), STR("[]"), inner, inner);
        return true;
    }
    p->at = (size_t)dot + 1;
    int n = snprintf(p->text, sizeof p->text, "[%.*s]", (int)p->at, inner.ptr);
    str key = str_n(p->text, (size_t)n), rest = str_from_pos(inner, p->at);
    probe_found(p, PATTERN_LITERAL_PREFIX, key, key, rest, rest);
    return true;
}

bool pattern_probe_next(struct pattern_probe *p)
{
    str spec = p->match.spec;
    bool literal = spec.len > 0 && spec.ptr[0] == '[';

    if (p->state == PROBE_EXACT) {
        p->state = literal ? PROBE_WEAR : PROBE_STARS;
        p->at = literal ? spec.len - 1 : 0;
        probe_found(p, literal ? PATTERN_LITERAL : PATTERN_EXACT, spec, spec, STR(""),
                    STR(""));
        return true;
    }
    return literal ? next_of_literal(p) : next_of_name(p);
}

void pattern_probe_any(struct pattern_probe *p, enum pattern_kind kind)
{
    str spec = p->match.spec;
    bool literal = spec.len > 2 && spec.ptr[0] == '[';
    str key = kind == PATTERN_ALL       ? STR(".")
              : kind == PATTERN_FIRST   ? STR("$*")
              : kind == PATTERN_PERCENT ? STR("$%")
                                        : STR("$!");

    p->state = PROBE_DONE;
    probe_found(p, kind, key, STR("."), spec,
                literal ? str_sub(spec, 1, spec.len - 2) : STR(""));
}
