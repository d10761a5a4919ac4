/* tls_client_policy: see tls_client_policy.h. */
#include "tables/tls_client_policy.h"

#include "tables/mapping_table.h"

/* What all entries that matched say together: each field by the first that has it. */
struct merge {
    const struct tls_client_query *q;
    struct arena *arena;
    const struct tls_client_table *table;
    bool connection; /* the second asking */
    struct tls_entry says;
    struct span at[TLS_FIELDS];
    bool lower[TLS_FIELDS], pinned[TLS_FIELDS];
    str fault;
    struct span fault_at;
};

/* --- the string --- */

/* A name as one field of the string, whoever chose it. */
static str field(struct arena *a, str text)
{
    char *out = arena_strndup(a, text.ptr, text.len);
    for (size_t i = 0; i < text.len; i++) {
        out[i] = out[i] == '|' || out[i] < '!' || out[i] > '~' ? '?' : out[i];
    }
    return str_n(out, text.len);
}

/* The string the table is asked. */
static str probe_string(const struct tls_client_query *q, bool connection,
                        struct arena *a)
{
    return arena_printf(a, "%.*s|%.*s|%.*s|%.*s|none|none", STR_ARG(q->channel->name),
                        STR_ARG(field(a, q->domain)),
                        STR_ARG(connection ? field(a, q->mx) : STR("")),
                        STR_ARG(connection ? field(a, q->ip) : STR("")));
}

/* --- the entries --- */

static bool merge_fault(struct merge *m, const struct mapping_hit *hit, str why)
{
    m->fault = why;
    m->fault_at = hit->entry;
    return false;
}

static bool is_star(str part)
{
    return str_eq(part, STR("*"));
}

static bool read_hit(struct merge *m, const struct mapping_hit *hit,
                     struct tls_entry *says)
{
    const struct tls_client_entry *e = &m->table->entries[hit->number];
    struct tls_entry_fault fault;
    if (hit->flags != mapping_flag('Y')) {
        return merge_fault(m, hit, STR("it says something else than $Y"));
    }
    if (e->constant) {
        *says = e->says;
        return true;
    }
    if (!tls_entry_read(m->q->snapshot, hit->text, m->arena, says, &fault)) {
        return merge_fault(m, hit, fault.why);
    }
    if (says->lower &&
        !(is_star(e->part[TLS_CLIENT_MX]) && is_star(e->part[TLS_CLIENT_IP]))) {
        return merge_fault(m, hit, STR("an entry for a host or address may not lower"));
    }
    return true;
}

static void take_field(struct merge *m, enum tls_field f, const struct tls_entry *from)
{
    struct tls_entry *to = &m->says;
    to->has[f] = true;
    switch (f) {
    case TLS_FIELD_PROFILE:
        to->profile = from->profile;
        break;
    case TLS_FIELD_LEVEL:
        to->level = from->level;
        break;
    case TLS_FIELD_VERIFY:
        to->verify = from->verify;
        break;
    case TLS_FIELD_FALLBACK:
        to->fallback = from->fallback;
        break;
    case TLS_FIELDS:
        break;
    }
}

static bool merge_hit(const struct mapping_hit *hit, void *arg)
{
    struct merge *m = arg;
    struct tls_entry says;
    if (!read_hit(m, hit, &says)) {
        return false;
    }
    for (unsigned f = 0; f < TLS_FIELDS; f++) {
        if (says.has[f] && !m->says.has[f]) {
            take_field(m, (enum tls_field)f, &says);
            m->at[f] = hit->entry;
            m->lower[f] = says.lower && !m->connection;
            m->pinned[f] = says.pinned;
        }
    }
    return true;
}

static bool merge_entries(struct merge *m)
{
    const struct mapping *t = m->table->mapping;
    struct mapping_input in = {.snapshot = m->q->snapshot,
                               .probe = probe_string(m->q, m->connection, m->arena),
                               .strict = true};
    const char *given_up = mapping_each(t, &in, m->arena, merge_hit, m);
    if (m->fault.ptr == NULL && given_up != NULL) {
        m->fault = str_from(given_up);
        m->fault_at = t->at;
    }
    return m->fault.ptr == NULL;
}

/* --- over the channel --- */

static void decide(struct tls_client_answer *out, const struct merge *m, enum tls_field f)
{
    out->mapped[f] = true;
    if (m->pinned[f] && !out->pinned) {
        out->pinned = true;
        out->pinned_at = m->at[f];
    }
}

static void apply_level(struct tls_client_answer *out, const struct merge *m)
{
    struct tls_policy *p = &out->policy;
    enum tls_level level = m->says.level;
    /* a port that begins with TLS is never talked to in clear */
    if (level > p->level || (m->lower[TLS_FIELD_LEVEL] && !p->implicit)) {
        p->level = level;
        p->level_at = m->at[TLS_FIELD_LEVEL];
        decide(out, m, TLS_FIELD_LEVEL);
    } else if (level == p->level && m->pinned[TLS_FIELD_LEVEL]) {
        decide(out, m, TLS_FIELD_LEVEL);
        p->level_at = m->at[TLS_FIELD_LEVEL];
    }
}

static void apply_verify(struct tls_client_answer *out, const struct merge *m)
{
    struct tls_policy *p = &out->policy;
    enum tls_verify verify = m->says.verify;
    if (verify > p->verify || m->lower[TLS_FIELD_VERIFY] ||
        (verify == p->verify && m->pinned[TLS_FIELD_VERIFY])) {
        p->verify = verify;
        p->verify_at = m->at[TLS_FIELD_VERIFY];
        decide(out, m, TLS_FIELD_VERIFY);
    }
}

static void apply_fallback(struct tls_client_answer *out, const struct merge *m)
{
    struct tls_policy *p = &out->policy;
    bool raises = p->fallback && !m->says.fallback;
    if (raises || m->lower[TLS_FIELD_FALLBACK]) {
        p->fallback = m->says.fallback;
        p->fallback_at = m->at[TLS_FIELD_FALLBACK];
        decide(out, m, TLS_FIELD_FALLBACK);
    }
}

/* Profiles are not less or more. But whose CAs and fingerprints count, where certificates
 * are verified already, is nothing that an MX answer may choose. */
static void apply_profile(struct tls_client_answer *out, const struct merge *m)
{
    struct tls_policy *p = &out->policy;
    if (!m->connection || p->verify <= TLS_VERIFY_TRY) {
        p->profile = m->says.profile;
        p->profile_at = m->at[TLS_FIELD_PROFILE];
        decide(out, m, TLS_FIELD_PROFILE);
    }
}

static void apply(struct tls_client_answer *out, const struct merge *m)
{
    if (m->says.has[TLS_FIELD_PROFILE]) {
        apply_profile(out, m);
    }
    if (m->says.has[TLS_FIELD_LEVEL]) {
        apply_level(out, m);
    }
    if (m->says.has[TLS_FIELD_VERIFY]) {
        apply_verify(out, m);
    }
    if (m->says.has[TLS_FIELD_FALLBACK]) {
        apply_fallback(out, m);
    }
}

bool tls_client_policy(const struct tls_client_query *q, struct arena *a,
                       struct tls_client_answer *out)
{
    const struct tls_client_table *t = q->snapshot->tls_client;
    *out = (struct tls_client_answer){.policy = q->channel->tls_client};
    for (int step = 0; t != NULL && step < (q->ip.len > 0 ? 2 : 1); step++) {
        struct merge m = {.q = q, .arena = a, .table = t, .connection = step == 1};
        if (!merge_entries(&m)) {
            out->fault = m.fault;
            out->fault_at = m.fault_at;
            return false;
        }
        apply(out, &m);
    }
    return true;
}

bool tls_client_names(const struct snapshot *s, const struct tls_profile *p)
{
    const struct tls_client_table *t = s->tls_client;
    return t != NULL && (t->computed || t->named[p->index]);
}
