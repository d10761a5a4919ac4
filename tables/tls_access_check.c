/* tls_access_check: TLS_ACCESS and TLS_PEER_ACCESS when the configuration is loaded:
 * answers that cannot be used, fields that no handshake has, and entries that wait for
 * certificates nobody asks for. */
#include "tables/access_flags.h"
#include "tables/lint.h"
#include "tables/mapping_table.h"
#include "tables/tls_access.h"

/* The place of a part of the pattern. */
static struct span part_at(const struct mapping_view *e, str part)
{
    struct span at = e->at;
    at.offset += (uint32_t)(part.ptr - e->pattern.ptr);
    at.length = (uint32_t)part.len;
    return at;
}

/* ---- answers ----------------------------------------------------------------------- */

/* What always goes wrong at run time refuses everybody. */
static void check_answer(struct compile *c, enum access_table t,
                         const struct mapping_view *e)
{
    struct access_question q = {.snapshot = c->s, .table = t};
    struct access_verdict v = {.table = t};
    if (!mapping_entry_constant(e, c->arena, &v.output, &v.flags)) {
        return;
    }
    access_read(&q, c->arena, &v);
    if (v.answer != ACCESS_FAULT) {
        return;
    }
    if (v.channel_name.len > 0 && snapshot_channel(c->s, v.channel_name) == NULL) {
        channel_resolve(c, v.channel_name, e->at, "unknown-channel");
    } else {
        diag_error(c->diags, e->at, "tls-access-entry",
                   "%.*s; whoever comes to this entry is refused", STR_ARG(v.fault));
    }
}

/* ---- fields ------------------------------------------------------------------------ */

static void never_matches(struct compile *c, const struct mapping_view *e, str part,
                          const char *why)
{
    diag_warning(c->diags, part_at(e, part), "access-pattern", "this never matches: %s",
                 why);
}

static bool is_one_of(str part, str a, str b)
{
    return !mapping_is_plain(part) || str_ieq(part, a) || str_ieq(part, b);
}

static void check_peer_fields(struct compile *c, const struct mapping_view *e,
                              const str *part)
{
    str verified = part[TLS_PEER_VERIFIED], subject = part[TLS_PEER_SUBJECT];
    str spki = part[TLS_PEER_SPKI];
    if (!is_one_of(part[TLS_PEER_VERSION], STR("TLSv1.2"), STR("TLSv1.3"))) {
        never_matches(c, e, part[TLS_PEER_VERSION], "the version is TLSv1.2 or TLSv1.3");
    }
    if (!is_one_of(verified, STR("Y"), STR("N"))) {
        never_matches(c, e, verified, "the certificate is verified, Y, or not, N");
    }
    if (str_ieq(verified, STR("N")) && !mapping_may_be_empty(subject)) {
        never_matches(c, e, subject,
                      "a certificate that does not verify has no subject here, as "
                      "anybody can write one");
    }
    if (spki.len > 0 && mapping_is_plain(spki) &&
        (!str_istarts(spki, STR("sha256:")) || spki.len != strlen("sha256:") + 64)) {
        never_matches(c, e, spki, "a fingerprint is sha256: and 64 digits");
    }
}

void tls_access_check(struct compile *c, enum access_table t,
                      const struct mapping_entry *entry)
{
    struct mapping_view e = {entry->pattern_text, entry->template_text, entry->at,
                             &entry->template};
    str part[TLS_ACCESS_PARTS];
    unsigned n = mapping_fields(e.pattern, part, TLS_ACCESS_PARTS);
    check_answer(c, t, &e);
    if (t == ACCESS_TLS_PEER && n == TLS_PEER_PARTS) {
        check_peer_fields(c, &e, part);
    } else if (t == ACCESS_TLS && n == TLS_ACCESS_PARTS &&
               !mapping_may_be_empty(part[TLS_ACCESS_USER])) {
        never_matches(c, &e, part[TLS_ACCESS_USER],
                      "certificates are not mapped to users yet, and the field is empty");
    }
}

/* ---- what only the whole configuration tells --------------------------------------- */

/* The only channel that an entry is for; NULL: there may be several. */
static const struct channel *only_channel(const struct compile *c, str field)
{
    return mapping_is_plain(field) ? snapshot_channel(c->s, field) : NULL;
}

static void lint_entry(struct compile *c, const struct mapping_view *e,
                       const struct reach *reach)
{
    str part[TLS_PEER_PARTS];
    if (mapping_fields(e->pattern, part, TLS_PEER_PARTS) != TLS_PEER_PARTS) {
        return;
    }
    const struct channel *ch = only_channel(c, part[TLS_PEER_CHANNEL]);
    if (ch == NULL) {
        return;
    }
    bool wants = !mapping_may_be_empty(part[TLS_PEER_SUBJECT]) ||
                 !mapping_may_be_empty(part[TLS_PEER_SPKI]) ||
                 str_ieq(part[TLS_PEER_VERIFIED], STR("Y"));
    if (ch->tls_server.level == TLS_LEVEL_NO && reach->implicit_tls[ch->index] == NULL) {
        diag_warning(c->diags, e->at, "tls-switch-unreachable",
                     "no session on '%.*s' can start TLS: the channel offers none "
                     "(notlsserver), and no service with TLS_PORT leads to it",
                     STR_ARG(ch->name));
    } else if (wants && ch->tls_server.peer == TLS_PEER_NO) {
        diag_warning(c->diags, e->at, "tls-peer-not-asked",
                     "'%.*s' asks for no certificate, so that none is ever seen: say "
                     "maytlspeer or musttlspeer",
                     STR_ARG(ch->name));
    }
}

static void lint_target(struct compile *c, const struct tls_access_entry *e, bool *told)
{
    const struct channel *to = e->to;
    if (to == NULL || !to->opts.master_only || told[to->index]) {
        return;
    }
    told[to->index] = true;
    struct diag *d = diag_warning(
        c->diags, e->view.at, "tls-switch-to-delivery",
        "sessions would be switched to '%.*s', which only sends (master): switch them "
        "to a tcp_* channel of their own",
        STR_ARG(to->name));
    diag_note(c->diags, d, to->opts.master_only_at, "because of this");
}

void lint_tls_access(struct compile *c, const struct reach *reach)
{
    const struct mapping *m = mapping_find(c->s, STR("TLS_PEER_ACCESS"));
    const struct tls_access_table *t = c->s->tls_access;
    bool *told = arena_array(c->arena, bool, c->s->channel_count); /* by target */
    for (unsigned i = 0; m != NULL && i < m->count; i++) {
        struct mapping_view e = mapping_entry_view(m, i);
        lint_entry(c, &e, reach);
    }
    for (size_t i = 0; i < t->entries.n; i++) {
        lint_target(c, &t->entries.at[i], told);
    }
}
