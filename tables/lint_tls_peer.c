/* lint_tls_peer: certificates of clients: CAs that are missing, or that nobody uses, and
 * channels on which no certificate is ever seen. */
#include "tables/lint.h"

/* Asking for certificates without CAs of one's own would verify none of them. */
static void lint_client_cas(struct compile *c, const struct channel *ch)
{
    const struct tls_policy *t = &ch->tls_server;
    if (t->peer != TLS_PEER_NO && !ch->final &&
        !tls_profile_names_client_cas(t->profile)) {
        diag_error(c->diags, t->peer_at, "tls-no-client-ca",
                   "no certificate of a client could ever verify: section [%.*s] of "
                   "tls.cnf has no client_ca_file, client_ca_dir or client_ca_store",
                   STR_ARG(t->profile->name));
    }
}

static void lint_no_tls(struct compile *c, const struct channel *ch,
                        const struct reach *reach)
{
    const struct tls_policy *t = &ch->tls_server;
    if (t->peer != TLS_PEER_NO && channel_wrote(c->s, ch, ch->opts.tls_peer_at) &&
        t->level == TLS_LEVEL_NO && reach->plain[ch->index] != NULL &&
        reach->implicit_tls[ch->index] == NULL) {
        diag_warning(c->diags, ch->opts.tls_peer_at, "tls-peer-not-asked",
                     "no session that begins on '%.*s' can start TLS, so that no "
                     "certificate is ever seen: say maytlsserver or musttlsserver",
                     STR_ARG(ch->name));
    }
}

/* Certificates are asked for in the handshake, by the channel before the switch. */
static void lint_not_asked(struct compile *c, const struct channel *ch)
{
    const struct channel *to = ch->tls_switch;
    if (to == NULL || to->tls_server.peer != TLS_PEER_MUST ||
        (ch->tls_server.peer != TLS_PEER_NO &&
         tls_profile_same_client_cas(ch->tls_server.profile, to->tls_server.profile)) ||
        !channel_wrote(c->s, ch, ch->opts.tlsswitchchannel_at)) {
        return;
    }
    struct diag *d = diag_warning(
        c->diags, ch->opts.tlsswitchchannel_at, "tls-peer-not-asked",
        "sessions that are switched to '%.*s' have no certificate that counts there: it "
        "is asked for before the switch, %s",
        STR_ARG(to->name),
        ch->tls_server.peer == TLS_PEER_NO ? "and this channel asks for none"
                                           : "and this channel trusts other CAs");
    diag_note(c->diags, d, to->tls_server.peer_at, "this wants one");
}

/* Settings for certificates of clients in a section whose channels ask for none. */
static void lint_unused(struct compile *c)
{
    static const enum tls_option options[] = {
        TLS_OPTION_client_ca_file, TLS_OPTION_client_ca_dir, TLS_OPTION_client_ca_store,
        TLS_OPTION_peer_fail, TLS_OPTION_send_ca_names};
    const struct snapshot *s = c->s;
    bool *used = arena_array(c->arena, bool, s->tls_profile_count);
    for (unsigned i = 0; i < s->channel_count; i++) {
        const struct tls_policy *t = &s->channels[i]->tls_server;
        const struct tls_profile *p = t->peer != TLS_PEER_NO ? t->profile : NULL;
        for (; p != NULL && !used[p->index]; p = p->parent) {
            used[p->index] = true;
        }
    }
    for (unsigned i = 0; i < s->tls_profile_count; i++) {
        const struct tls_profile *p = s->tls_profiles[i];
        for (size_t n = 0; n < sizeof options / sizeof *options && !used[i]; n++) {
            const struct tls_setting *own = &p->settings[options[n]];
            if (own->items != NULL &&
                (p->parent == NULL ||
                 p->parent->settings[options[n]].items != own->items)) {
                diag_warning(c->diags, own->at, "no-effect",
                             "'%s' has no effect: no channel with this profile says "
                             "maytlspeer, musttlspeer or tlspeerswitchchannel",
                             tls_option_name(options[n]));
            }
        }
    }
}

void lint_tls_peers(struct compile *c, const struct reach *reach)
{
    for (unsigned i = 0; i < c->s->channel_count; i++) {
        lint_client_cas(c, c->s->channels[i]);
        lint_no_tls(c, c->s->channels[i], reach);
        lint_not_asked(c, c->s->channels[i]);
    }
    lint_unused(c);
}
