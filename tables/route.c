/* route: from an address to its channel: the iteration of PMDF 2.2.3 around one
 * look-up of rewrite.c, then proper names, the switches and the next hop. */
#include "tables/route.h"

#include "tables/hostspec.h"
#include "tables/pattern.h"
#include "tables/rewrite.h"

/* Passes over one address: repeat rules and local stripping together. */
enum { ROUTE_PASSES_MAX = 32, SMTP_PORT = 25 };

struct routing {
    const struct snapshot *snapshot;
    const struct rewrite_context *ctx;
    struct rewrite_trace *trace;
    struct arena *arena;
    struct address address;              /* as it stands in this pass */
    struct rewrite_state state;          /* tag and error text, for all passes */
    enum bang_percent order;             /* of the source channel */
    struct span rules[ROUTE_PASSES_MAX]; /* that applied, pass by pass */
    unsigned passes;
    bool special_done; /* $% or $! was tried */
    bool nameless;     /* a host without a local part (IP switch) */
    bool for_anybody;  /* only rules that take whoever it is applied so far */
    bool renamed;      /* and one of them gave everybody another host */
    struct route *out;
};

static void route_fail(struct route *out, unsigned class, unsigned subject,
                       unsigned detail, str error)
{
    out->channel = NULL;
    out->error = error;
    out->status[0] = class;
    out->status[1] = subject;
    out->status[2] = detail;
}

/* Does a route through a host of this channel come to nothing, because it is here? */
static bool channel_strips(const struct snapshot *s, const struct channel *c)
{
    return c == s->channels[0] || c->type == CHANNEL_LOCAL || c->opts.routelocal;
}

static bool has_more_hosts(struct routing *r, const struct address *addr)
{
    struct hostspec next;

    hostspec_extract(r->arena, addr, r->order, &next);
    return next.kind != HOSTSPEC_NONE;
}

/* A bare local part belongs to the local channel. */
static void route_local(struct routing *r)
{
    const struct snapshot *s = r->snapshot;
    const struct host_entry *entry = snapshot_host(s, s->local_host);

    r->out->channel = s->channels[0];
    r->out->address = r->address;
    r->out->address.domain = s->local_host;
    r->out->routing_host = s->local_host;
    r->out->host = entry ? entry->span : s->channels[0]->span;
    r->out->line = entry;
}

/* ---- errors -------------------------------------------------------------------- */

static bool spec_in_local_part(const struct hostspec *spec)
{
    return spec->kind == HOSTSPEC_PERCENT || spec->kind == HOSTSPEC_BANG;
}

/* The words of the dialect, and what they are about. */
static void route_unknown_host(struct routing *r, const struct hostspec *spec, str host)
{
    const char *words = r->snapshot->options.dialect == DIALECT_IMTA
                            ? "unknown host or domain"
                            : "illegal host/domain specified";
    str via = STR("");

    if (!str_ieq(host, spec->host)) {
        via = arena_printf(r->arena, " (for '%.*s')", STR_ARG(spec->host));
    }
    route_fail(r->out, 5, 1, 2,
               arena_printf(r->arena, "%s: '%.*s'%s%.*s", words, STR_ARG(host),
                            spec_in_local_part(spec) ? " in the local part" : "",
                            STR_ARG(via)));
}

/* The host leads nowhere: the text of a rule says so, or we do. */
static void route_nowhere(struct routing *r, const struct hostspec *spec, str host)
{
    const struct rewrite_state *state = &r->state;

    if (state->error.ptr && state->error.len > 0) {
        route_fail(r->out, state->status[0], state->status[1], state->status[2],
                   state->error);
        return;
    }
    route_unknown_host(r, spec, host);
    if (state->error.ptr) { /* $n? without a text */
        memcpy(r->out->status, state->status, sizeof state->status);
    }
}

static void route_bad_rule(struct routing *r, const struct rule_record *rule, str reason)
{
    str where = span_text(r->arena, r->snapshot->sources, rule_span(rule));

    route_fail(r->out, 5, 3, 5,
               arena_printf(r->arena, "rewrite rule %.*s made %.*s", STR_ARG(where),
                            STR_ARG(reason)));
}

static bool span_eq(struct span a, struct span b)
{
    return a.source == b.source && a.offset == b.offset;
}

/* Names the rules that go round, from the last pass back to where it began. */
static void route_loop(struct routing *r)
{
    enum { NAMED_MAX = 4 };
    str names = STR("");
    unsigned last = r->passes - 1, named = 0;

    for (unsigned i = 0; i < last && named < NAMED_MAX; i++) {
        struct span rule = r->rules[last - i];
        if (i > 0 && span_eq(rule, r->rules[last])) {
            break;
        }
        if (rule.source != 0) {
            str where = span_text(r->arena, r->snapshot->sources, rule);
            names = arena_printf(r->arena, "%.*s%s%.*s", STR_ARG(where),
                                 names.len > 0 ? ", " : "", STR_ARG(names));
            named++;
        }
    }
    route_fail(r->out, 5, 4, 6,
               arena_printf(r->arena, "rewrite rules loop: no end after %d passes (%.*s)",
                            ROUTE_PASSES_MAX, STR_ARG(names)));
}

/* ---- one pass ------------------------------------------------------------------ */

/* Puts the source route of a rule before what the address has. */
static void add_source_route(struct routing *r, str host, struct address *made)
{
    if (host.len > 0) {
        made->route = arena_printf(r->arena, "@%.*s%s%.*s", STR_ARG(host),
                                   made->route.len > 0 ? "," : "", STR_ARG(made->route));
    }
}

/* Makes what the rule made the address of this pass. */
static bool route_replace(struct routing *r, const struct hostspec *spec,
                          const struct rewrite_found *found)
{
    struct address made, parsed;
    const char *reason =
        hostspec_replace(r->arena, spec, found->user, found->domain, &made);

    if (!reason && made.local.len == 0) {
        reason = r->nameless ? NULL : "its local part is empty";
    } else if (!reason) { /* it travels in envelopes and logs: it must parse back */
        add_source_route(r, found->source_route, &made);
        reason = address_parse(address_print(r->arena, &made), &parsed);
    }
    if (!reason && made.local.len > 0 && !address_eq(&made, &parsed)) {
        reason = "its local part reads like a source route";
    }
    if (reason && !found->rule) {
        route_fail(r->out, 5, 1, 3,
                   arena_printf(r->arena, "no address is left: %s", reason));
        return false;
    }
    if (reason) {
        route_bad_rule(r, found->rule, arena_printf(r->arena, "no address: %s", reason));
        return false;
    }
    r->address = made;
    return true;
}

enum pass { PASS_AGAIN, PASS_END };

static enum pass route_found(struct routing *r, const struct hostspec *spec,
                             const struct rewrite_found *found);

static struct rewrite_query route_query(struct routing *r, const struct hostspec *spec)
{
    return (struct rewrite_query){.snapshot = r->snapshot,
                                  .ctx = r->ctx,
                                  .spec = spec,
                                  .address = &r->address,
                                  .state = &r->state,
                                  .trace = r->trace,
                                  .arena = r->arena};
}

/* A host that is in no table. One behind a '%' or before a '!' has another chance: the
 * rules for $% and $!, and then the user of that whole name here, which is what PMDF
 * makes of it (2.2.4.1) but a hole for relaying: only where the site wants it. */
static enum pass route_unresolved(struct routing *r, const struct hostspec *spec,
                                  str host)
{
    struct rewrite_query q = route_query(r, spec);
    struct rewrite_found found;
    enum pattern_kind kind =
        spec->kind == HOSTSPEC_PERCENT ? PATTERN_PERCENT : PATTERN_BANG;

    if (!spec_in_local_part(spec)) {
        route_nowhere(r, spec, host);
        return PASS_END;
    }
    if (!r->special_done) {
        r->special_done = true;
        if (rewrite_match_special(&q, kind, &found)) {
            return route_found(r, spec, &found);
        }
    }
    if (r->snapshot->options.percent_bang_local == 1 && !r->state.error.ptr) {
        route_local(r);
    } else {
        route_nowhere(r, spec, host);
    }
    return PASS_END;
}

/* The rule (or none) gave a routing host: channel, local stripping, or an error. */
static enum pass route_to_host(struct routing *r, const struct hostspec *spec,
                               const struct rewrite_found *found)
{
    const struct snapshot *s = r->snapshot;
    const struct host_entry *entry = snapshot_host(s, found->routing_host);

    if (!entry) {
        return route_unresolved(r, spec, found->routing_host);
    }
    if (channel_strips(s, entry->channel)) {
        struct address rest = hostspec_strip(&r->address, spec);
        if (has_more_hosts(r, &rest)) {
            r->address = rest;
            return PASS_AGAIN;
        }
    }
    /* as is, but a percent or bang host becomes the domain it stands for */
    if (!route_replace(r, spec, found)) {
        return PASS_END;
    }
    r->out->channel = entry->channel;
    r->out->address = r->address;
    r->out->routing_host = found->routing_host;
    r->out->host = entry->span;
    r->out->line = entry;
    return PASS_END;
}

/* Does the rule say nothing about who it is? Those are "." and "$*", and "[]" where it
 * only leads on to other rules, without asking a table. */
static bool takes_anybody(const struct snapshot *s, const struct rewrite_found *found)
{
    if (!found->rule) {
        return false;
    }
    switch ((enum pattern_kind)found->rule->kind) {
    case PATTERN_ALL:
    case PATTERN_FIRST:
        return true;
    case PATTERN_LITERAL_ANY:
    case PATTERN_LITERAL_STARS:
        return found->result == REWRITE_REPEAT &&
               !(rule_template(s->rules, found->rule).traits & TEMPLATE_CALLS);
    default:
        return false;
    }
}

/* Once everybody has been given one name, a rule for that name is for everybody, too. */
static void note_anybody(struct routing *r, const struct hostspec *spec,
                         const struct rewrite_found *found)
{
    bool anybody = takes_anybody(r->snapshot, found);

    r->for_anybody &= anybody || r->renamed;
    r->renamed |= r->for_anybody && found->result == REWRITE_REPEAT &&
                  !str_ieq(found->domain, spec->host);
}

/* What a look-up came to. */
static enum pass route_found(struct routing *r, const struct hostspec *spec,
                             const struct rewrite_found *found)
{
    r->out->rule = found->rule ? rule_span(found->rule) : SPAN_NONE;
    r->rules[r->passes - 1] = r->out->rule;
    note_anybody(r, spec, found);
    switch (found->result) {
    case REWRITE_BAD:
        /* the IP switch asks for the channel only, nobody sees its address */
        if (r->nameless && found->routing_host.len > 0) {
            return route_to_host(r, spec, found);
        }
        route_bad_rule(r, found->rule, found->reason);
        return PASS_END;
    case REWRITE_REPEAT:
        return route_replace(r, spec, found) ? PASS_AGAIN : PASS_END;
    default:
        return route_to_host(r, spec, found);
    }
}

static enum pass route_pass(struct routing *r)
{
    struct hostspec spec;
    struct rewrite_found found;

    hostspec_extract(r->arena, &r->address, r->order, &spec);
    if (spec.kind == HOSTSPEC_NONE) {
        route_local(r);
        return PASS_END;
    }
    if (!domain_name_ok(spec.host) && !domain_literal_ok(spec.host)) {
        if (spec_in_local_part(&spec)) {
            return route_unresolved(r, &spec, spec.host);
        }
        route_fail(r->out, 5, 1, 2,
                   arena_printf(r->arena, "'%.*s' is no host name", STR_ARG(spec.host)));
        return PASS_END;
    }
    struct rewrite_query q = route_query(r, &spec);
    rewrite_match(&q, &found);
    return route_found(r, &spec, &found);
}

static enum bang_percent source_order(const struct snapshot *s,
                                      const struct rewrite_context *ctx)
{
    const struct channel *c = ctx->source;

    if (!c && s->channel_count > 0) {
        c = s->channels[0];
    }
    return c ? c->opts.bang_percent : PERCENT_OVER_BANG;
}

/* Rewriting without what only envelope To gets afterwards. True when something more
 * specific than rules for anybody had a part in it. */
static bool route_resolve(const struct snapshot *s, const struct rewrite_context *ctx,
                          const struct address *addr, bool want_steps, struct arena *a,
                          struct route *out)
{
    struct rewrite_trace trace = {.first = NULL};
    struct routing r = {.snapshot = s,
                        .ctx = ctx,
                        .trace = want_steps ? &trace : NULL,
                        .arena = a,
                        .address = *addr,
                        .state = {.tag = STR(""), .error = STR_NONE},
                        .order = source_order(s, ctx),
                        .nameless = addr->local.len == 0,
                        .for_anybody = true,
                        .out = out};

    trace.end = &trace.first;
    *out = (struct route){.routing_host = STR(""), .error = STR("")};
    for (r.passes = 1; route_pass(&r) == PASS_AGAIN; r.passes++) {
        if (r.passes == ROUTE_PASSES_MAX) {
            route_loop(&r);
            break;
        }
    }
    out->steps = trace.first;
    return !r.for_anybody;
}

void route_proper_name(struct arena *a, struct route *out)
{
    const struct host_entry *line = out->line;
    bool routed = out->address.route.len > 0;
    str host = out->address.domain, rest = STR("");

    if (routed) {
        hostspec_route_first(out->address.route, &host, &rest);
    }
    if (!line || !str_ieq(host, line->host) ||
        str_ieq(host, line->channel->official_host)) {
        return;
    }
    str proper =
        line->proper_name.len > 0 ? line->proper_name : line->channel->official_host;
    if (routed) {
        out->address.route = arena_printf(a, "@%.*s%s%.*s", STR_ARG(proper),
                                          rest.len > 0 ? "," : "", STR_ARG(rest));
    } else {
        out->address.domain = proper;
    }
}

void route_rewrite(const struct snapshot *s, const struct rewrite_context *ctx,
                   const struct address *addr, bool want_steps, struct arena *a,
                   struct route *out)
{
    route_resolve(s, ctx, addr, want_steps, a, out);
    if (out->channel && ctx->form == ROUTE_ENVELOPE && ctx->direction == ROUTE_FORWARD) {
        route_proper_name(a, out);
    }
}

bool route_envelope_to(const struct snapshot *s, const struct channel *source,
                       const struct address *addr, struct arena *a, struct route *out)
{
    struct rewrite_context ctx = {source, ROUTE_FORWARD, ROUTE_ENVELOPE, NULL};

    if (addr->local.len == 0) {
        *out = (struct route){.routing_host = STR("")};
        route_fail(out, 5, 1, 3, STR("the recipient has no local part"));
        return false;
    }
    route_resolve(s, &ctx, addr, false, a, out);
    if (out->channel && out->channel->type == CHANNEL_UNSUPPORTED) {
        str name = out->channel->name;
        route_fail(out, 5, 3, 2,
                   arena_printf(a, "channel '%.*s' is of a kind that is not served yet",
                                STR_ARG(name)));
    }
    return out->channel != NULL;
}

/* Where a client leads that is this host: a backward-pointing envelope address without a
 * local part. NULL: nowhere, or to `from`. A rule for anybody leads
 * nowhere. */
static const struct channel *client_channel(const struct snapshot *s,
                                            const struct channel *from, str host,
                                            struct arena *a, struct span *rule)
{
    struct rewrite_context ctx = {from, ROUTE_BACKWARD, ROUTE_ENVELOPE, NULL};
    struct address addr = {.route = STR(""), .local = STR(""), .domain = host};
    struct route found;

    if (!route_resolve(s, &ctx, &addr, false, a, &found) || found.channel == from) {
        return NULL;
    }
    *rule = found.rule.source != 0 ? found.rule : found.host;
    return found.channel;
}

const struct channel *route_ip_switch(const struct snapshot *s,
                                      const struct channel *from, str client_ip,
                                      struct arena *a, struct span *rule)
{
    str literal;
    struct span at;

    *rule = SPAN_NONE;
    if (from->opts.ip_switch != IP_SWITCH_START ||
        !literal_from_ip(a, client_ip, &literal)) {
        return from;
    }
    const struct channel *to = client_channel(s, from, literal, a, &at);
    if (!to || to->opts.ip_switch == IP_SWITCH_NO) {
        return from;
    }
    *rule = at;
    return to;
}

bool route_name_counts(const struct snapshot *s, const struct channel *from,
                       str client_ip, struct arena *a)
{
    str literal;
    struct span at;

    if (from->opts.ip_switch != IP_SWITCH_START ||
        (from->opts.ident != IDENT_FULL && from->opts.ident != IDENT_SYMBOLIC)) {
        return false;
    }
    return !literal_from_ip(a, client_ip, &literal) ||
           !client_channel(s, from, literal, a, &at);
}

const struct channel *route_name_switch(const struct snapshot *s,
                                        const struct channel *from, str client_name,
                                        struct arena *a, struct span *rule)
{
    struct span at;

    *rule = SPAN_NONE;
    if (!domain_name_ok(client_name)) {
        return from;
    }
    const struct channel *to = client_channel(s, from, client_name, a, &at);
    if (!to || to->opts.ip_switch == IP_SWITCH_NO || to->type != CHANNEL_TCP) {
        return from;
    }
    *rule = at;
    return to;
}

str route_next_hop(const struct channel *c, const struct address *addr)
{
    str host = addr->domain, rest;

    if (c->type != CHANNEL_TCP) {
        return STR("");
    }
    if (str_ieq(c->opts.daemon, STR("router"))) {
        return c->official_host;
    }
    if (c->opts.daemon.len > 0) {
        return c->opts.daemon;
    }
    if (addr->route.len > 0) {
        hostspec_route_first(addr->route, &host, &rest);
    }
    return host;
}

bool route_wants_mx(const struct channel *c)
{
    switch (c->opts.mx) {
    case MX_MODE_DEFAULT:
        return c->opts.port == SMTP_PORT && c->opts.protocol != PROTOCOL_LMTP;
    case MX_MODE_YES:
    case MX_MODE_IN_ORDER:
        return true;
    case MX_MODE_NO:
    case MX_MODE_HOSTS:
        break;
    }
    return false;
}
