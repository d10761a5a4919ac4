/* tls_audit: the weakest that a channel can give; see tls_audit.h. Each entry of
 * TLS_CLIENT_POLICY matches all domains of a class, some, or none; what an entry says
 * that may or may not match is one possibility, and only one that always does ends the
 * search.
 */
#include "tables/tls_audit.h"

#include "base/check.h"
#include "tables/mapping_table.h"
#include "tables/route.h"

static const char *const names[TLS_OUTCOMES] = {
    [TLS_OUTCOME_CLEAR] = "clear",   [TLS_OUTCOME_TLS] = "tls",
    [TLS_OUTCOME_CA] = "ca",         [TLS_OUTCOME_HOST] = "host",
    [TLS_OUTCOME_PINNED] = "pinned",
};

const char *tls_outcome_name(enum tls_outcome o)
{
    check(o < TLS_OUTCOMES);
    return names[o];
}

bool tls_outcome_parse(str name, enum tls_outcome *out)
{
    for (unsigned i = 0; i < TLS_OUTCOMES; i++) {
        if (str_ieq(name, str_from(names[i]))) {
            *out = (enum tls_outcome)i;
            return true;
        }
    }
    return false;
}

bool tls_channel_sends(const struct channel *c)
{
    return c->type == CHANNEL_TCP;
}

/* ---- does an entry match? ---------------------------------------------------------- */

enum matches { MATCHES_NONE, MATCHES_SOME, MATCHES_ALL };

static enum matches both(enum matches a, enum matches b)
{
    return a < b ? a : b;
}

/* A part of a pattern against one text. Back matches cannot be told by parts. */
static enum matches part_matches(str part, str text, struct arena *a)
{
    struct mapping_pattern p;
    struct mapping_matcher m = {.arena = a, .work = MAPPING_WORK_MAX};
    if (str_eq(part, STR("*")) || str_ieq(part, text)) {
        return MATCHES_ALL;
    }
    if (!mapping_pattern_compile(a, a, part, SPAN_NONE, NULL, &p) || p.backs > 0) {
        return MATCHES_SOME;
    }
    char *folded = arena_strndup(a, text.ptr, text.len);
    for (size_t i = 0; i < text.len; i++) {
        folded[i] = ascii_lower(folded[i]);
    }
    bool matched = mapping_pattern_match(&p, str_n(folded, text.len), &m);
    return matched ? MATCHES_ALL : m.work < 0 ? MATCHES_SOME : MATCHES_NONE;
}

static bool is_plain(str part)
{
    for (size_t i = 0; i < part.len; i++) {
        if (strchr("$*%", part.ptr[i]) != NULL) {
            return false;
        }
    }
    return true;
}

/* '*' and plain text behind it. */
static bool is_suffix(str part, str *suffix)
{
    *suffix = part.len > 0 ? str_from_pos(part, 1) : STR("");
    return part.len > 0 && part.ptr[0] == '*' && is_plain(*suffix);
}

/* The domain part of an entry against a class. */
static enum matches domain_matches(str part, str class, struct arena *a)
{
    str theirs, ours;
    if (str_eq(part, STR("*")) || str_ieq(part, class)) {
        return MATCHES_ALL;
    }
    if (class.len == 0) {
        return MATCHES_NONE; /* those that no entry names */
    }
    if (is_plain(class)) {
        return is_plain(part) ? MATCHES_NONE : part_matches(part, class, a);
    }
    if (is_plain(part)) {
        return MATCHES_NONE; /* it has a class of its own */
    }
    if (is_suffix(part, &theirs) && is_suffix(class, &ours)) {
        return str_iends(ours, theirs)   ? MATCHES_ALL
               : str_iends(theirs, ours) ? MATCHES_SOME
                                         : MATCHES_NONE;
    }
    return MATCHES_SOME;
}

static bool for_any_host(const struct tls_client_entry *e)
{
    return str_eq(e->part[TLS_CLIENT_MX], STR("*")) &&
           str_eq(e->part[TLS_CLIENT_IP], STR("*"));
}

/* In the first asking, where host and address are not told: the second only raises. */
static enum matches entry_matches(const struct tls_client_entry *e,
                                  const struct channel *c, str class, struct arena *a)
{
    enum matches m = domain_matches(e->part[TLS_CLIENT_DOMAIN], class, a);
    if (m != MATCHES_NONE) {
        m = both(m, part_matches(e->part[TLS_CLIENT_CHANNEL], c->name, a));
    }
    if (m != MATCHES_NONE) {
        m = both(m, part_matches(e->part[TLS_CLIENT_MX], STR(""), a));
        m = both(m, part_matches(e->part[TLS_CLIENT_IP], STR(""), a));
        m = both(m, part_matches(e->part[TLS_CLIENT_DANE], STR("none"), a));
        m = both(m, part_matches(e->part[TLS_CLIENT_STS], STR("none"), a));
    }
    return e->conditional ? both(m, MATCHES_SOME) : m;
}

/* ---- the weakest value of a field -------------------------------------------------- */

struct weakest {
    enum tls_field field;
    unsigned base, value;
    struct span base_at, at;
    bool found;
    bool assumed; /* the value is that of an entry nobody knows */
    bool open;    /* an $E may have left out what follows */
};

static void consider(struct weakest *w, unsigned value, struct span at, bool assumed)
{
    if (!w->found || value < w->value) {
        w->value = value;
        w->at = at;
        w->assumed = assumed;
    }
    w->found = true;
}

/* What a constant entry can make of the field; true: nothing behind it counts. */
static bool consider_entry(struct weakest *w, const struct tls_client_entry *e,
                           enum matches m, bool fixed)
{
    const struct tls_entry *says = &e->says;
    bool has = says->has[w->field];
    if (has) {
        unsigned value =
            w->field == TLS_FIELD_LEVEL ? (unsigned)says->level : (unsigned)says->verify;
        bool counts = value > w->base || (says->lower && !fixed);
        consider(w, counts ? value : w->base, counts ? e->at : w->base_at, false);
    }
    bool all = m == MATCHES_ALL;
    if (e->ends && !all) {
        w->open = true;
    }
    if (has && all) {
        return true;
    }
    if (e->ends && all) {
        w->open = true; /* the channel's own counts */
        return true;
    }
    return false;
}

/* Goes through the table as the merge does. */
static void find_weakest(const struct snapshot *s, const struct channel *c, str class,
                         struct arena *a, struct weakest *w)
{
    const struct tls_client_table *t = s->tls_client;
    bool fixed = w->field == TLS_FIELD_LEVEL && c->tls_client.implicit;
    bool done = false;
    for (unsigned i = 0; t != NULL && i < t->count && !done; i++) {
        const struct tls_client_entry *e = &t->entries[i];
        struct arena_mark mark = arena_mark(a);
        enum matches m = entry_matches(e, c, class, a);
        arena_reset(a, mark);
        if (m == MATCHES_NONE) {
            continue;
        }
        if (e->constant) {
            done = consider_entry(w, e, m, fixed);
        } else {
            consider(w, for_any_host(e) && !fixed ? 0 : w->base, e->at, true);
            w->open = w->open || e->ends;
        }
    }
    if (!done || w->open) {
        consider(w, w->base, w->base_at, false);
    }
}

enum tls_outcome tls_outcome_of(const struct tls_policy *p)
{
    if (p->level < TLS_LEVEL_MUST) {
        return TLS_OUTCOME_CLEAR; /* who is in between says that it is not offered */
    }
    switch (p->verify) {
    case TLS_VERIFY_NO:
    case TLS_VERIFY_TRY:
        return TLS_OUTCOME_TLS;
    case TLS_VERIFY_CA:
        return TLS_OUTCOME_CA;
    case TLS_VERIFY_HOST:
        return TLS_OUTCOME_HOST;
    case TLS_VERIFY_FP:
        return TLS_OUTCOME_PINNED;
    }
    check(!"no such verification");
    return TLS_OUTCOME_CLEAR;
}

void tls_weakest(const struct snapshot *s, const struct channel *c, str class,
                 struct arena *a, struct tls_weakest *out)
{
    const struct tls_policy *p = &c->tls_client;
    struct weakest level = {
        .field = TLS_FIELD_LEVEL, .base = p->level, .base_at = p->level_at};
    struct weakest verify = {
        .field = TLS_FIELD_VERIFY, .base = p->verify, .base_at = p->verify_at};
    find_weakest(s, c, class, a, &level);
    if (level.value < TLS_LEVEL_MUST) {
        *out = (struct tls_weakest){TLS_OUTCOME_CLEAR, level.at, level.assumed};
        return;
    }
    find_weakest(s, c, class, a, &verify);
    struct tls_policy least = {.level = TLS_LEVEL_MUST,
                               .verify = (enum tls_verify)verify.value};
    *out = (struct tls_weakest){tls_outcome_of(&least), verify.at, verify.assumed};
    if (verify.at.source == 0) { /* no word about it: what makes it TLS says more */
        out->at = level.at;
    }
}

/* ---- classes ----------------------------------------------------------------------- */

void tls_classes(const struct snapshot *s, const struct channel *c, struct arena *a,
                 tls_class_fn *each, void *arg)
{
    const struct tls_client_table *t = s->tls_client;
    struct map *seen = map_new(a, MAP_NOCASE);
    if (c->opts.daemon.len > 0) {
        struct address none = {.local = STR("x"), .domain = STR("x")};
        each(route_next_hop(c, &none), arg);
        return;
    }
    each(STR(""), arg);
    for (unsigned i = 0; t != NULL && i < t->count; i++) {
        const struct tls_client_entry *e = &t->entries[i];
        str part = e->part[TLS_CLIENT_DOMAIN];
        if (!str_eq(part, STR("*")) &&
            part_matches(e->part[TLS_CLIENT_CHANNEL], c->name, a) != MATCHES_NONE &&
            map_get(seen, part) == NULL) {
            map_add(seen, part, seen);
            each(part, arg);
        }
    }
}
