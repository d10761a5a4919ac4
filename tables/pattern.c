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

static enum pattern_result parse_literal(struct arena *a, str text, struct pattern *out,
                                         str *reason)
{
    if (text.len < 2 || text.ptr[text.len - 1] != ']') {
        *reason = STR("the literal has no closing ']'");
        return PATTERN_BAD;
    }
    str inner = str_sub(text, 1, text.len - 2);
    out->key = text;
    if (str_find(inner, '*') >= 0) {
        *reason = STR("'*' in a literal pattern");
        return PATTERN_LATER;
    }
    if (inner.len == 0) {
        out->kind = PATTERN_LITERAL_ANY;
        return PATTERN_OK;
    }
    if (prefix_ok(inner)) {
        out->kind = PATTERN_LITERAL_PREFIX;
        return PATTERN_OK;
    }
    out->kind = PATTERN_LITERAL;
    if (literal_canonical(a, text, &out->key)) {
        return PATTERN_OK;
    }
    *reason = STR("neither an address ([192.0.2.7], [IPv6:2001:db8::1]), nor the "
                  "beginning of one ([192.0.]), nor []");
    return PATTERN_BAD;
}

static enum pattern_result parse_dollar(str text, str *reason)
{
    if (str_eq(text, STR("$*")) || str_eq(text, STR("$%")) || str_eq(text, STR("$!"))) {
        *reason = STR("the patterns $*, $% and $!");
        return PATTERN_LATER;
    }
    *reason = STR("'$' begins none of the patterns $*, $% and $!");
    return PATTERN_BAD;
}

enum pattern_result pattern_parse(struct arena *a, str text, struct pattern *out,
                                  str *reason)
{
    *out = (struct pattern){PATTERN_EXACT, text};
    if (str_find(text, '|') >= 0) {
        *reason = STR("a tag before the pattern");
        return PATTERN_LATER;
    }
    if (text.len == 0) {
        *reason = STR("it is empty");
        return PATTERN_BAD;
    }
    if (text.ptr[0] == '$') {
        return parse_dollar(text, reason);
    }
    if (text.ptr[0] == '[') {
        return parse_literal(a, text, out, reason);
    }
    if (text.len == 1 && text.ptr[0] == '.') {
        out->kind = PATTERN_ALL;
        return PATTERN_OK;
    }
    if (str_find(text, '*') >= 0) {
        *reason = STR("'*' for a label");
        return PATTERN_LATER;
    }
    if (text.ptr[0] == '.') {
        out->kind = PATTERN_SUFFIX;
        text = str_from_pos(text, 1);
    }
    if (domain_name_ok(text)) {
        return PATTERN_OK;
    }
    *reason = STR("not a host name, '.domain', '[literal]' or '.'");
    return PATTERN_BAD;
}

/* What comes next; kept in pattern_probe.state. */
enum { PROBE_EXACT, PROBE_WEAR, PROBE_DONE };

void pattern_probe_start(struct pattern_probe *p, str spec)
{
    *p = (struct pattern_probe){.match = {.spec = spec}, .state = PROBE_EXACT};
}

static void probe_found(struct pattern_probe *p, enum pattern_kind kind, str key,
                        str unmatched)
{
    p->key = key;
    p->match.kind = kind;
    p->match.matched = key;
    p->match.unmatched = unmatched;
    p->match.rest = STR("");
}

/* ".rest" of the name after the label that ends at p->at. */
static bool next_suffix(struct pattern_probe *p)
{
    str spec = p->match.spec;
    ptrdiff_t dot = str_find(str_from_pos(spec, p->at), '.');

    if (dot < 0) {
        p->state = PROBE_DONE;
        return false;
    }
    size_t cut = p->at + (size_t)dot;
    probe_found(p, PATTERN_SUFFIX, str_from_pos(spec, cut), str_sub(spec, 0, cut));
    p->at = cut + 1;
    return true;
}

/* "[a.b.c.]" down to "[a.]": p->at is the length of the inner text still matched. */
static bool next_prefix(struct pattern_probe *p)
{
    str spec = p->match.spec;
    str inner = str_sub(spec, 1, spec.len - 2);
    ptrdiff_t dot = p->at > 1 ? str_rfind(str_sub(inner, 0, p->at - 1), '.') : -1;

    if (dot < 0 || str_find(inner, ':') >= 0) {
        p->state = PROBE_DONE;
        probe_found(p, PATTERN_LITERAL_ANY, STR("[]"), inner);
        p->match.rest = inner;
        return true;
    }
    p->at = (size_t)dot + 1;
    check(p->at + 2 < sizeof p->text);
    int n = snprintf(p->text, sizeof p->text, "[%.*s]", (int)p->at, inner.ptr);
    probe_found(p, PATTERN_LITERAL_PREFIX, str_n(p->text, (size_t)n),
                str_from_pos(inner, p->at));
    p->match.rest = str_from_pos(inner, p->at);
    return true;
}

bool pattern_probe_next(struct pattern_probe *p)
{
    str spec = p->match.spec;
    bool literal = spec.len > 0 && spec.ptr[0] == '[';

    switch (p->state) {
    case PROBE_EXACT:
        p->state = PROBE_WEAR;
        p->at = literal ? spec.len - 1 : 0;
        probe_found(p, literal ? PATTERN_LITERAL : PATTERN_EXACT, spec, STR(""));
        return true;
    case PROBE_WEAR:
        return literal ? next_prefix(p) : next_suffix(p);
    default:
        return false;
    }
}

void pattern_probe_all(struct pattern_probe *p)
{
    p->state = PROBE_DONE;
    probe_found(p, PATTERN_ALL, STR("."), p->match.spec);
    if (p->match.spec.len > 2 && p->match.spec.ptr[0] == '[') {
        p->match.rest = str_sub(p->match.spec, 1, p->match.spec.len - 2);
    }
}
