/* explain: one recipient offered by one client, from the connection to the next hop. The
 * steps come from explanation.c; here they are asked for and printed as text. */
#include "tables/pattern.h"
#include "tools/addresses.h"
#include "tools/explain.h"
#include "tools/text.h"

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
    explain_sender_text(x);
    for (size_t i = 0; i < x->notes.n; i++) {
        print_row("NOT HONOURED", "%.*s", STR_ARG(x->notes.at[i]));
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
            explain_json(&x);
        } else {
            print_text(&x);
        }
        code = x.e.refused ? TOOL_NO : TOOL_OK;
    }
    configuration_free(&c);
    return code;
}
