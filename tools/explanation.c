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

/* The lines of PORT_ACCESS are parted by '~', as they are written. */
static void refuse_access(struct making *m, const struct access_verdict *v)
{
    struct explanation *e = m->out;
    char *text = arena_strndup(m->a, v->text.ptr, v->text.len);
    struct recipient_reply reply = {
        v->code, {v->status[0], v->status[1], v->status[2]}, str_n(text, v->text.len)};

    for (size_t i = 0; i < v->text.len; i++) {
        text[i] = text[i] == '\n' ? '~' : text[i];
    }
    e->refused = true;
    refusal_outcome(&reply, &e->refusal);
}

static str given_or(str given, const char *usual)
{
    return given.len > 0 ? given : str_from(usual);
}

static void put_tls(const struct making *m, struct access_peer *p)
{
    p->tls = true;
    p->tls_version = given_or(m->request->version, "TLSv1.3");
    p->tls_cipher = given_or(m->request->cipher, "TLS_AES_256_GCM_SHA384");
}

static void ask_handshake(struct making *m, const struct channel *from)
{
    const struct explanation_request *r = m->request;
    bool asks = from->tls_server.peer != TLS_PEER_NO;
    struct access_peer peer = m->out->peer;
    struct access_tls tls = {.group = given_or(r->group, "X25519MLKEM768"),
                             .sni = r->sni,
                             .verified = asks && r->subject.len > 0,
                             .subject = r->subject,
                             .issuer = r->issuer,
                             .spki = asks ? r->spki : STR("")};
    struct access_question q = {
        .snapshot = m->s, .peer = &peer, .source = from, .tls = &tls};

    put_tls(m, &peer);
    m->out->verified = tls.verified;
    tls_access_ask(&q, m->a, &m->out->handshake);
}

/* What made the switch, or why there is none. */
static str tls_switch_reason(const struct making *m, const struct channel *from)
{
    const struct tls_access_answer *h = &m->out->handshake;

    if (h->by != TLS_SWITCH_NONE) {
        return text_written(m->a, m->s->sources, h->at);
    }
    if (from->tls_switch) {
        return STR("tlsswitchchannel is blocked by $B");
    }
    return arena_printf(m->a, "%.*s has no tlsswitchchannel", STR_ARG(from->name));
}

static void explain_tls(struct making *m)
{
    struct explained_switch *sw = &m->out->tls;
    bool implicit = m->request->service->implicit_tls;

    sw->from = sw->to = m->out->name.to;
    sw->at = SPAN_NONE;
    m->out->starttls = setting_tls_server(m->s, sw->from);
    m->out->in_tls =
        implicit || (m->request->tls && sw->from->tls_server.level != TLS_LEVEL_NO);
    if (!m->out->in_tls) {
        sw->reason = m->request->tls ? STR("STARTTLS is not offered; it goes on in clear")
                                     : STR("the client does not turn TLS on");
        return;
    }
    ask_handshake(m, sw->from);
    sw->to = m->out->handshake.to;
    sw->at = m->out->handshake.at;
    if (m->out->handshake.refusal) {
        sw->to = sw->from;
        sw->reason = STR("the client is refused after the handshake");
        refuse_access(m, m->out->handshake.refusal);
    } else {
        sw->reason = tls_switch_reason(m, sw->from);
    }
}

/* The table that decided before, or else behind the relay rule; NULL: none did. */
static const struct access_verdict *deciding(const struct explanation *e, bool of_leaf)
{
    for (const struct recipient_access *a = e->access; a; a = a->next) {
        if (a->verdict.decides && a->of_leaf == of_leaf) {
            return &a->verdict;
        }
    }
    return NULL;
}

static void relay_is(struct explanation *e, enum explained_relay how, str why,
                     struct span at)
{
    e->relay_how = how;
    e->relay = why;
    e->relay_at = at;
}

/* Why the rule refuses, or would. */
static str refusal_reason(struct making *m, const struct span *line)
{
    return arena_printf(m->a, "not trusted (no IP switch), and %s",
                        line ? "another host in the address, as given or rewritten, is "
                               "not in localdomains"
                             : "the domain is not in localdomains");
}

static void explain_open_relay(struct making *m, const struct span *line)
{
    struct explanation *e = m->out;
    const struct access_verdict *v = deciding(e, true);
    str why = refusal_reason(m, line);

    if (e->verdict == RECIPIENT_RELAY || !v) {
        relay_is(e, EXPLAINED_RELAY_REFUSED, why, SPAN_NONE);
    } else {
        why = arena_printf(m->a, "%.*s; but %s decides", STR_ARG(why),
                           access_table_name(v->table));
        relay_is(e, EXPLAINED_RELAY_WOULD, why, v->entry);
    }
}

static void explain_relay(struct making *m)
{
    struct explanation *e = m->out;
    const struct address *to = &m->request->to;
    const struct access_verdict *before = deciding(e, false);
    const struct span *line =
        snapshot_local_domain(m->s, to->domain.len > 0 ? to->domain : m->s->local_host);

    if (before) {
        str why = arena_printf(m->a, "%s decides", access_table_name(before->table));
        relay_is(e, EXPLAINED_RELAY_NOT_ASKED, why, before->entry);
    } else if (e->verdict == RECIPIENT_RELAY || e->relay_open) {
        explain_open_relay(m, line);
    } else if (e->trusted) {
        relay_is(e, EXPLAINED_RELAY_ACCEPTED,
                 STR("trusted: the client's address led to another channel"), e->ip.at);
    } else if (e->route.channel->final) {
        str why = arena_printf(m->a, "not trusted, but %.*s delivers here",
                               STR_ARG(e->route.channel->name));
        relay_is(e, EXPLAINED_RELAY_ACCEPTED, why, e->route.channel->span);
    } else {
        relay_is(e, EXPLAINED_RELAY_ACCEPTED,
                 STR("not trusted, but the domain is ours: localdomains"),
                 line ? *line : SPAN_NONE);
    }
}

/* Was the recipient refused before the relay rule was asked? */
static bool refused_before_relay(const struct explanation *e)
{
    const struct recipient_access *last = e->access;
    while (last && last->next) {
        last = last->next;
    }
    return e->verdict == RECIPIENT_NO_ROUTE ||
           (e->verdict == RECIPIENT_ACCESS && last && !last->of_leaf);
}

static bool is_refusal(const struct access_verdict *v)
{
    return v->answer == ACCESS_REJECT || v->answer == ACCESS_FAULT;
}

static void explain_port(struct making *m)
{
    struct explanation *e = m->out;
    const struct explanation_request *r = m->request;
    struct access_question q = {.snapshot = m->s, .table = ACCESS_PORT, .peer = &e->peer};

    e->peer = (struct access_peer){.server_ip = r->server_ip,
                                   .server_port = r->service->port,
                                   .client_ip = r->client_ip,
                                   .client_port = r->client_port};
    access_ask(&q, m->a, &e->port);
    e->let_in = !is_refusal(&e->port);
    if (!e->let_in) {
        refuse_access(m, &e->port);
    }
}

/* What the tables know of the session by the time of MAIL. */
static void explain_peer(struct making *m)
{
    struct access_peer *p = &m->out->peer;

    p->helo = m->request->helo;
    p->esmtp = true;
    if (m->out->in_tls) {
        put_tls(m, p);
    }
}

static void explain_sender(struct making *m)
{
    struct explanation *e = m->out;
    struct access_question q = {.snapshot = m->s,
                                .table = ACCESS_FROM,
                                .peer = &e->peer,
                                .source = e->source,
                                .sender = &e->mail_from};

    access_sender(m->s, e->source, &m->request->sender, m->a, &e->mail_from);
    access_ask(&q, m->a, &e->from);
    if (is_refusal(&e->from)) {
        refuse_access(m, &e->from);
    } else if (e->from.new_sender) {
        access_sender(m->s, e->source, &e->from.sender, m->a, &e->mail_from);
    }
}

static void explain_recipient(struct making *m)
{
    struct explanation *e = m->out;
    struct recipient_request request = {.snapshot = m->s,
                                        .source = e->source,
                                        .trusted = e->trusted,
                                        .to = m->request->to,
                                        .sender = e->mail_from,
                                        .peer = &e->peer};
    struct recipient_answer answer;

    e->verdict = recipient_resolve(&request, m->a, &answer);
    e->route = answer.route;
    e->access = answer.access;
    e->relay_open = answer.relay_open;
    e->expansion = answer.expansion;
    e->leaves = answer.leaf_count;
    if (e->leaves > 0) {
        e->leaf = answer.leaves[0].route;
        e->leaf_sender = answer.leaves[0].node->sender;
        e->discard = answer.leaves[0].discard;
    }
    e->asked = true;
    e->refused = e->verdict != RECIPIENT_TAKEN;
    if (e->refused) {
        refusal_outcome(&answer.reply, &e->refusal);
    }
    if (!refused_before_relay(e)) {
        explain_relay(m);
    }
}

/* IP_ACCESS for a next hop that is an address; for others the DNS would have to be asked.
 */
static void explain_next_hop(struct making *m)
{
    struct explained_delivery *d = &m->out->delivery;
    str ip = d->host, literal;

    if (ip.len > 2 && ip.ptr[0] == '[') {
        ip = str_sub(ip, 1, ip.len - 2);
        ip = str_istarts(ip, STR("IPv6:")) ? str_from_pos(ip, 5) : ip;
    }
    d->ip_known = literal_from_ip(m->a, ip, &literal);
    struct access_question q = {.snapshot = m->s,
                                .table = ACCESS_IP,
                                .source = m->out->leaf.channel,
                                .ip = d->ip_known ? ip : STR("ADDRESS"),
                                .host = d->host,
                                .address_count = 1,
                                .address_index = 1};
    access_ask(&q, m->a, &d->ip);
}

static void explain_delivery(struct making *m)
{
    const struct channel *c = m->out->leaf.channel;
    struct explained_delivery *d = &m->out->delivery;

    d->host = route_next_hop(c, &m->out->leaf.address);
    d->mx = d->host.len > 0 && d->host.ptr[0] != '[' && route_wants_mx(c);
    d->tls = setting_tls_client(m->s, c);
    if (d->host.len > 0) {
        explain_next_hop(m);
    }
}

static str leaves(const struct tls_policy *t)
{
    static const char *const shown[] = {
        [TLS_VERIFY_NO] = "leaves only over TLS, whatever certificate is shown",
        [TLS_VERIFY_TRY] = "leaves only over TLS, whatever certificate is shown",
        [TLS_VERIFY_CA] = "leaves only over TLS, to a certificate of the profile's CAs",
        [TLS_VERIFY_HOST] = "leaves only over TLS, to a certificate for the host",
        [TLS_VERIFY_FP] = "leaves only over TLS, to a certificate that is listed",
    };
    switch (t->level) {
    case TLS_LEVEL_NO:
        return STR("leaves in clear");
    case TLS_LEVEL_MAY:
        return tls_policy_falls_back(t)
                   ? STR("leaves over TLS if the next hop offers it, else in clear")
                   : STR("leaves in clear only if the next hop does not offer TLS");
    case TLS_LEVEL_MUST:
        break;
    }
    return str_from(shown[t->verify]);
}

/* Does a verdict that counts ask for that? */
static bool discarded(const struct explanation *e)
{
    bool all = e->from.discard || e->from.discard_all;
    for (const struct recipient_access *a = e->access; a; a = a->next) {
        all = all || (a->verdict.discard_all && !a->dropped);
    }
    return all || e->discard;
}

static bool held(const struct explanation *e)
{
    bool hold = e->from.hold;
    for (const struct expand_node *n = e->expansion.first; n; n = n->next) {
        hold = hold || (n->kind == EXPAND_LEAF && n->hold);
    }
    for (const struct recipient_access *a = e->access; a; a = a->next) {
        hold = hold || (a->verdict.hold && !a->dropped);
    }
    return hold;
}

static str summary(const struct making *m)
{
    const struct explanation *e = m->out;
    const struct outcome *no = &e->refusal;

    if (e->refused) {
        return arena_printf(m->a, "refused: %u %u.%u.%u %s", no->code, no->enhanced[0],
                            no->enhanced[1], no->enhanced[2], no->text);
    }
    if (discarded(e)) {
        return STR("accepted, and thrown away");
    }
    const struct channel *c = e->leaf.channel;
    if (held(e)) {
        return arena_printf(m->a, "accepted, held for %.*s until an operator releases it",
                            STR_ARG(c->name));
    }
    if (e->leaves > 1) {
        return arena_printf(m->a, "accepted, for %u addresses", e->leaves);
    }
    switch (c->type) {
    case CHANNEL_LOCAL:
        return arena_printf(m->a,
                            "accepted if the mailbox exists (else 550 5.1.1), "
                            "delivered here by %.*s",
                            STR_ARG(c->name));
    case CHANNEL_PIPE:
        return arena_printf(
            m->a,
            "accepted if there is a program (else 550 5.1.1), which gets it "
            "by %.*s",
            STR_ARG(c->name));
    case CHANNEL_HOLD:
        return arena_printf(m->a,
                            "accepted, held on %.*s until an operator releases it, then "
                            "rewritten again",
                            STR_ARG(c->name));
    case CHANNEL_REPROCESS:
        return arena_printf(m->a, "accepted, queued on %.*s, which rewrites it again",
                            STR_ARG(c->name));
    case CHANNEL_BITBUCKET:
        return arena_printf(m->a, "accepted, deleted by %.*s", STR_ARG(c->name));
    default:
        return arena_printf(m->a, "accepted, queued on %.*s, %.*s", STR_ARG(c->name),
                            STR_ARG(leaves(&c->tls_client)));
    }
}

void explanation_make(const struct explanation_request *request, struct arena *a,
                      struct explanation *out)
{
    struct making m = {request, request->snapshot, a, out};

    *out = (struct explanation){.relay = STR(""), .delivery.host = STR("")};
    outcome_init(&out->refusal);
    explain_port(&m);
    if (!out->let_in) {
        out->summary = summary(&m);
        return;
    }
    explain_ip(&m);
    explain_name(&m);
    explain_tls(&m);
    explain_peer(&m);
    out->source = out->tls.to;
    if (out->refused) {
        out->summary = summary(&m);
        return;
    }
    if (!out->in_tls && out->source->tls_server.level == TLS_LEVEL_MUST) {
        out->refused = true;
        outcome_set(&out->refusal, OUTCOME_FAILED, 530, 5, 7, 0, REFUSAL_WITHOUT_TLS);
    } else {
        explain_sender(&m);
        if (!out->refused) {
            explain_recipient(&m);
        }
    }
    if (!out->refused && !discarded(out) && out->leaves == 1) {
        explain_delivery(&m);
    }
    out->summary = summary(&m);
}
