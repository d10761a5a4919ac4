/* lint: what can only be said when everything is known: switches that lead nowhere,
 * TLS without a certificate, channels that nothing serves. */
#include "tables/compile.h"
#include "tables/reach.h"
#include "tables/rewrite.h"

/* The target's own tlsswitchchannel is not followed; and a channel that does no TLS
 * switches only sessions that began with TLS. */
static void lint_tls_switch(struct compile *c, const struct channel *ch,
                            const struct reach *reach)
{
    const struct channel *target = ch->tls_switch;
    if (target == NULL || !channel_wrote(c->s, ch, ch->opts.tlsswitchchannel_at)) {
        return;
    }
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

static void lint_certificate(struct compile *c)
{
    struct span why = SPAN_NONE;
    if (c->s->tls.server_cert.len > 0 || !snapshot_needs_certificate(c->s, &why)) {
        return;
    }
    diag_error(
        c->diags, why, "no-certificate",
        "clients are offered TLS because of this, but there is no certificate; set "
        "server_cert and server_key in section [*] of tls.cnf");
}

/* The first rule that leads to the channel by name, or NULL. */
static const struct rewrite_rule *rule_to(const struct snapshot *s,
                                          const struct channel *ch)
{
    for (const struct rewrite_rule *r = rewrite_first(s->rules); r; r = r->next) {
        str host = r->template->routing_host;
        const struct host_entry *h = host.len > 0 ? snapshot_host(s, host) : NULL;
        if (h != NULL && h->channel == ch) {
            return r;
        }
    }
    return NULL;
}

/* What leads a session to the channel: a service or a TLS switch; SPAN_NONE if nothing
 * does. */
static struct span session_to(const struct snapshot *s, const struct channel *ch,
                              const struct reach *reach)
{
    if (reach->plain[ch->index] != NULL) {
        return reach->plain[ch->index]->span;
    }
    if (reach->implicit_tls[ch->index] != NULL) {
        return reach->implicit_tls[ch->index]->span;
    }
    for (unsigned i = 0; i < s->channel_count; i++) {
        if (s->channels[i]->tls_switch == ch) {
            return s->channels[i]->opts.tlsswitchchannel_at;
        }
    }
    return SPAN_NONE;
}

/* A channel of a kind we do not serve: an error when mail is meant to go there. */
static void lint_kind(struct compile *c, const struct channel *ch,
                      const struct reach *reach)
{
    if (ch->type != CHANNEL_UNSUPPORTED) {
        return;
    }
    const struct rewrite_rule *r = rule_to(c->s, ch);
    struct span from = r != NULL ? r->span : session_to(c->s, ch, reach);
    if (from.source == 0) {
        diag_warning(
            c->diags, ch->span, "unserved-channel",
            "channels named like '%.*s' are not served yet: mail to its hosts is "
            "refused",
            STR_ARG(ch->name));
        return;
    }
    struct diag *d =
        diag_error(c->diags, ch->span, "unserved-channel",
                   "channels named like '%.*s' are not served yet; the name of a channel "
                   "for SMTP begins with 'tcp_'",
                   STR_ARG(ch->name));
    diag_note(c->diags, d, from, "this leads to it");
}

/* Settings of the SMTP client on a channel that has none; defaults are meant for the
 * others. */
static void lint_client_settings(struct compile *c, const struct channel *ch)
{
    const struct channel_opts *o = &ch->opts;
    const struct span *const settings[] = {&o->tls_client_at, &o->mx_at,
                                           &o->port_at,       &o->daemon_at,
                                           &o->smtp_eol_at,   &o->interfaceaddress_at,
                                           &o->nameservers_at};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0] && ch->final; i++) {
        if (channel_wrote(c->s, ch, *settings[i])) {
            diag_warning(c->diags, *settings[i], "no-effect",
                         "this has no effect on '%.*s': the channel sends no SMTP",
                         STR_ARG(ch->name));
        }
    }
}

void lint_snapshot(struct compile *c)
{
    struct snapshot *s = c->s;
    struct reach reach;
    rewrite_check_hosts(s, &c->nearest, c->diags);
    reach_sources(s, c->arena, &reach);
    for (unsigned i = 0; i < s->channel_count; i++) {
        lint_tls_switch(c, s->channels[i], &reach);
        lint_kind(c, s->channels[i], &reach);
        lint_client_settings(c, s->channels[i]);
    }
    lint_certificate(c);
}
