/* explanation: see explanation.h. */
#include "tools/explanation.h"

#include "tables/pattern.h"
#include "tools/text.h"

struct making {
    const struct explanation_request *request;
    const struct snapshot *s;
    struct arena *a;
    struct explanation *out;
};

const struct service *explanation_service(const struct snapshot *s, const char *name,
                                          str client_ip)
{
    bool six = str_find(client_ip, ':') >= 0;

    for (unsigned i = 0; i < s->service_count; i++) {
        const struct service *v = &s->services[i];
        bool any = v->interface_address.len == 0;
        bool fits = any || (str_find(v->interface_address, ':') >= 0) == six;
        if (fits && (!name || str_ieq(v->name, str_from(name)))) {
            return v;
        }
    }
    return NULL;
}

/* Why the session stayed although `from` lets sessions be switched: what the client's
 * address or name rewrites to by itself. */
static str stay_reason(const struct making *m, const struct channel *from, str host,
                       struct span *at)
{
    struct rewrite_context ctx = {from, ROUTE_BACKWARD, ROUTE_ENVELOPE, NULL};
    struct address addr = {.route = STR(""), .local = STR(""), .domain = host};
    struct route r;

    route_rewrite(m->s, &ctx, &addr, false, m->a, &r);
    *at = r.rule.source != 0 ? r.rule : r.host;
    if (!r.channel) {
        return arena_printf(m->a, "%.*s leads to no channel", STR_ARG(host));
    }
    if (r.channel == from) {
        return arena_printf(m->a, "%.*s leads to this channel", STR_ARG(host));
    }
    if (r.channel->opts.ip_switch == IP_SWITCH_NO) {
        struct setting set =
            setting_of(m->s, r.channel, r.channel->opts.ip_switch_at, "");
        *at = set.at;
        return arena_printf(m->a, "%.*s leads to %.*s, which has %.*s", STR_ARG(host),
                            STR_ARG(r.channel->name),
                            STR_ARG(setting_text(m->a, m->s, &set)));
    }
    if (r.channel->type != CHANNEL_TCP) {
        return arena_printf(m->a, "%.*s leads to %.*s, which takes no sessions",
                            STR_ARG(host), STR_ARG(r.channel->name));
    }
    return arena_printf(m->a, "only the rule '.' matches %.*s, and that never switches",
                        STR_ARG(host));
}

static str ip_stay_reason(const struct making *m, const struct channel *from,
                          struct span *at)
{
    str literal = STR("");

    if (from->opts.ip_switch != IP_SWITCH_START) {
        struct setting set =
            setting_of(m->s, from, from->opts.ip_switch_at, "allowswitchchannel");
        *at = set.at;
        return arena_printf(m->a, "%.*s is no switchchannel channel: %.*s",
                            STR_ARG(from->name), STR_ARG(setting_text(m->a, m->s, &set)));
    }
    literal_from_ip(m->a, m->request->client_ip, &literal);
    return stay_reason(m, from, literal, at);
}

static void explain_ip(struct making *m)
{
    struct explained_switch *sw = &m->out->ip;

    sw->from = m->request->service->channel;
    sw->to = route_ip_switch(m->s, sw->from, m->request->client_ip, m->a, &sw->at);
    m->out->trusted = sw->to != sw->from;
    sw->reason = m->out->trusted ? text_written(m->a, m->s->sources, sw->at)
                                 : ip_stay_reason(m, sw->from, &sw->at);
}

/* Only where the address decided nothing (channels/tcp_switch.c). */
static void explain_name(struct making *m)
{
    struct explained_switch *sw = &m->out->name;
    str name = m->request->client_name;

    sw->from = sw->to = m->out->ip.to;
    sw->at = SPAN_NONE;
    sw->reason = STR("names do not count here");
    m->out->name_counts = sw->from == m->out->ip.from &&
                          route_name_counts(m->s, sw->from, m->request->client_ip, m->a);
    if (!m->out->name_counts) {
        return;
    }
    if (name.len == 0) {
        sw->reason = STR("the name that the DNS has for the client was not given");
        return;
    }
    sw->to = route_name_switch(m->s, sw->from, name, m->a, &sw->at);
    sw->reason = sw->to != sw->from ? text_written(m->a, m->s->sources, sw->at)
                                    : stay_reason(m, sw->from, name, &sw->at);
}

static void explain_tls(struct making *m)
{
    struct explained_switch *sw = &m->out->tls;
    bool implicit = m->request->service->implicit_tls;

    sw->from = sw->to = m->out->name.to;
    sw->at = SPAN_NONE;
    m->out->starttls = setting_tls_server(m->s, sw->from);
    m->out->in_tls =
        implicit || (m->request->tls && sw->from->opts.tls_server != TLS_LEVEL_NO);
    if (!m->out->in_tls) {
        sw->reason = m->request->tls ? STR("STARTTLS is not offered; it goes on in clear")
                                     : STR("the client does not turn TLS on");
        return;
    }
    sw->to = route_tls_switch(sw->from);
    if (sw->from->tls_switch) {
        sw->at = sw->from->opts.tlsswitchchannel_at;
        sw->reason = text_written(m->a, m->s->sources, sw->at);
    } else {
        sw->reason =
            arena_printf(m->a, "%.*s has no tlsswitchchannel", STR_ARG(sw->from->name));
    }
}

static void explain_relay(struct making *m)
{
    const struct explanation *e = m->out;
    const struct address *to = &m->request->to;
    const struct span *line =
        snapshot_local_domain(m->s, to->domain.len > 0 ? to->domain : m->s->local_host);

    if (e->trusted) {
        m->out->relay = STR("trusted: the client's address led to another channel");
        m->out->relay_at = e->ip.at;
    } else if (e->verdict == RECIPIENT_RELAY) {
        m->out->relay = arena_printf(m->a, "not trusted (no IP switch), and %s",
                                     line ? "another host in the address, as given or "
                                            "rewritten, is not in localdomains"
                                          : "the domain is not in localdomains");
    } else if (e->route.channel->final) {
        m->out->relay = arena_printf(m->a, "not trusted, but %.*s delivers here",
                                     STR_ARG(e->route.channel->name));
        m->out->relay_at = e->route.channel->span;
    } else {
        m->out->relay = STR("not trusted, but the domain is ours: localdomains");
        m->out->relay_at = line ? *line : SPAN_NONE;
    }
}

static void explain_recipient(struct making *m)
{
    struct explanation *e = m->out;
    struct recipient_request request = {.snapshot = m->s,
                                        .source = e->source,
                                        .trusted = e->trusted,
                                        .to = m->request->to};
    struct recipient_answer answer;

    e->verdict = recipient_resolve(&request, m->a, &answer);
    e->route = answer.route;
    e->asked = true;
    e->refused = e->verdict != RECIPIENT_TAKEN;
    if (e->refused) {
        refusal_outcome(&answer.reply, &e->refusal);
    }
    if (e->verdict != RECIPIENT_NO_ROUTE) {
        explain_relay(m);
    }
}

static void explain_delivery(struct making *m)
{
    const struct channel *c = m->out->route.channel;
    struct explained_delivery *d = &m->out->delivery;

    d->host = route_next_hop(c, &m->out->route.address);
    d->mx = d->host.len > 0 && d->host.ptr[0] != '[' && route_wants_mx(c);
    d->tls = setting_tls_client(m->s, c);
}

static str leaves(enum tls_level level)
{
    static const char *const how[] = {
        [TLS_LEVEL_NO] = "leaves in clear",
        [TLS_LEVEL_MAY] = "leaves over TLS if the next hop offers it, else in clear",
        [TLS_LEVEL_MUST] = "leaves only over TLS, whatever certificate is shown",
    };
    return str_from(how[level]);
}

static str summary(const struct making *m)
{
    const struct explanation *e = m->out;
    const struct outcome *no = &e->refusal;

    if (e->refused) {
        return arena_printf(m->a, "refused: %u %u.%u.%u %s", no->code, no->enhanced[0],
                            no->enhanced[1], no->enhanced[2], no->text);
    }
    const struct channel *c = e->route.channel;
    switch (c->type) {
    case CHANNEL_LOCAL:
        return arena_printf(m->a,
                            "accepted if the mailbox exists (else 550 5.1.1), "
                            "delivered here by %.*s",
                            STR_ARG(c->name));
    case CHANNEL_BITBUCKET:
        return arena_printf(m->a, "accepted, deleted by %.*s", STR_ARG(c->name));
    default:
        return arena_printf(m->a, "accepted, queued on %.*s, %.*s", STR_ARG(c->name),
                            STR_ARG(leaves(c->opts.tls_client)));
    }
}

void explanation_make(const struct explanation_request *request, struct arena *a,
                      struct explanation *out)
{
    struct making m = {request, request->snapshot, a, out};

    *out = (struct explanation){.relay = STR(""), .delivery.host = STR("")};
    outcome_init(&out->refusal);
    explain_ip(&m);
    explain_name(&m);
    explain_tls(&m);
    out->source = out->tls.to;
    if (!out->in_tls && out->source->opts.tls_server == TLS_LEVEL_MUST) {
        out->refused = true;
        outcome_set(&out->refusal, OUTCOME_FAILED, 530, 5, 7, 0, REFUSAL_WITHOUT_TLS);
    } else {
        explain_recipient(&m);
    }
    if (!out->refused) {
        explain_delivery(&m);
    }
    out->summary = summary(&m);
}
