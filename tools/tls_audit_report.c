/* tls audit: the weakest that each channel gives each class of next hops, or that mail
 * for one domain can get, as text or JSON; and whether that is what was asked for. */
#include "base/address.h"
#include "tables/route.h"
#include "tables/tls_audit.h"
#include "tools/configuration.h"
#include "tools/record.h"
#include "tools/text.h"
#include "tools/tls_report.h"

struct auditing {
    const struct invocation *in;
    const struct snapshot *s;
    struct arena *arena;
    const struct channel *channel;
    bool required;
    enum tls_outcome least; /* when required */
    unsigned told, below;
    struct tls_weakest worst; /* of everything */
    bool any, by_mx;
};

/* One line of the answer. */
struct row {
    str channel; /* ptr NULL: any */
    str hosts;
    str recipient; /* ptr NULL: the question is about a channel */
    struct tls_weakest weakest;
    struct span way, by; /* SPAN_NONE: not told */
    bool by_mx;          /* the host that is meant is whom an MX answer names */
    const char *unknown; /* why it is assumed, or NULL */
    struct span unknown_at;
};

static str where(const struct auditing *a, struct span at)
{
    return at.source == 0 ? STR("built in") : snapshot_where(a->arena, a->s, at);
}

static void print_text(const struct auditing *a, const struct row *r, bool below)
{
    str outcome = arena_printf(a->arena, "%s%s", tls_outcome_name(r->weakest.outcome),
                               r->by_mx ? "*" : "");
    printf("%c %-16.*s %-28.*s %-7.*s %.*s\n", below ? '!' : ' ',
           STR_ARG(r->channel.ptr ? r->channel : STR("(any)")), STR_ARG(r->hosts),
           STR_ARG(outcome), STR_ARG(where(a, r->weakest.at)));
    if (r->by.source != 0) {
        printf("    for %.*s, from %.*s\n", STR_ARG(text_plain(a->arena, r->recipient)),
               STR_ARG(where(a, r->by)));
    }
    if (r->way.source != 0) {
        printf("    by %.*s   %.*s\n", STR_ARG(where(a, r->way)),
               STR_ARG(text_written(a->arena, a->s->sources, r->way)));
    }
    if (r->unknown) {
        printf("    assumed: %.*s: %s\n", STR_ARG(where(a, r->unknown_at)), r->unknown);
    } else if (r->weakest.assumed) {
        printf("    assumed: what this entry says is only known when mail goes out\n");
    }
}

static void print_json(const struct auditing *a, const struct row *r, bool below)
{
    struct record out;
    bool assumed = r->unknown != NULL || r->weakest.assumed;
    record_begin(&out);
    record_str(&out, "channel", r->channel);
    record_str(&out, "hosts", r->hosts);
    if (a->in->options.destination) {
        record_str(&out, "destination", str_from(a->in->options.destination));
        record_str(&out, "recipient", r->recipient);
        record_place(&out, "way", a->s->sources, r->way);
        record_place(&out, "by", a->s->sources, r->by);
    }
    record_str(&out, "weakest", str_from(tls_outcome_name(r->weakest.outcome)));
    record_place(&out, "at", a->s->sources, r->weakest.at);
    record_bool(&out, "by_mx", r->by_mx);
    record_str(&out, "assumed",
               r->unknown ? str_from(r->unknown)
               : assumed  ? STR("what this entry says is only known when mail goes out")
                          : STR_NONE);
    record_place(&out, "assumed_at", a->s->sources,
                 r->unknown ? r->unknown_at
                 : assumed  ? r->weakest.at
                            : SPAN_NONE);
    record_bool(&out, "below", below);
    record_print(&out);
}

/* A row about hosts of this class, or one next hop, of a channel. */
static void weigh(const struct auditing *a, struct row *r, const struct channel *c,
                  str class)
{
    tls_weakest(a->s, c, class, a->arena, &r->weakest);
    r->by_mx = r->weakest.outcome == TLS_OUTCOME_HOST && route_wants_mx(c) &&
               !domain_literal_ok(class);
}

static void tell_row(struct auditing *a, const struct row *r)
{
    bool below = a->required && r->weakest.outcome < a->least;
    a->told++;
    a->below += below;
    a->by_mx = a->by_mx || r->by_mx;
    if (a->in->options.json) {
        print_json(a, r, below);
    } else {
        print_text(a, r, below);
    }
}

/* ---- channels ---------------------------------------------------------------------- */

static void note_worst(str class, void *arg)
{
    struct auditing *a = arg;
    struct tls_weakest w;
    tls_weakest(a->s, a->channel, class, a->arena, &w);
    if (!a->any || w.outcome < a->worst.outcome) {
        a->worst = w;
    }
    a->any = true;
}

static void tell_class(str class, void *arg)
{
    struct auditing *a = arg;
    struct row r = {.channel = a->channel->name,
                    .hosts = class.len > 0 ? class : STR("(all others)"),
                    .recipient = STR_NONE};
    weigh(a, &r, a->channel, class);
    tell_row(a, &r);
}

static void each_class(struct auditing *a, tls_class_fn *each)
{
    for (unsigned i = 0; i < a->s->channel_count; i++) {
        a->channel = a->s->channels[i];
        if (tls_channel_sends(a->channel)) {
            tls_classes(a->s, a->channel, a->arena, each, a);
        }
    }
}

/* ---- a destination ----------------------------------------------------------------- */

static void tell_lead(struct auditing *a, const struct tls_lead *l)
{
    struct row r = {.channel = l->channel->name,
                    .hosts = l->host,
                    .recipient = l->recipient,
                    .way = l->at,
                    .by = l->by};
    weigh(a, &r, l->channel, l->host);
    tell_row(a, &r);
}

/* It may go anywhere, so it gets what the worst of all places gets. */
static void tell_unknown(struct auditing *a, const struct tls_unknown *u)
{
    struct row r = {.channel = STR_NONE,
                    .hosts = STR("(anywhere)"),
                    .recipient = STR_NONE,
                    .unknown = u->why,
                    .unknown_at = u->at};
    if (!a->any) {
        each_class(a, note_worst);
    }
    r.weakest = a->worst;
    if (a->any) {
        tell_row(a, &r);
    }
}

static void audit_destination(struct auditing *a, str domain)
{
    struct tls_leads leads;
    tls_leads_find(a->s, domain, a->arena, &leads);
    for (const struct tls_lead *l = leads.first; l; l = l->next) {
        tell_lead(a, l);
    }
    for (const struct tls_unknown *u = leads.unknown; u; u = u->next) {
        tell_unknown(a, u);
    }
    if (!a->in->options.json && a->told == 0) {
        printf("no mail for %.*s leaves this system%s\n", STR_ARG(domain),
               leads.local ? ": it stays here" : "");
    } else if (!a->in->options.json && leads.local) {
        puts("  some of it stays here");
    }
}

/* ---- the command ------------------------------------------------------------------- */

static bool read_question(struct auditing *a)
{
    const struct tool_options *o = &a->in->options;
    a->required = o->require != NULL;
    if (a->in->arg_count != 1) {
        fputs("pointsman: tls audit takes no argument\n", stderr);
        return false;
    }
    if (a->required && !tls_outcome_parse(str_from(o->require), &a->least)) {
        fprintf(stderr, "pointsman: '%s' is none of clear, tls, ca, host and pinned\n",
                o->require);
        return false;
    }
    if (o->destination && !domain_name_ok(str_from(o->destination)) &&
        !domain_literal_ok(str_from(o->destination))) {
        fprintf(stderr, "pointsman: '%s' is no domain\n", o->destination);
        return false;
    }
    return true;
}

int tls_audit(const struct invocation *in)
{
    struct configuration c;
    struct auditing a = {.in = in};
    if (!read_question(&a) || !configuration_need(&c, in)) {
        return TOOL_USAGE;
    }
    a.s = c.snapshot;
    a.arena = c.arena;
    if (in->options.destination) {
        audit_destination(&a, str_from(in->options.destination));
    } else {
        each_class(&a, tell_class);
    }
    if (a.by_mx && !in->options.json) {
        puts("  * an MX answer names the host: where DNSSEC does not validate it, who\n"
             "    forges it chooses the host");
    }
    if (a.required && !in->options.json) {
        printf("%u of %u below %s\n", a.below, a.told, tls_outcome_name(a.least));
    }
    configuration_free(&c);
    return a.below > 0 ? TOOL_NO : TOOL_OK;
}
