/* explain: one recipient offered by one client, from the connection to the next hop. The
 * steps come from explanation.c; here they are printed. */
#include "base/vec.h"
#include "tables/pattern.h"
#include "tools/addresses.h"
#include "tools/configuration.h"
#include "tools/explanation.h"
#include "tools/record.h"
#include "tools/text.h"

typedef VEC(str) note_list;

struct explaining {
    const struct invocation *in;
    const struct configuration *c;
    struct explanation_request request;
    struct explanation e;
    note_list notes; /* what the configuration asks for and nobody looks at yet */
};

/* ---- what is not looked at yet ----------------------------------------------------- */

static void note_add(struct explaining *x, str text)
{
    *vec_add(x->c->arena, &x->notes) = text;
}

/* Does the message speak of a channel this mail goes through? */
static bool concerns(const struct explaining *x, struct span at)
{
    const struct snapshot *s = x->c->snapshot;
    const struct channel *const channels[] = {x->e.ip.from, x->e.name.to, x->e.source,
                                              x->e.route.channel};

    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        if (channels[i] && channel_wrote(s, channels[i], at)) {
            return true;
        }
    }
    return false;
}

static void collect_notes(struct explaining *x)
{
    const struct route *r = &x->e.route;

    for (const struct diag *d = diags_first(x->c->diags); d; d = d->next) {
        bool table = strcmp(d->slug, "unhonoured-mapping") == 0;
        bool word = strcmp(d->slug, "unhonoured-keyword") == 0 && concerns(x, d->span);
        if (table || word || strcmp(d->slug, "unhonoured-restriction") == 0) {
            str where = text_column(x->c->arena, x->c->snapshot->sources, d->span);
            note_add(x, arena_printf(x->c->arena, "%.*s: %.*s", STR_ARG(where),
                                     STR_ARG(d->text)));
        }
    }
    if (r->channel && r->channel->type == CHANNEL_LOCAL) {
        note_add(x, STR("aliases are not looked up yet: the address is a mailbox"));
    }
    if (x->in->options.auth) {
        note_add(x, STR("AUTH is not honoured yet: it is not offered, switches no "
                        "channel and makes nobody trusted"));
    }
    if (x->in->options.sender) {
        note_add(x, STR("the sender decides nothing yet: it is looked at in *_ACCESS "
                        "tables, and none is honoured"));
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

static void print_connection(const struct explaining *x)
{
    const struct service *v = x->request.service;
    const struct channel *from = x->e.ip.from, *on = x->e.name.to;
    str starttls = setting_text(x->c->arena, x->c->snapshot, &x->e.starttls);

    print_row("connection", "%.*s on service %.*s, port %u (%.*s)   channel %.*s",
              STR_ARG(x->request.client_ip), STR_ARG(v->name), v->port,
              STR_ARG(where(x, v->span)), STR_ARG(from->name));
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
        print_row("STARTTLS", "%s: %.*s", offers[on->opts.tls_server], STR_ARG(starttls));
    }
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
    if (x->e.relay.len > 0) {
        bool known = x->e.relay_at.source != 0;
        print_row("  relay", "%s: %.*s%s%.*s", x->e.refused ? "refused" : "accepted",
                  STR_ARG(x->e.relay), known ? "   " : "",
                  STR_ARG(known ? where(x, x->e.relay_at) : STR("")));
    }
}

static void print_delivery(const struct explaining *x)
{
    const struct explained_delivery *d = &x->e.delivery;
    const struct channel_opts *o = &x->e.route.channel->opts;
    str tls = setting_text(x->c->arena, x->c->snapshot, &d->tls);

    print_row("delivery", "%s%.*s, port %u%s", d->mx ? "MX of " : "", STR_ARG(d->host),
              o->port,
              o->mx == MX_MODE_HOSTS ? ", without DNS: the hosts file (nodns)" : "");
    if (o->lastresort.len > 0) {
        print_row("  else", "%.*s, when no host could be reached   %.*s",
                  STR_ARG(o->lastresort), STR_ARG(where(x, o->lastresort_at)));
    }
    print_row("  TLS", "%-4s   %.*s", tls_level_name(o->tls_client), STR_ARG(tls));
}

static void print_text(const struct explaining *x)
{
    const char *bold = x->in->colour ? "\033[1m" : "";
    const char *end = x->in->colour ? "\033[0m" : "";

    print_connection(x);
    print_row("recipient", "%.*s", STR_ARG(address_print(x->c->arena, &x->request.to)));
    if (x->e.asked) {
        print_route(x);
    }
    if (x->e.delivery.host.len > 0) {
        print_delivery(x);
    }
    for (size_t i = 0; i < x->notes.n; i++) {
        print_row("NOT HONOURED", "%.*s", STR_ARG(x->notes.at[i]));
    }
    printf("%-12s %s%.*s%s\n", "verdict", bold, STR_ARG(x->e.summary), end);
}

/* ---- JSON ---------------------------------------------------------------------- */

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

static void record_session(const struct explaining *x, struct record *out)
{
    const struct service *v = x->request.service;

    record_open(out, "service", '{');
    record_str(out, "name", v->name);
    record_str(out, "interface_address", v->interface_address);
    record_uint(out, "port", v->port);
    record_bool(out, "implicit_tls", v->implicit_tls);
    record_at(x, out, v->span);
    record_close(out, '}');
    record_switch(x, out, "ip_switch", &x->e.ip);
    record_switch(x, out, "name_switch", &x->e.name);
    record_setting(x, out, "starttls", x->e.name.to->opts.tls_server, &x->e.starttls);
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
    const struct channel_opts *o = &x->e.route.channel->opts;
    record_open(out, "delivery", '{');
    record_str(out, "next_hop", d->host);
    record_bool(out, "mx", d->mx);
    record_uint(out, "port", o->port);
    record_str(out, "last_resort", o->lastresort.len > 0 ? o->lastresort : STR_NONE);
    record_setting(x, out, "tls", o->tls_client, &d->tls);
    record_close(out, '}');
}

static void print_json(const struct explaining *x)
{
    struct record out;

    record_begin(&out);
    record_str(&out, "address", address_print(x->c->arena, &x->request.to));
    record_str(&out, "from_ip", x->request.client_ip);
    record_session(x, &out);
    record_route(x, &out);
    record_delivery(x, &out);
    record_open(&out, "not_honoured", '[');
    for (size_t i = 0; i < x->notes.n; i++) {
        record_str(&out, NULL, x->notes.at[i]);
    }
    record_close(&out, ']');
    record_str(&out, "verdict", x->e.summary);
    record_print(&out);
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
    return reason == NULL;
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
    } else {
        fprintf(stderr, "pointsman: no service%s%s takes a connection from %.*s\n",
                name ? " " : "", name ? name : "", STR_ARG(x->request.client_ip));
    }
    return false;
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
    if (read_recipient(&x) && read_client(&x) && find_service(&x)) {
        explanation_make(&x.request, c.arena, &x.e);
        collect_notes(&x);
        if (in->options.json) {
            print_json(&x);
        } else {
            print_text(&x);
        }
        code = x.e.refused ? TOOL_NO : TOOL_OK;
    }
    configuration_free(&c);
    return code;
}
