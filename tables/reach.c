/* reach: see reach.h. */
#include "tables/reach.h"

bool reach_takes_clients(const struct rule_record *r, const struct template *t)
{
    enum pattern_kind k = (enum pattern_kind)r->kind;
    bool literal = k == PATTERN_LITERAL || k == PATTERN_LITERAL_PREFIX ||
                   k == PATTERN_LITERAL_ANY || k == PATTERN_LITERAL_STARS;
    return literal && (t->traits & TEMPLATE_FOR_CLIENTS) &&
           !(t->traits & TEMPLATE_NEVER) && t->form != TEMPLATE_AS_IS;
}

/* Marks the channels some client's address may rewrite to. */
static void mark_switch_targets(const struct snapshot *s, bool *target)
{
    bool any = false;
    for (uint32_t number = 1; number <= s->rules->rule_count; number++) {
        const struct rule_record *r = rule_table_at(s->rules, number);
        struct template t = rule_template(s->rules, r);
        if (!reach_takes_clients(r, &t)) {
            continue;
        }
        const struct host_entry *h =
            t.routing_host.len > 0 ? snapshot_host(s, t.routing_host) : NULL;
        if (h != NULL) {
            target[h->channel->index] = true;
        }
        any = any || t.routing_host.len == 0;
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

bool reach_offers_tls(const struct reach *r, const struct channel *c, struct span *why)
{
    if (r->implicit_tls[c->index] != NULL) {
        *why = r->implicit_tls[c->index]->span;
        return true;
    }
    *why = c->tls_server.level_at;
    return r->plain[c->index] != NULL && c->tls_server.level != TLS_LEVEL_NO;
}
