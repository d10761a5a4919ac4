/* tls_access: see tls_access.h. */
#include "tables/tls_access.h"

#include "tables/access_flags.h"
#include "tables/compile.h"

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

/* The part of the pattern that is for channels. A '*' may stand for several fields. */
static str channel_part(enum access_table t, const struct mapping_view *e)
{
    str parts[TLS_ACCESS_PARTS];
    unsigned n = mapping_fields(e->pattern, parts, TLS_ACCESS_PARTS);
    if (t == ACCESS_TLS_PEER) {
        return parts[TLS_PEER_CHANNEL];
    }
    return n == TLS_ACCESS_PARTS ? parts[TLS_ACCESS_CHANNEL] : STR_NONE;
}

static bool may_be_for(str part, const struct channel *c)
{
    return part.ptr == NULL || mapping_may_match(part, c->name);
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

static bool can_switch(const struct mapping_view *e)
{
    return mapping_entry_says(e, 'N') != MAPPING_SAYS_YES &&
           mapping_entry_says(e, 'F') != MAPPING_SAYS_YES &&
           mapping_entry_says(e, 'S') != MAPPING_SAYS_NOT;
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

static bool names_peer(const struct mapping_view *e, str *channel)
{
    str parts[TLS_PEER_PARTS];
    unsigned n = mapping_fields(e->pattern, parts, TLS_PEER_PARTS);
    *channel = parts[TLS_PEER_CHANNEL];
    return n == TLS_PEER_PARTS && (names_something(parts[TLS_PEER_SUBJECT]) ||
                                   names_something(parts[TLS_PEER_SPKI]));
}

static void compile_table(struct compile *c, enum access_table t, struct map *named,
                          struct tls_access_table *out)
{
    const struct mapping *m = mapping_find(c->s, str_from(access_table_name(t)));
    struct arena *scratch = arena_new();
    struct arena_mark mark = arena_mark(scratch);
    for (unsigned i = 0; m != NULL && i < mapping_entry_count(m); i++) {
        struct mapping_view e = mapping_entry_view(m, i);
        str channel;
        if (can_switch(&e)) {
            *vec_add(c->arena, &out->entries) = (struct tls_access_entry){
                t, e, channel_part(t, &e), target(c->s, t, &e, scratch)};
        }
        if (t == ACCESS_TLS_PEER && names_peer(&e, &channel) &&
            map_get(named, channel) == NULL) {
            map_add(named, channel, out);
            *vec_add(c->arena, &out->named) = channel;
        }
        arena_reset(scratch, mark);
    }
    arena_free(&scratch);
}

void tls_access_compile(struct compile *c)
{
    struct tls_access_table *t = arena_new_of(c->arena, struct tls_access_table);
    struct map *named = map_new(c->arena, MAP_NOCASE);
    *t = (struct tls_access_table){.entries = {0}};
    compile_table(c, ACCESS_TLS, named, t);
    compile_table(c, ACCESS_TLS_PEER, named, t);
    c->s->tls_access = t;
}

void tls_access_entries(const struct snapshot *s, const struct channel *from,
                        tls_access_entry_fn *each, void *arg)
{
    for (size_t i = 0; i < s->tls_access->entries.n; i++) {
        if (may_be_for(s->tls_access->entries.at[i].channel, from)) {
            each(&s->tls_access->entries.at[i], arg);
        }
    }
}

bool tls_access_names_peers(const struct snapshot *s, const struct channel *c)
{
    bool named = false;
    for (size_t i = 0; i < s->tls_access->named.n && !named; i++) {
        named = may_be_for(s->tls_access->named.at[i], c);
    }
    return named;
}
