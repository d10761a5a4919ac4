/* lint_tls: TLS switches that lead nowhere, and TLS without a certificate. */
#include "tables/lint.h"
#include "tables/tls_client_policy.h"

/* One of the two TLS switches of a channel. */
struct tls_switch {
    const struct channel *from, *to;
    struct span at;
};

/* Sessions come to a channel by a switch; one that only delivers is meant as a
 * destination. */
static void lint_switch_target(struct compile *c, const struct tls_switch *s)
{
    const struct channel *target = s->to;
    bool serves = target->type == CHANNEL_TCP || target->type == CHANNEL_UNSUPPORTED;
    if (serves && !target->opts.master_only) {
        return;
    }
    struct diag *d = diag_warning(
        c->diags, s->at, "tls-switch-to-delivery",
        "sessions would be switched to '%.*s', which only %s: switch them to a tcp_* "
        "channel of their own",
        STR_ARG(target->name), serves ? "sends (master)" : "delivers");
    diag_note(c->diags, d, serves ? target->opts.master_only_at : target->span,
              serves ? "because of this" : "it is defined here");
}

/* The target's own switches are not followed; and a channel that does no TLS switches
 * only sessions that began with TLS. */
static void lint_switch(struct compile *c, const struct tls_switch *s,
                        const struct reach *reach)
{
    const struct channel *target = s->to, *ch = s->from;
    if (target == NULL || !channel_wrote(c->s, ch, s->at)) {
        return;
    }
    lint_switch_target(c, s);
    if (target->tls_switch != NULL && target->tls_switch != target && target != ch) {
        struct diag *d = diag_warning(
            c->diags, s->at, "tls-switch-not-followed",
            "sessions are switched to '%.*s' and stay there: its own tlsswitchchannel is "
            "not followed",
            STR_ARG(target->name));
        diag_note(c->diags, d, target->opts.tlsswitchchannel_at,
                  "the one that is not followed");
    }
    if (ch->opts.tls_server == TLS_LEVEL_NO && reach->implicit_tls[ch->index] == NULL) {
        diag_warning(c->diags, s->at, "tls-switch-unreachable",
                     "no session on '%.*s' can start TLS: the channel offers none "
                     "(notlsserver), and no service with TLS_PORT leads to it",
                     STR_ARG(ch->name));
    }
}

static void lint_tls_switch(struct compile *c, const struct channel *ch,
                            const struct reach *reach)
{
    const struct tls_switch both[] = {
        {ch, ch->tls_switch, ch->opts.tlsswitchchannel_at},
        {ch, ch->tls_peer_switch, ch->opts.tlspeerswitchchannel_at}};
    lint_switch(c, &both[0], reach);
    lint_switch(c, &both[1], reach);
}

/* Told once for each profile: by the first channel that needs its certificate. */
static void lint_certificate(struct compile *c, const struct channel *ch,
                             const struct reach *reach, bool *told)
{
    const struct tls_profile *p = ch->tls_server.profile;
    struct span why = SPAN_NONE;
    if (told[p->index] || p->settings[TLS_OPTION_server_cert].items != NULL ||
        !reach_offers_tls(reach, ch, &why)) {
        return;
    }
    told[p->index] = true;
    diag_error(
        c->diags, why, "no-certificate",
        "clients are offered TLS because of this, but there is no certificate; set "
        "server_cert and server_key in section [%.*s] of tls.cnf",
        STR_ARG(p->name));
}

/* A section that is nobody's: mostly a slip in its name. */
static void lint_profiles(struct compile *c)
{
    const struct snapshot *s = c->s;
    bool *used = arena_array(c->arena, bool, s->tls_profile_count);
    for (unsigned i = 0; i < s->channel_count; i++) {
        const struct tls_profile *p = s->channels[i]->tls_server.profile;
        for (; p != NULL && !used[p->index]; p = p->parent) {
            used[p->index] = true;
        }
    }
    for (unsigned i = 0; i < s->tls_profile_count; i++) {
        const struct tls_profile *p = s->tls_profiles[i];
        for (bool named = tls_client_names(s, p); named && p != NULL; p = p->parent) {
            used[p->index] = true;
        }
    }
    for (unsigned i = 1; i < s->tls_profile_count; i++) {
        const struct tls_profile *p = s->tls_profiles[i];
        if (!used[i] && diags_errors(c->diags) == 0) { /* else they may be the reason */
            diag_warning(c->diags, p->at, "tls-profile-unused",
                         "no channel has 'tlsprofile %.*s', and no section that one has "
                         "inherits from it",
                         STR_ARG(p->name));
        }
    }
}

/* What a channel asks of the certificates of its next hops, and cannot get. */
static void lint_verify(struct compile *c, const struct channel *ch)
{
    const struct tls_policy *t = &ch->tls_client;
    const struct tls_profile *p = t->profile;
    if (t->verify == TLS_VERIFY_NO || ch->final) {
        return;
    }
    if (t->verify == TLS_VERIFY_FP && p->settings[TLS_OPTION_fingerprint].items == NULL) {
        diag_error(c->diags, t->verify_at, "tls-nothing-to-verify",
                   "no certificate could ever do: section [%.*s] of tls.cnf has no "
                   "fingerprint",
                   STR_ARG(p->name));
    } else if (t->verify != TLS_VERIFY_FP && !p->ca_system && !tls_profile_names_cas(p)) {
        diag_error(c->diags, t->verify_at, "tls-nothing-to-verify",
                   "no certificate could ever do: section [%.*s] of tls.cnf trusts no CA",
                   STR_ARG(p->name));
    } else if (t->verify == TLS_VERIFY_CA && p->ca_system) {
        diag_warning(
            c->diags, t->verify_at, "tls-any-certificate",
            "this proves nothing: the profile trusts the CAs of the system, which "
            "give anybody a certificate; name a CA with ca_file, or say "
            "tlsverifyhost");
    }
}

/* Words about TLS that its level makes void. */
static void lint_client_level(struct compile *c, const struct channel *ch)
{
    const struct tls_policy *t = &ch->tls_client;
    bool wrote = channel_wrote(c->s, ch, t->verify_at);
    bool alone = c->s->tls_client == NULL; /* else an entry may change the level */
    if (ch->final) {
        return;
    }
    if (alone && t->level == TLS_LEVEL_NO && t->verify != TLS_VERIFY_NO && wrote) {
        diag_warning(c->diags, t->verify_at, "no-effect",
                     "this has no effect: the channel uses no TLS when sending; say "
                     "musttlsclient, too");
    } else if (t->level == TLS_LEVEL_MAY && t->verify > TLS_VERIFY_TRY && wrote) {
        diag_warning(
            c->diags, t->verify_at, "tls-verify-may",
            "a host that does not offer STARTTLS, or seems not to, still gets its "
            "mail in clear; say musttlsclient, too");
    }
    if (alone && t->level != TLS_LEVEL_MAY && !t->fallback &&
        channel_wrote(c->s, ch, t->fallback_at)) {
        diag_warning(c->diags, t->fallback_at, "no-effect", "this has no effect: %s",
                     t->level == TLS_LEVEL_MUST
                         ? "where TLS is a must there is no fallback"
                         : "the channel uses no TLS when sending");
    }
    if (alone && t->level != TLS_LEVEL_MAY && ch->opts.tlsremember > 0 &&
        channel_wrote(c->s, ch, ch->opts.tlsremember_at)) {
        diag_warning(
            c->diags, ch->opts.tlsremember_at, "no-effect", "this has no effect: %s",
            t->level == TLS_LEVEL_MUST ? "TLS is a must, whatever it was like before"
                                       : "the channel uses no TLS when sending");
    }
    if (t->implicit && ch->opts.tls_client != TLS_LEVEL_MUST &&
        channel_wrote(c->s, ch, ch->opts.tls_client_at)) {
        diag_warning(c->diags, ch->opts.tls_client_at, "no-effect",
                     "this has no effect when sending: with tlsimplicitclient TLS is a "
                     "must");
    }
}

/* CAs or fingerprints by which nobody verifies anything. */
static void lint_unused_trust(struct compile *c)
{
    static const struct {
        enum tls_option option;
        const char *words;
    } rows[] = {{TLS_OPTION_ca_file, "tlsverifyca, tlsverifyhost or tlsverifytry"},
                {TLS_OPTION_ca_dir, "tlsverifyca, tlsverifyhost or tlsverifytry"},
                {TLS_OPTION_ca_store, "tlsverifyca, tlsverifyhost or tlsverifytry"},
                {TLS_OPTION_fingerprint, "tlsverifyfp"}};
    const struct snapshot *s = c->s;
    bool *ca = arena_array(c->arena, bool, s->tls_profile_count);
    bool *fp = arena_array(c->arena, bool, s->tls_profile_count);
    for (unsigned i = 0; i < s->channel_count; i++) {
        enum tls_verify verify = s->channels[i]->tls_client.verify;
        bool *mark = verify == TLS_VERIFY_FP ? fp : ca;
        const struct tls_profile *p =
            verify != TLS_VERIFY_NO ? s->channels[i]->tls_client.profile : NULL;
        for (; p != NULL && !mark[p->index]; p = p->parent) {
            mark[p->index] = true;
        }
    }
    for (unsigned i = 0; i < s->tls_profile_count; i++) {
        const struct tls_profile *p = s->tls_profiles[i];
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            const struct tls_setting *own = &p->settings[rows[r].option];
            bool inherited = p->parent != NULL &&
                             p->parent->settings[rows[r].option].items == own->items;
            if (own->items != NULL && !inherited && !(r < 3 ? ca : fp)[i] &&
                s->tls_client == NULL) { /* which may ask for it */
                diag_warning(c->diags, own->at, "no-effect",
                             "'%s' has no effect: no channel with this profile says %s",
                             tls_option_name(rows[r].option), rows[r].words);
            }
        }
    }
}

void lint_tls(struct compile *c, const struct reach *reach)
{
    bool *told = arena_array(c->arena, bool, c->s->tls_profile_count);
    for (unsigned i = 0; i < c->s->channel_count; i++) {
        lint_tls_switch(c, c->s->channels[i], reach);
    }
    for (unsigned i = 0; i < c->s->channel_count; i++) {
        lint_certificate(c, c->s->channels[i], reach, told);
    }
    for (unsigned i = 0; i < c->s->channel_count; i++) {
        lint_verify(c, c->s->channels[i]);
        lint_client_level(c, c->s->channels[i]);
    }
    lint_profiles(c);
    lint_unused_trust(c);
    lint_tls_peers(c, reach);
    lint_tls_access(c, reach);
}
