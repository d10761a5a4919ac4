/* tls explain: the other direction: what a channel asks of clients, with what certificate
 * it answers, and where sessions can go after the handshake, in the order in which the
 * first one counts. */
#include "tables/tls_access.h"
#include "tools/text.h"
#include "tools/tls_telling.h"

/* Options that matter to a server. */
static const enum tls_option options[] = {
    TLS_OPTION_server_cert,     TLS_OPTION_server_key,    TLS_OPTION_sni,
    TLS_OPTION_client_ca_file,  TLS_OPTION_client_ca_dir, TLS_OPTION_client_ca_store,
    TLS_OPTION_send_ca_names,   TLS_OPTION_peer_fail,     TLS_OPTION_preset,
    TLS_OPTION_protocol_min,    TLS_OPTION_protocol_max,  TLS_OPTION_ciphers,
    TLS_OPTION_ciphersuites,    TLS_OPTION_groups,        TLS_OPTION_dhe,
    TLS_OPTION_dh_params,       TLS_OPTION_provider,      TLS_OPTION_propquery,
    TLS_OPTION_session_tickets,
};

static void tell_switch(const struct telling *t, const char *by, str to, struct span at)
{
    if (t->out) {
        record_open(t->out, NULL, '{');
        record_str(t->out, "by", str_from(by));
        record_str(t->out, "to", to);
        record_place(t->out, "at", t->s->sources, at);
        record_close(t->out, '}');
    } else {
        telling_field(t, "switch", to.ptr != NULL ? to : STR("(computed)"), at, by);
    }
}

static void tell_entry(const struct tls_access_entry *e, void *arg)
{
    tell_switch(arg, access_table_name(e->table), e->to ? e->to->name : STR_NONE,
                e->view.at);
}

static void tell_switches(struct telling *t)
{
    const struct channel *c = t->channel;
    if (t->out) {
        record_open(t->out, "switches", '[');
    }
    tls_access_entries(t->s, c, tell_entry, t);
    if (c->tls_peer_switch) {
        tell_switch(t, "tlspeerswitchchannel", c->tls_peer_switch->name,
                    c->opts.tlspeerswitchchannel_at);
    }
    if (c->tls_switch) {
        tell_switch(t, "tlsswitchchannel", c->tls_switch->name,
                    c->opts.tlsswitchchannel_at);
    }
    if (t->out) {
        record_close(t->out, ']');
    }
}

void telling_server(const struct telling *t)
{
    static const char *const peers[] = {
        [TLS_PEER_NO] = "no", [TLS_PEER_MAY] = "may", [TLS_PEER_MUST] = "must"};
    const struct tls_policy *p = &t->channel->tls_server;
    struct telling copy = *t;
    if (t->out) {
        record_open(t->out, "server", '{');
    } else {
        puts("clients");
    }
    telling_field(t, "level", str_from(tls_level_name(p->level)), p->level_at,
                  telling_from(t, p->level_at));
    telling_field(t, "injection",
                  p->injection == TLS_INJECTION_REJECT ? STR("reject") : STR("ignore"),
                  p->injection_at, telling_from(t, p->injection_at));
    telling_field(t, "certificate", str_from(peers[p->peer]), p->peer_at,
                  telling_from(t, p->peer_at));
    telling_field(t, "profile", p->profile->name, p->profile_at,
                  telling_from(t, p->profile_at));
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        telling_option(t, p->profile, options[i]);
    }
    tell_switches(&copy);
    if (t->out) {
        record_close(t->out, '}');
    }
}
