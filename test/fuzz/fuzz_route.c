/* Fuzzes rules, templates and addresses together. The input is a configuration as the
 * memory loader reads it; what follows the line "!== queries" are addresses, one a
 * line, each routed in every way. What must hold is checked, not only that nothing
 * crashes: results parse back to themselves, and nothing is taken from an untrusted
 * source that localdomains does not allow. */
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "tables/recipient.h"
#include "tables/trust.h"
#include "test/fuzz/load.h"

enum { QUERIES_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a trace can say. */
static void check_steps(const struct snapshot *s, const struct route_step *step)
{
    for (; step != NULL; step = step->next) {
        bool none = str_eq(step->outcome, STR("no rule"));
        check(none || str_eq(step->outcome, STR("applied")) ||
              str_eq(step->outcome, STR("repeat")) ||
              (str_starts(step->outcome, STR("failed: ")) && step->outcome.len > 8));
        check(none == (step->rule.source == 0));
        check(none || span_place(s->sources, step->rule).line > 0);
    }
}

static void check_rewrite(const struct snapshot *s, const struct address *addr,
                          struct arena *a)
{
    for (int way = 0; way < 8; way++) {
        const struct channel *destination = way & 4 ? s->channels[0] : NULL;
        struct rewrite_context ctx = {
            s->channels[s->channel_count - 1], way & 1 ? ROUTE_FORWARD : ROUTE_BACKWARD,
            way & 2 ? ROUTE_ENVELOPE : ROUTE_HEADER, destination};
        struct address again;
        struct route r;
        route_rewrite(s, &ctx, addr, true, a, &r);
        check_steps(s, r.steps);
        check((r.channel == NULL) == (r.error.len > 0));
        if (!r.channel || address_is_null(addr))
            continue;
        check(address_parse(address_print(a, &r.address), &again) == NULL);
        check(address_eq(&again, &r.address));
    }
}

/* May mail of an untrusted source be sent on by way of this host? Proper names come after
 * the relay rule; literals have more than one spelling. */
static bool is_allowed(const struct snapshot *s, const struct route *r, str host)
{
    const struct host_entry *entry = snapshot_host(s, r->routing_host);

    return host.ptr[0] == '[' || snapshot_is_local_domain(s, host) ||
           str_ieq(host, entry->proper_name) || str_ieq(host, r->channel->official_host);
}

static void check_hosts(const struct snapshot *s, const struct route *r)
{
    str route = r->address.route, host;

    check(is_allowed(s, r, r->address.domain));
    while (route.len > 0 && str_split(&route, ',', &host))
        check(is_allowed(s, r, str_from_pos(host, 1)));
}

static void check_recipient(const struct snapshot *s, const struct address *addr,
                            struct arena *a)
{
    struct recipient_request q = {
        .snapshot = s, .source = s->channels[s->channel_count - 1], .to = *addr};
    struct recipient_answer r;

    if (recipient_resolve(&q, a, &r) != RECIPIENT_TAKEN)
        return;
    check(r.route.channel);
    if (r.route.channel->final)
        return;
    check(r.completed.domain.ptr[0] == '[' ||
          snapshot_is_local_domain(s, r.completed.domain));
    check_hosts(s, &r.route);
    check(route_next_hop(r.route.channel, &r.route.address).len > 0);
    q.trusted = true;
    check(recipient_resolve(&q, a, &r) == RECIPIENT_TAKEN);
}

/* Whoever is trusted is told by the report: a switch has a way with a reason. */
static void check_told(const struct trust *trust, const struct channel *from,
                       const struct channel *to)
{
    const struct trust_channel *c = &trust->channels[to->index];
    bool listens = false, told = false;

    for (size_t i = 0; i < trust->channels[from->index].ways.n; i++) {
        listens |= trust->channels[from->index].ways.at[i].kind == TRUST_SERVICE;
    }
    for (size_t i = 0; i < c->ways.n; i++) {
        const struct trust_way *way = &c->ways.at[i];
        told |= way->kind == TRUST_ADDRESS && way->from == from && way->trusted &&
                way->reasons.n > 0;
    }
    check(!listens || to == from || (told && c->trusted));
}

static void check_switch(const struct snapshot *s, const struct trust *trust, str ip,
                         struct arena *a)
{
    for (unsigned i = 0; i < s->channel_count; i++) {
        const struct channel *from = s->channels[i];
        struct span rule;
        const struct channel *to = route_ip_switch(s, from, ip, a, &rule);
        check(to == from || (from->opts.ip_switch == IP_SWITCH_START &&
                             to->opts.ip_switch != IP_SWITCH_NO && rule.source != 0));
        check_told(trust, from, to);
        bool counts = route_name_counts(s, from, ip, a);
        check(!counts || (to == from && from->opts.ip_switch == IP_SWITCH_START));
        to = route_name_switch(s, from, ip, a, &rule);
        check(to == from || (to->type == CHANNEL_TCP &&
                             to->opts.ip_switch != IP_SWITCH_NO && rule.source != 0));
    }
}

static void run_queries(const struct snapshot *s, str queries, struct arena *a)
{
    struct trust trust;
    str line;

    trust_find(s, a, &trust);
    for (int n = 0; n < QUERIES_MAX && str_split(&queries, '\n', &line); n++) {
        struct address addr;
        check_switch(s, &trust, line, a);
        if (address_parse(line, &addr) != NULL)
            continue;
        check_rewrite(s, &addr, a);
        check_recipient(s, &addr, a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str queries, text = fuzz_cut(data, size, "\n!== queries\n", &queries);
    struct arena *a = arena_new();
    struct snapshot *s = fuzz_load(text, a);
    if (s) {
        run_queries(s, queries, a);
        snapshot_unref(&s);
    }
    arena_free(&a);
    return 0;
}
