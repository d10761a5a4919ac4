/* explain: one recipient offered by one client, from the connection to the next hop. The
 * steps come from explanation.c; here they are asked for and printed as text. */
#include "tables/mapping_view.h"
#include "tables/pattern.h"
#include "tools/addresses.h"
#include "tools/expansion.h"
#include "tools/explain.h"
#include "tools/text.h"

enum { CLIENT_PORT = 50000 }; /* nobody writes tables for that */

/* ---- what is not looked at yet ----------------------------------------------------- */

static void note_add(struct explaining *x, str text)
{
    *vec_add(x->c->arena, &x->notes) = text;
}

/* Does the message speak of a channel this mail goes through? */
static bool concerns(const struct explaining *x, struct span at)
{
    const struct snapshot *s = x->c->snapshot;
    const struct channel *const channels[] = {x->e.name.to, x->e.source,
                                              x->e.route.channel, x->e.leaf.channel};

    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        if (channels[i] && channel_wrote(s, channels[i], at)) {
            return true;
        }
    }
    return false;
}

static void collect_notes(struct explaining *x)
{
    for (const struct diag *d = diags_first(x->c->diags); d; d = d->next) {
        bool table = strcmp(d->slug, "unhonoured-mapping") == 0;
        bool word = strcmp(d->slug, "unhonoured-keyword") == 0 && concerns(x, d->span);
        if (table || word || strcmp(d->slug, "unhonoured-restriction") == 0) {
            str where = text_column(x->c->arena, x->c->snapshot->sources, d->span);
            note_add(x, arena_printf(x->c->arena, "%.*s: %.*s", STR_ARG(where),
                                     STR_ARG(d->text)));
        }
    }
    if (x->in->options.auth) {
        note_add(x, STR("AUTH is not honoured yet: it is not offered, switches no "
                        "channel and makes nobody trusted"));
    }
}

/* ---- what was not told ------------------------------------------------------------- */

static void guess_add(struct explaining *x, str text)
{
    *vec_add(x->c->arena, &x->guesses) = text;
}

static void guess_name(struct explaining *x, const char *what, const char *option,
                       str instead)
{
    guess_add(x, arena_printf(x->c->arena, "%s (--%s): tables are asked for %.*s", what,
                              option, STR_ARG(instead)));
}

/* Has the table an entry that looks at the address a client connects to? */
static bool looks_at_server(const struct explaining *x, enum access_table t)
{
    const struct mapping *table =
        mapping_find(x->c->snapshot, str_from(access_table_name(t)));

    for (unsigned i = 0; table && i < mapping_entry_count(table); i++) {
        str pattern = mapping_entry_view(table, i).pattern;
        if (!str_starts(pattern, STR("*")) && !str_istarts(pattern, STR("TCP|*|")) &&
            !str_starts(pattern, STR("|"))) {
            return true;
        }
    }
    return false;
}

/* What tables about TLS look at besides. */
static void guess_handshake(struct explaining *x)
{
    const struct tool_options *o = &x->in->options;
    const struct tls_access_answer *h = &x->e.handshake;

    if (!h->access.asked && !h->peer_access.asked) {
        return;
    }
    if (!o->handshake.version || !o->handshake.cipher ||
        (h->peer_access.asked && !o->handshake.group)) {
        guess_add(x,
                  STR("TLS version, cipher or group (--handshake): tables are asked for "
                      "the usual ones"));
    }
    if (x->e.name.to->tls_server.peer != TLS_PEER_NO && !o->handshake.subject &&
        !o->handshake.spki) {
        guess_add(x,
                  STR("its certificate (--handshake subject=, spki=): tables are asked "
                      "for none"));
    }
    if (h->peer_access.asked && !o->handshake.sni) {
        guess_add(x,
                  STR("the name it asks for (--handshake sni=): the table is asked for "
                      "none"));
    }
}

/* Does a table look at more of the client than was told? */
static void collect_guesses(struct explaining *x)
{
    const struct tool_options *o = &x->in->options;
    bool transport = x->e.from.asked;
    bool server =
        looks_at_server(x, ACCESS_PORT) || (transport && looks_at_server(x, ACCESS_FROM));

    for (const struct recipient_access *a = x->e.access; a; a = a->next) {
        enum access_table t = a->verdict.table;
        bool larger = t == ACCESS_ORIG_MAIL || t == ACCESS_MAIL;
        transport |= larger;
        server |= larger && looks_at_server(x, t);
    }
    if (server && !o->server_ip && x->request.service->interface_address.len == 0) {
        guess_name(x, "our address that it connects to", "server-ip",
                   x->request.server_ip);
    }
    if (transport && !o->helo) {
        guess_name(x, "its name in EHLO", "helo", x->request.helo);
    }
    guess_handshake(x);
    if (transport && x->e.in_tls && !x->e.handshake.access.asked &&
        !x->e.handshake.peer_access.asked && !o->handshake.version &&
        !o->handshake.cipher) {
        guess_add(x, STR("TLS version and cipher: tables are asked for the usual ones"));
    }
    if ((x->e.from.asked || x->e.access) && !o->sender) {
        guess_name(x, "the sender", "sender", STR("the null sender <>"));
    }
}

/* ---- text ---------------------------------------------------------------------- */

static str where(const struct explaining *x, struct span at)
{
    return text_column(x->c->arena, x->c->snapshot->sources, at);
}

static void print_row(const char *label, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void print_row(const char *label, const char *fmt, ...)
{
    va_list ap;

    printf("%-12s ", label);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

static void print_switch(const struct explaining *x, const char *label,
                         const struct explained_switch *sw)
{
    if (sw->to == sw->from) {
        print_row(label, "none: %.*s", STR_ARG(sw->reason));
    } else {
        print_row(label, "%.*s   %.*s   channel %.*s", STR_ARG(where(x, sw->at)),
                  STR_ARG(sw->reason), STR_ARG(sw->to->name));
    }
}

static void print_session(const struct explaining *x);
static void print_connection(const struct explaining *x)
{
    const struct service *v = x->request.service;
    const struct channel *from = v->channel;

    print_row("connection", "%.*s on service %.*s, port %u (%.*s)   channel %.*s",
              STR_ARG(x->request.client_ip), STR_ARG(v->name), v->port,
              STR_ARG(where(x, v->span)), STR_ARG(from->name));
    explain_access_print(x, &x->e.port);
    if (x->e.let_in) {
        print_session(x);
    }
}

/* What is not told of a certificate is taken for one that changes least. */
static const char *certificate_text(const struct explaining *x,
                                    const struct tls_policy *t)
{
    bool must = t->peer == TLS_PEER_MUST;

    if (x->e.verified) {
        return must ? "of the client, must verify: verified, with the subject given"
                    : "of the client, asked for: verified, with the subject given";
    }
    return must ? "of the client, must verify: taken for verified"
                : "of the client, asked for: taken for none";
}

static void print_certificate(const struct explaining *x)
{
    const struct channel *on = x->e.name.to;
    const struct tls_policy *t = &on->tls_server;

    if (x->e.in_tls && t->peer != TLS_PEER_NO) {
        bool would = on->tls_peer_switch && t->peer == TLS_PEER_MUST && !x->e.verified;
        print_row("certificate", "%s   %.*s%s", certificate_text(x, t),
                  STR_ARG(where(x, t->peer_at)),
                  would ? "; then it would also switch (tlspeerswitchchannel)" : "");
    }
}

static void print_session(const struct explaining *x)
{
    const struct service *v = x->request.service;
    const struct channel *on = x->e.name.to;
    str starttls = setting_text(x->c->arena, x->c->snapshot, &x->e.starttls);

    print_switch(x, "  switch", &x->e.ip);
    if (x->e.name_counts || x->request.client_name.len > 0) {
        print_switch(x, "  by name", &x->e.name);
    }
    if (v->implicit_tls) {
        print_row("TLS", "from the first byte: TLS_PORT");
    } else {
        static const char *const offers[] = {[TLS_LEVEL_NO] = "not offered",
                                             [TLS_LEVEL_MAY] = "offered",
                                             [TLS_LEVEL_MUST] = "required"};
        print_row("STARTTLS", "%s: %.*s", offers[on->tls_server.level],
                  STR_ARG(starttls));
    }
    print_certificate(x);
    explain_access_print(x, &x->e.handshake.access);
    explain_access_print(x, &x->e.handshake.peer_access);
    print_switch(x, "  switch", &x->e.tls);
}

static void print_route(const struct explaining *x)
{
    const struct route *r = &x->e.route;
    struct arena *a = x->c->arena;
    bool rule = r->rule.source != 0;
    struct span at = rule ? r->rule : r->host;

    if (at.source != 0) {
        print_row(rule ? "  rule" : "  host table", "%.*s   %.*s%s%.*s",
                  STR_ARG(where(x, at)),
                  STR_ARG(text_written(a, x->c->snapshot->sources, at)),
                  r->channel ? "   channel " : "",
                  STR_ARG(r->channel ? r->channel->name : STR("")));
    }
    if (r->channel) {
        print_row("  rewritten", "%.*s", STR_ARG(address_print(a, &r->address)));
    } else {
        str error = text_plain(a, r->error);
        print_row("  no route", "%u.%u.%u %.*s", r->status[0], r->status[1], r->status[2],
                  STR_ARG(error));
    }
}

static void print_relay(const struct explaining *x)
{
    static const char *const how[] = {
        [EXPLAINED_RELAY_NOT_ASKED] = "not asked",
        [EXPLAINED_RELAY_ACCEPTED] = "accepted",
        [EXPLAINED_RELAY_REFUSED] = "refused",
        [EXPLAINED_RELAY_WOULD] = "would be refused",
    };
    bool known = x->e.relay_at.source != 0;

    if (x->e.relay.len > 0) {
        print_row("  relay", "%s: %.*s%s%.*s", how[x->e.relay_how], STR_ARG(x->e.relay),
                  known ? "   " : "", STR_ARG(known ? where(x, x->e.relay_at) : STR("")));
    }
}

/* The tables for what the client gave, the relay rule, the tables for what came of it:
 * in the order of tables/recipient.c. */
static void print_recipient_access(const struct explaining *x)
{
    const struct recipient_access *a = x->e.access;

    for (; a && !a->of_leaf; a = a->next) {
        explain_access_print(x, &a->verdict);
    }
    print_relay(x);
    for (; a; a = a->next) {
        explain_access_print(x, &a->verdict);
    }
}

static void print_mail(const struct explaining *x)
{
    if (x->e.from.asked || x->e.access) {
        print_row("MAIL FROM", "<%.*s>",
                  STR_ARG(address_print(x->c->arena, &x->request.sender)));
        explain_access_print(x, &x->e.from);
    }
}

static void print_delivery(const struct explaining *x)
{
    const struct explained_delivery *d = &x->e.delivery;
    const struct channel_opts *o = &x->e.leaf.channel->opts;
    str tls = setting_text(x->c->arena, x->c->snapshot, &d->tls);

    print_row("delivery", "%s%.*s, port %u%s", d->mx ? "MX of " : "", STR_ARG(d->host),
              o->port,
              o->mx == MX_MODE_HOSTS ? ", without DNS: the hosts file (nodns)" : "");
    if (o->lastresort.len > 0) {
        print_row("  else", "%.*s, when no host could be reached   %.*s",
                  STR_ARG(o->lastresort), STR_ARG(where(x, o->lastresort_at)));
    }
    if (d->ip_known) {
        explain_access_print(x, &d->ip);
    } else if (d->ip.asked) {
        print_row("  IP_ACCESS", "asked for each address: %.*s",
                  STR_ARG(text_plain(x->c->arena, d->ip.probe)));
    }
    const struct tls_policy *t = &x->e.leaf.channel->tls_client;
    print_row("  TLS", "%-4s   %.*s", tls_level_name(t->level), STR_ARG(tls));
    if (t->level != TLS_LEVEL_NO && t->verify != TLS_VERIFY_NO) {
        print_row("  verify", "%-4s   %.*s", tls_verify_name(t->verify),
                  STR_ARG(where(x, t->verify_at)));
    }
}

static void print_expansion(const struct explaining *x)
{
    if (x->e.expansion.count > 1 || x->e.verdict == RECIPIENT_ALIAS) {
        print_row("aliases", "and FORWARD:");
        expansion_print(x->c->snapshot, x->c->arena, &x->e.expansion);
    }
}

static void print_text(const struct explaining *x)
{
    const char *bold = x->in->colour ? "\033[1m" : "";
    const char *end = x->in->colour ? "\033[0m" : "";

    print_connection(x);
    print_mail(x);
    print_row("recipient", "%.*s", STR_ARG(address_print(x->c->arena, &x->request.to)));
    if (x->e.asked) {
        print_route(x);
        print_recipient_access(x);
        print_expansion(x);
    }
    if (x->e.delivery.host.len > 0) {
        print_delivery(x);
    }
    explain_sender_text(x);
    for (size_t i = 0; i < x->notes.n; i++) {
        print_row("NOT HONOURED", "%.*s", STR_ARG(x->notes.at[i]));
    }
    for (size_t i = 0; i < x->guesses.n; i++) {
        print_row("NOT TOLD", "%.*s", STR_ARG(x->guesses.at[i]));
    }
    printf("%-12s %s%.*s%s\n", "verdict", bold, STR_ARG(x->e.summary), end);
}

/* ---- the command --------------------------------------------------------------- */

static bool read_recipient(struct explaining *x)
{
    const char *text = x->in->args[0];
    const char *reason = address_read(str_from(text), &x->request.to);

    if (reason) {
        fprintf(stderr, "pointsman: the address '%s' %s\n", text, reason);
    }
    return reason == NULL;
}

static bool read_client(struct explaining *x)
{
    const char *ip = x->in->options.from_ip;
    struct address sender;
    str literal;

    if (!ip) {
        fputs("pointsman: explain needs --from-ip: the channel and the trust of a client "
              "depend on its address\n",
              stderr);
        return false;
    }
    if (!literal_from_ip(x->c->arena, str_from(ip), &literal)) {
        fprintf(stderr, "pointsman: '%s' is no IP address\n", ip);
        return false;
    }
    const char *text = x->in->options.sender;
    const char *reason =
        text ? address_parse(address_bare(str_from(text)), &sender) : NULL;
    if (!reason && text) {
        x->request.sender = sender;
    }
    if (reason) {
        fprintf(stderr, "pointsman: the sender '%s' %s\n", text, reason);
    }
    const char *client = x->in->options.from_name ? x->in->options.from_name : "";
    if (*client && !domain_name_ok(str_from(client))) {
        fprintf(stderr, "pointsman: '%s' is no host name\n", client);
        return false;
    }
    x->request.client_ip = str_from(ip);
    x->request.client_name = str_from(client);
    x->request.client_port = CLIENT_PORT;
    x->request.helo = str_from(x->in->options.helo ? x->in->options.helo : client);
    if (x->request.helo.len == 0) {
        x->request.helo = literal;
    }
    return reason == NULL;
}

/* The end of the connection that is ours. */
static bool read_server(struct explaining *x)
{
    const char *given = x->in->options.server_ip;
    str client = x->request.client_ip, literal;

    if (given && !literal_from_ip(x->c->arena, str_from(given), &literal)) {
        fprintf(stderr, "pointsman: '%s' is no IP address\n", given);
        return false;
    }
    if (given) {
        x->request.server_ip = str_from(given);
    } else if (x->request.service->interface_address.len > 0) {
        x->request.server_ip = x->request.service->interface_address;
    } else if (str_starts(client, STR("127.")) || str_eq(client, STR("::1"))) {
        x->request.server_ip = client;
    } else {
        x->request.server_ip = str_find(client, ':') >= 0 ? STR("::") : STR("0.0.0.0");
    }
    return true;
}

/* Is there a service of that name? Else says so, with the nearest one. */
static bool service_exists(const struct snapshot *s, const char *name)
{
    const struct service *near = NULL;
    unsigned limit = 2;
    for (unsigned i = 0; i < s->service_count; i++) {
        if (str_ieq(s->services[i].name, str_from(name))) {
            return true;
        }
        unsigned distance = str_distance(s->services[i].name, str_from(name), limit);
        if (distance <= limit) {
            near = &s->services[i];
            limit = distance;
        }
    }
    fprintf(stderr, "pointsman: there is no service '%s'", name);
    if (near) {
        fprintf(stderr, "; did you mean '%.*s'?", STR_ARG(near->name));
    }
    fputc('\n', stderr);
    return false;
}

static bool find_service(struct explaining *x)
{
    const char *name = x->in->options.service;
    const struct snapshot *s = x->c->snapshot;

    x->request.service = explanation_service(s, name, x->request.client_ip);
    if (x->request.service) {
        return true;
    }
    if (s->service_count == 0) {
        fputs("pointsman: there is no service in dispatcher.cnf: nobody can connect\n",
              stderr);
    } else if (!name || service_exists(s, name)) {
        fprintf(stderr, "pointsman: no service%s%s takes a connection from %.*s\n",
                name ? " " : "", name ? name : "", STR_ARG(x->request.client_ip));
    }
    return false;
}

static str given(const char *text)
{
    return str_from(text ? text : "");
}

static void read_handshake(struct explaining *x)
{
    const struct tool_options *o = &x->in->options;

    x->request.version = given(o->handshake.version);
    x->request.cipher = given(o->handshake.cipher);
    x->request.group = given(o->handshake.group);
    x->request.sni = given(o->handshake.sni);
    x->request.subject = given(o->handshake.subject);
    x->request.issuer = given(o->handshake.issuer);
    x->request.spki = given(o->handshake.spki);
}

int cmd_explain(const struct invocation *in)
{
    struct configuration c;
    struct explaining x = {.in = in, .c = &c};
    int code = TOOL_USAGE;

    if (!configuration_need(&c, in)) {
        return TOOL_USAGE;
    }
    x.request.snapshot = c.snapshot;
    x.request.tls = in->options.tls;
    read_handshake(&x);
    if (read_recipient(&x) && read_client(&x) && find_service(&x) && read_server(&x)) {
        explanation_make(&x.request, c.arena, &x.e);
        collect_notes(&x);
        collect_guesses(&x);
        if (in->options.json) {
            explain_json(&x);
        } else {
            print_text(&x);
        }
        code = x.e.refused ? TOOL_NO : TOOL_OK;
    }
    configuration_free(&c);
    return code;
}
