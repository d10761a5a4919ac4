/* explain: the answer as JSON; the members are told in pointsman.1. */
#include "tools/expansion.h"
#include "tools/explain.h"

static void record_at(const struct explaining *x, struct record *out, struct span at)
{
    record_place(out, "at", x->c->snapshot->sources, at);
}

static void record_switch(const struct explaining *x, struct record *out,
                          const char *name, const struct explained_switch *sw)
{
    record_open(out, name, '{');
    record_str(out, "from", sw->from->name);
    record_str(out, "to", sw->to->name);
    record_str(out, "reason", sw->reason);
    record_at(x, out, sw->at);
    record_close(out, '}');
}

static void record_setting(const struct explaining *x, struct record *out,
                           const char *name, enum tls_level level,
                           const struct setting *set)
{
    record_open(out, name, '{');
    record_str(out, "level", str_from(tls_level_name(level)));
    record_str(out, "keyword", set->word);
    record_str(out, "from", str_from(setting_from_name(set->from)));
    record_at(x, out, set->at);
    record_close(out, '}');
}

/* All tables that were asked, in order. */
static void record_access(const struct explaining *x, struct record *out)
{
    record_open(out, "access", '[');
    explain_access_record(x, out, &x->e.port);
    explain_access_record(x, out, &x->e.handshake.access);
    explain_access_record(x, out, &x->e.handshake.peer_access);
    explain_access_record(x, out, &x->e.from);
    for (const struct recipient_access *a = x->e.access; a; a = a->next) {
        explain_access_record(x, out, &a->verdict);
    }
    record_close(out, ']');
}

static void record_service(const struct explaining *x, struct record *out)
{
    const struct service *v = x->request.service;

    record_open(out, "service", '{');
    record_str(out, "name", v->name);
    record_str(out, "interface_address", v->interface_address);
    record_uint(out, "port", v->port);
    record_bool(out, "implicit_tls", v->implicit_tls);
    record_at(x, out, v->span);
    record_close(out, '}');
}

/* What is not known because the client was not let in. */
static void record_no_session(struct record *out)
{
    static const char *const names[] = {"ip_switch", "name_switch", "starttls",
                                        "tls_switch"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        record_null(out, names[i]);
    }
    record_bool(out, "tls", false);
    record_null(out, "source_channel");
    record_bool(out, "trusted", false);
}

static void record_session(const struct explaining *x, struct record *out)
{
    if (!x->e.let_in) {
        record_no_session(out);
        return;
    }
    record_switch(x, out, "ip_switch", &x->e.ip);
    record_switch(x, out, "name_switch", &x->e.name);
    record_setting(x, out, "starttls", x->e.name.to->tls_server.level, &x->e.starttls);
    record_switch(x, out, "tls_switch", &x->e.tls);
    record_bool(out, "tls", x->e.in_tls);
    record_str(out, "source_channel", x->e.source->name);
    record_bool(out, "trusted", x->e.trusted);
}

static void record_route(const struct explaining *x, struct record *out)
{
    const struct route *r = &x->e.route;
    const struct outcome *no = &x->e.refusal;
    struct arena *a = x->c->arena;
    bool routed = r->channel != NULL;

    record_str(out, "rewritten", routed ? address_print(a, &r->address) : STR_NONE);
    record_str(out, "channel", routed ? r->channel->name : STR_NONE);
    record_place(out, "rule", x->c->snapshot->sources, r->rule);
    if (x->e.relay.len > 0) {
        record_open(out, "relay", '{');
        record_str(out, "reason", x->e.relay);
        record_at(x, out, x->e.relay_at);
        record_close(out, '}');
    } else {
        record_null(out, "relay");
    }
    record_bool(out, "accepted", !x->e.refused);
    if (!x->e.refused) {
        record_null(out, "reply");
        return;
    }
    record_open(out, "reply", '{');
    record_uint(out, "code", no->code);
    record_str(
        out, "status",
        arena_printf(a, "%u.%u.%u", no->enhanced[0], no->enhanced[1], no->enhanced[2]));
    record_str(out, "text", str_from(no->text));
    record_close(out, '}');
}

static void record_delivery(const struct explaining *x, struct record *out)
{
    const struct explained_delivery *d = &x->e.delivery;

    if (d->host.len == 0) {
        record_null(out, "delivery");
        return;
    }
    const struct channel_opts *o = &x->e.leaf.channel->opts;
    record_open(out, "delivery", '{');
    record_str(out, "next_hop", d->host);
    record_bool(out, "mx", d->mx);
    record_uint(out, "port", o->port);
    record_str(out, "last_resort", o->lastresort.len > 0 ? o->lastresort : STR_NONE);
    const struct tls_policy *t = &x->e.leaf.channel->tls_client;
    record_setting(x, out, "tls", t->level, &d->tls);
    record_str(out, "verify", str_from(tls_verify_name(t->verify)));
    record_open(out, "access", '[');
    if (d->ip_known) {
        explain_access_record(x, out, &d->ip);
    }
    record_close(out, ']');
    record_close(out, '}');
}

void explain_json(const struct explaining *x)
{
    struct record out;

    record_begin(&out);
    record_str(&out, "address", address_print(x->c->arena, &x->request.to));
    record_str(&out, "from_ip", x->request.client_ip);
    record_service(x, &out);
    record_session(x, &out);
    record_str(&out, "mail_from", address_print(x->c->arena, &x->e.mail_from));
    record_access(x, &out);
    record_route(x, &out);
    expansion_record(&out, "expansion", x->c->snapshot, x->c->arena, &x->e.expansion);
    record_delivery(x, &out);
    explain_sender_json(x, &out);
    record_open(&out, "not_honoured", '[');
    for (size_t i = 0; i < x->notes.n; i++) {
        record_str(&out, NULL, x->notes.at[i]);
    }
    record_close(&out, ']');
    record_open(&out, "not_told", '[');
    for (size_t i = 0; i < x->guesses.n; i++) {
        record_str(&out, NULL, x->guesses.at[i]);
    }
    record_close(&out, ']');
    record_str(&out, "verdict", x->e.summary);
    record_print(&out);
}
