/* reach: see reach.h. */
#include "tables/reach.h"

#include "tables/rewrite.h"

/* Can the domain literal of some client lead to this pattern? Not to ".": whoever it
 * is never switches. */
static bool takes_clients(const struct rewrite_rule *r)
{
    enum pattern_kind k = r->pattern.kind;
    bool literal =
        k == PATTERN_LITERAL || k == PATTERN_LITERAL_PREFIX || k == PATTERN_LITERAL_ANY;
    return literal && r->template->for_clients && !r->template->never;
}

/* Marks the channels some client's address may rewrite to. */
static void mark_switch_targets(const struct snapshot *s, bool *target)
{
    bool any = false;
    for (const struct rewrite_rule *r = rewrite_first(s->rules); r; r = r->next) {
        if (!takes_clients(r)) {
            continue;
        }
        str host = r->template->routing_host;
        const struct host_entry *h = host.len > 0 ? snapshot_host(s, host) : NULL;
        if (h != NULL) {
            target[h->channel->index] = true;
        }
        any = any || host.len == 0;
    }
    for (size_t i = 0; i < map_count(s->hosts); i++) {
        str host;
        const struct host_entry *h = map_at(s->hosts, i, &host);
        if (str_starts(host, STR("["))) {
            target[h->channel->index] = true;
        }
    }
    for (unsigned i = 0; i < s->channel_count; i++) {
        target[i] = (target[i] || any) && s->channels[i]->opts.ip_switch != IP_SWITCH_NO;
    }
}

void reach_sources(const struct snapshot *s, struct arena *a, struct reach *out)
{
    bool *target = arena_array(a, bool, s->channel_count);
    out->plain = arena_array(a, const struct service *, s->channel_count);
    out->implicit_tls = arena_array(a, const struct service *, s->channel_count);
    mark_switch_targets(s, target);
    for (unsigned i = 0; i < s->service_count; i++) {
        const struct service *v = &s->services[i];
        const struct service **from = v->implicit_tls ? out->implicit_tls : out->plain;
        bool switches = v->channel->opts.ip_switch == IP_SWITCH_START;
        for (unsigned n = 0; n < s->channel_count; n++) {
            bool here = n == v->channel->index || (switches && target[n]);
            from[n] = here && from[n] == NULL ? v : from[n];
        }
    }
}
