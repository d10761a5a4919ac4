/* lint_tls: TLS switches that lead nowhere, and TLS without a certificate. */
#include "tables/lint.h"

/* Sessions come to a channel by a switch; one that only delivers is meant as a
 * destination. */
static void lint_switch_target(struct compile *c, const struct channel *ch,
                               const struct channel *target)
{
    if (!target->final && !target->opts.master_only) {
        return;
    }
    struct diag *d = diag_warning(
        c->diags, ch->opts.tlsswitchchannel_at, "tls-switch-to-delivery",
        "sessions would be switched to '%.*s', which only %s: switch them to a tcp_* "
        "channel of their own",
        STR_ARG(target->name), target->final ? "delivers here" : "sends (master)");
    diag_note(c->diags, d, target->final ? target->span : target->opts.master_only_at,
              target->final ? "it is defined here" : "because of this");
}

/* The target's own tlsswitchchannel is not followed; and a channel that does no TLS
 * switches only sessions that began with TLS. */
static void lint_tls_switch(struct compile *c, const struct channel *ch,
                            const struct reach *reach)
{
    const struct channel *target = ch->tls_switch;
    if (target == NULL || !channel_wrote(c->s, ch, ch->opts.tlsswitchchannel_at)) {
        return;
    }
    lint_switch_target(c, ch, target);
    if (target->tls_switch != NULL && target->tls_switch != target && target != ch) {
        struct diag *d = diag_warning(
            c->diags, ch->opts.tlsswitchchannel_at, "tls-switch-not-followed",
            "sessions are switched to '%.*s' and stay there: its own tlsswitchchannel is "
            "not followed",
            STR_ARG(target->name));
        diag_note(c->diags, d, target->opts.tlsswitchchannel_at,
                  "the one that is not followed");
    }
    if (ch->opts.tls_server == TLS_LEVEL_NO && reach->implicit_tls[ch->index] == NULL) {
        diag_warning(c->diags, ch->opts.tlsswitchchannel_at, "tls-switch-unreachable",
                     "no session on '%.*s' can start TLS: the channel offers none "
                     "(notlsserver), and no service with TLS_PORT leads to it",
                     STR_ARG(ch->name));
    }
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

void lint_tls(struct compile *c, const struct reach *reach)
{
    bool *told = arena_array(c->arena, bool, c->s->tls_profile_count);
    for (unsigned i = 0; i < c->s->channel_count; i++) {
        lint_tls_switch(c, c->s->channels[i], reach);
    }
    for (unsigned i = 0; i < c->s->channel_count; i++) {
        lint_certificate(c, c->s->channels[i], reach, told);
    }
    lint_profiles(c);
}
