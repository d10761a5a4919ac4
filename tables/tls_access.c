/* tls_access: see tls_access.h. */
#include "tables/tls_access.h"

#include "tables/access_flags.h"

const char *tls_switch_name(enum tls_switch_by by)
{
    static const char *const names[] = {[TLS_SWITCH_NONE] = "none",
                                        [TLS_SWITCH_ACCESS] = "TLS_ACCESS",
                                        [TLS_SWITCH_PEER_ACCESS] = "TLS_PEER_ACCESS",
                                        [TLS_SWITCH_PEER] = "certificate",
                                        [TLS_SWITCH_TLS] = "tls"};
    return names[by];
}

/* ---- one handshake ----------------------------------------------------------------- */

static bool lets_in(const struct access_question *q, enum access_table t, struct arena *a,
                    struct access_verdict *v, struct tls_access_answer *out)
{
    struct access_question asked = *q;
    asked.table = t;
    access_ask(&asked, a, v);
    if (v->answer == ACCESS_REJECT || v->answer == ACCESS_FAULT) {
        out->refusal = v;
        return false;
    }
    return true;
}

static void switch_to(struct tls_access_answer *out, enum tls_switch_by by,
                      const struct channel *to, struct span at)
{
    if (out->by == TLS_SWITCH_NONE && to != NULL) {
        out->by = by;
        out->to = to;
        out->at = at;
    }
}

void tls_access_ask(const struct access_question *q, struct arena *a,
                    struct tls_access_answer *out)
{
    const struct channel *from = q->source;
    *out = (struct tls_access_answer){.by = TLS_SWITCH_NONE};
    if (!lets_in(q, ACCESS_TLS, a, &out->access, out) ||
        !lets_in(q, ACCESS_TLS_PEER, a, &out->peer_access, out)) {
        return;
    }
    switch_to(out, TLS_SWITCH_ACCESS, out->access.channel, out->access.entry);
    switch_to(out, TLS_SWITCH_PEER_ACCESS, out->peer_access.channel,
              out->peer_access.entry);
    if (q->tls->verified) {
        switch_to(out, TLS_SWITCH_PEER, from->tls_peer_switch,
                  from->opts.tlspeerswitchchannel_at);
    }
    if (!out->access.stays && !out->peer_access.stays) {
        switch_to(out, TLS_SWITCH_TLS, from->tls_switch, from->opts.tlsswitchchannel_at);
    }
    out->to = out->to != NULL ? out->to : from;
}

/* ---- the entries ------------------------------------------------------------------- */

/* Can the entry be for sessions on the channel? A '*' may stand for several fields. */
static bool may_be_for(enum access_table t, const struct mapping_view *e,
                       const struct channel *c)
{
    str parts[TLS_ACCESS_PARTS];
    unsigned n = mapping_fields(e->pattern, parts, TLS_ACCESS_PARTS);
    if (t == ACCESS_TLS_PEER) {
        return mapping_may_match(parts[TLS_PEER_CHANNEL], c->name);
    }
    return n != TLS_ACCESS_PARTS || mapping_may_match(parts[TLS_ACCESS_CHANNEL], c->name);
}

/* Where the entry leads, if that is always the same. */
static const struct channel *target(const struct snapshot *s, enum access_table t,
                                    const struct mapping_view *e, struct arena *a)
{
    struct access_question q = {.snapshot = s, .table = t};
    struct access_verdict v = {.table = t};
    if (!mapping_entry_constant(e, a, &v.output, &v.flags)) {
        return NULL;
    }
    access_read(&q, a, &v);
    return v.channel;
}

static void each_entry(const struct snapshot *s, enum access_table t,
                       const struct channel *from, struct arena *a,
                       tls_access_entry_fn *each, void *arg)
{
    const struct mapping *m = mapping_find(s, str_from(access_table_name(t)));
    for (unsigned i = 0; m != NULL && i < mapping_entry_count(m); i++) {
        struct mapping_view e = mapping_entry_view(m, i);
        bool refuses = mapping_entry_says(&e, 'N') == MAPPING_SAYS_YES ||
                       mapping_entry_says(&e, 'F') == MAPPING_SAYS_YES;
        if (refuses || mapping_entry_says(&e, 'S') == MAPPING_SAYS_NOT ||
            !may_be_for(t, &e, from)) {
            continue;
        }
        struct tls_access_entry entry = {t, e, target(s, t, &e, a)};
        each(&entry, arg);
    }
}

void tls_access_entries(const struct snapshot *s, const struct channel *from,
                        struct arena *a, tls_access_entry_fn *each, void *arg)
{
    each_entry(s, ACCESS_TLS, from, a, each, arg);
    each_entry(s, ACCESS_TLS_PEER, from, a, each, arg);
}

/* Is anything but wildcards in a field? */
static bool names_something(str field)
{
    for (size_t i = 0; i < field.len; i++) {
        if (strchr("*%", field.ptr[i]) == NULL) {
            return !str_eq(field, STR("$*"));
        }
    }
    return false;
}

bool tls_access_names_peers(const struct snapshot *s, const struct channel *c)
{
    const struct mapping *m = mapping_find(s, STR("TLS_PEER_ACCESS"));
    str parts[TLS_PEER_PARTS];
    for (unsigned i = 0; m != NULL && i < mapping_entry_count(m); i++) {
        struct mapping_view e = mapping_entry_view(m, i);
        if (mapping_fields(e.pattern, parts, TLS_PEER_PARTS) == TLS_PEER_PARTS &&
            mapping_may_match(parts[TLS_PEER_CHANNEL], c->name) &&
            (names_something(parts[TLS_PEER_SUBJECT]) ||
             names_something(parts[TLS_PEER_SPKI]))) {
            return true;
        }
    }
    return false;
}
