/* tls_client_table: TLS_CLIENT_POLICY when the configuration is loaded: what each entry
 * says, if it always says the same, and everything that is wrong with it. An entry that
 * cannot be used is an error: passed over, mail would go with less TLS than was asked
 * for.
 */
#include "base/buf.h"
#include "tables/compile.h"
#include "tables/mapping_table.h"
#include "tables/mapping_view.h"
#include "tables/tls_client_policy.h"

/* One entry being looked at. */
struct looking {
    struct compile *c;
    const struct mapping_entry *from;
    struct tls_client_entry *to;
    struct buf text; /* of the template, when it is constant */
    bool yes;        /* it has $Y */
    bool bad;        /* reported */
};

/* --- the pattern --- */

/* The place of a part of the pattern. */
static struct span part_at(const struct looking *l, str part)
{
    struct span at = l->from->at;
    at.offset += (uint32_t)(part.ptr - l->from->pattern_text.ptr);
    at.length = (uint32_t)part.len;
    return at;
}

static void check_channel(struct looking *l)
{
    struct compile *c = l->c;
    str name = l->to->part[TLS_CLIENT_CHANNEL];
    if (!mapping_is_plain(name) || snapshot_channel(c->s, name) != NULL) {
        return;
    }
    str near = nearest_key(c->s->channels_by_name, name, &c->nearest);
    diag_warning(c->diags, part_at(l, name), "tls-policy-channel",
                 "there is no channel '%.*s', and the entry matches nothing%s%.*s%s",
                 STR_ARG(name), near.len > 0 ? "; did you mean '" : "", STR_ARG(near),
                 near.len > 0 ? "'?" : "");
}

static void check_state(struct looking *l, enum tls_client_part p, const char *what)
{
    str part = l->to->part[p];
    if (mapping_is_plain(part) && !str_ieq(part, STR("none"))) {
        compile_restriction(l->c, part_at(l, part),
                            "there is no %s yet, so this field is 'none' and the entry "
                            "matches nothing",
                            what);
    }
}

static void check_pattern(struct looking *l)
{
    unsigned n = mapping_fields(l->from->pattern_text, l->to->part, TLS_CLIENT_PARTS);
    if (n != TLS_CLIENT_PARTS) {
        diag_error(l->c->diags, l->from->at, "tls-policy-pattern",
                   "the pattern has %u field%s; what the table is asked has six: "
                   "channel|domain|mx-host|ip|dane-state|sts-mode",
                   n, n == 1 ? "" : "s");
        l->bad = true;
        return;
    }
    check_channel(l);
    check_state(l, TLS_CLIENT_DANE, "DANE");
    check_state(l, TLS_CLIENT_STS, "MTA-STS");
}

/* --- the template --- */

static void entry_error(struct looking *l, struct span at, const char *fmt, str text)
{
    str why = arena_printf(l->c->arena, fmt, STR_ARG(text));
    diag_error(l->c->diags, at, "tls-policy-entry", "%.*s", STR_ARG(why));
    l->bad = true;
}

static void look_at_call(struct looking *l, const struct mapping_op *op)
{
    if (op->kind == MAPPING_OP_TABLE && mapping_find(l->c->s, op->text) == NULL) {
        entry_error(l, op->at, "there is no table %.*s, so that nobody gets this policy",
                    op->text);
    }
    l->to->conditional = true;
    l->to->constant = false;
}

static void look_at_control(struct looking *l, const struct mapping_op *op)
{
    if (op->number == 'l' || op->number == 'r') {
        entry_error(l, op->at,
                    "'%.*s' cannot be used here: every entry that matches counts, and "
                    "none of them changes the string",
                    op->written);
    }
    l->to->ends = op->number == 'e';
}

static void look_at_op(struct looking *l, const struct mapping_op *op)
{
    switch (op->kind) {
    case MAPPING_OP_TEXT:
        buf_str(&l->text, op->text);
        break;
    case MAPPING_OP_SAVED:
        l->to->constant = false;
        break;
    case MAPPING_OP_CASE:
    case MAPPING_OP_LDAP:
        break;
    case MAPPING_OP_RANDOM:
    case MAPPING_OP_IF:
    case MAPPING_OP_UNLESS:
        l->to->conditional = true;
        break;
    case MAPPING_OP_CONTROL:
        look_at_control(l, op);
        break;
    case MAPPING_OP_EXIT:
        l->to->ends = true;
        break;
    case MAPPING_OP_FLAG:
        l->yes = l->yes || op->flags == mapping_flag('Y');
        if (op->flags != mapping_flag('Y')) {
            entry_error(l, op->at, "'%.*s' means nothing here; there is only $Y",
                        op->written);
        }
        break;
    case MAPPING_OP_TABLE:
    case MAPPING_OP_GENERAL:
        look_at_call(l, op);
        break;
    case MAPPING_OP_FAIL:
        entry_error(l, op->at, "'%.*s' is not supported, so that nobody gets this policy",
                    op->written);
        break;
    }
}

/* The place of a piece of the text that the template makes. */
static struct span text_at(const struct looking *l, str piece)
{
    const struct mapping_template *t = &l->from->template;
    size_t from = piece.len > 0 ? (size_t)(piece.ptr - l->text.data) : 0;
    for (unsigned i = 0; i < t->count && piece.len > 0; i++) {
        const struct mapping_op *op = &t->ops[i];
        size_t len = op->kind == MAPPING_OP_TEXT ? op->text.len : 0;
        if (from < len) {
            struct span at = op->at;
            size_t more = len - from;
            at.offset += (uint32_t)(at.length == len ? from : 0);
            at.length = (uint32_t)(piece.len < more ? piece.len : more);
            return at;
        }
        from -= len;
    }
    return l->from->at;
}

static bool for_any_host(const struct tls_client_entry *e)
{
    return str_eq(e->part[TLS_CLIENT_MX], STR("*")) &&
           str_eq(e->part[TLS_CLIENT_IP], STR("*"));
}

/* Nothing of it could ever verify: the profile is the entry's own. */
static void check_trust(struct looking *l)
{
    const struct tls_entry *e = &l->to->says;
    const struct tls_profile *p = e->profile;
    if (!e->has[TLS_FIELD_PROFILE] || !e->has[TLS_FIELD_VERIFY]) {
        return;
    }
    bool fp = e->verify == TLS_VERIFY_FP;
    bool trusts = fp ? p->settings[TLS_OPTION_fingerprint].items != NULL
                     : p->ca_system || tls_profile_names_cas(p);
    if (e->verify != TLS_VERIFY_NO && !trusts) {
        diag_error(l->c->diags, l->from->at, "tls-nothing-to-verify",
                   "no certificate could ever do: section [%.*s] of tls.cnf %s",
                   STR_ARG(p->name), fp ? "has no fingerprint" : "trusts no CA");
    }
}

/* The part of the entry that is less than its channel says; NULL: none is. */
static const char *less_than(const struct tls_entry *e, const struct tls_policy *p)
{
    if (e->has[TLS_FIELD_LEVEL] && e->level < p->level) {
        return tls_field_name(TLS_FIELD_LEVEL);
    }
    if (e->has[TLS_FIELD_VERIFY] && e->verify < p->verify) {
        return tls_field_name(TLS_FIELD_VERIFY);
    }
    bool fallback = e->has[TLS_FIELD_FALLBACK] && e->fallback && !p->fallback;
    return fallback ? tls_field_name(TLS_FIELD_FALLBACK) : NULL;
}

/* What is less than the channel's own does not come about by itself. */
static void check_raises(struct looking *l)
{
    const struct channel *ch = snapshot_channel(l->c->s, l->to->part[TLS_CLIENT_CHANNEL]);
    const char *what = ch != NULL && !l->to->says.lower
                           ? less_than(&l->to->says, &ch->tls_client)
                           : NULL;
    if (what != NULL) {
        diag_warning(
            l->c->diags, l->from->at, "tls-policy-raises",
            "'%s' stays as channel '%.*s' has it, which is more: this table only "
            "raises%s",
            what, STR_ARG(ch->name),
            for_any_host(l->to) ? "; say 'lower' if it is meant" : "");
    }
}

static void check_says(struct looking *l)
{
    const struct tls_entry *e = &l->to->says;
    if (e->lower && !for_any_host(l->to)) {
        diag_error(l->c->diags, l->from->at, "tls-policy-lower",
                   "'lower' cannot be said for a host or address: an MX answer that "
                   "nobody signed would choose it; say it for the domain");
    }
    if (e->has[TLS_FIELD_VERIFY] && e->verify > TLS_VERIFY_TRY &&
        e->has[TLS_FIELD_LEVEL] && e->level != TLS_LEVEL_MUST) {
        diag_warning(l->c->diags, l->from->at, "tls-verify-may",
                     "a host that does not offer STARTTLS, or seems not to, still gets "
                     "its mail in clear; say level=must, too");
    }
    check_raises(l);
    check_trust(l);
}

static void read_constant(struct looking *l)
{
    struct tls_entry_fault fault;
    str text = buf_slice(&l->text);
    if (!l->yes) {
        entry_error(l, l->from->at, "the entry says nothing without $Y%.*s", STR(""));
    } else if (!tls_entry_read(l->c->s, text, l->c->arena, &l->to->says, &fault)) {
        entry_error(l, text_at(l, fault.at), "%.*s", fault.why);
    } else {
        check_says(l);
    }
}

static void look_at(struct compile *c, const struct mapping_entry *from,
                    struct tls_client_entry *to)
{
    struct looking l = {.c = c, .from = from, .to = to};
    *to = (struct tls_client_entry){.at = from->at, .constant = true};
    buf_init(&l.text, MAPPING_TEXT_MAX);
    check_pattern(&l);
    for (unsigned i = 0; i < from->template.count; i++) {
        look_at_op(&l, &from->template.ops[i]);
        if (from->template.ops[i].kind == MAPPING_OP_EXIT) {
            break;
        }
    }
    if (to->constant && !l.bad) {
        read_constant(&l);
    }
    buf_free(&l.text);
}

void tls_client_compile(struct compile *c)
{
    const struct mapping *m = mapping_find(c->s, STR(TLS_CLIENT_POLICY));
    if (m == NULL) {
        return;
    }
    struct tls_client_table *t = arena_new_of(c->arena, struct tls_client_table);
    *t = (struct tls_client_table){
        .mapping = m,
        .count = m->count,
        .entries = arena_array(c->arena, struct tls_client_entry, m->count),
        .named = arena_array(c->arena, bool, c->s->tls_profile_count)};
    for (unsigned i = 0; i < m->count; i++) {
        struct tls_client_entry *e = &t->entries[i];
        look_at(c, &m->entries[i], e);
        t->computed = t->computed || !e->constant;
        if (e->constant && e->says.has[TLS_FIELD_PROFILE] && e->says.profile != NULL) {
            t->named[e->says.profile->index] = true;
        }
    }
    c->s->tls_client = t;
}
