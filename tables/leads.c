/* leads: see leads.h. */
#include "tables/leads.h"

#include "tables/rule_table.h"

/* The host an address has after a repeat rule: where mail goes next, unless a rule is
 * there for it. Empty if it is computed. */
static str repeat_host(const struct template *t)
{
    ptrdiff_t percent = str_find(t->text, '%');
    str host = str_from_pos(t->text, (size_t)(percent + 1));
    return percent >= 0 && str_find(host, '$') < 0 ? host : STR("");
}

static void lead_rules(const struct snapshot *s, struct leads *out)
{
    for (uint32_t number = 1; number <= s->rules->rule_count; number++) {
        const struct rule_record *r = rule_table_at(s->rules, number);
        struct template t = rule_template(s->rules, r);
        bool repeat = t.form == TEMPLATE_REPEAT;
        str host = repeat ? repeat_host(&t) : t.routing_host;
        const struct host_entry *h = host.len > 0 ? snapshot_host(s, host) : NULL;
        if (h != NULL && out->rule[h->channel->index].source == 0) {
            out->rule[h->channel->index] = rule_span(r);
        }
        bool refusal = t.form == TEMPLATE_AS_IS;
        out->computed = out->computed || (host.len == 0 && !refusal);
    }
}

static void lead_sessions(const struct snapshot *s, const struct reach *reach,
                          struct leads *out)
{
    for (unsigned i = 0; i < s->channel_count; i++) {
        const struct service *v =
            reach->plain[i] != NULL ? reach->plain[i] : reach->implicit_tls[i];
        const struct channel *target = s->channels[i]->tls_switch;
        if (v != NULL) {
            out->session[i] = v->span;
        }
        if (target != NULL && target->index != i &&
            out->session[target->index].source == 0) {
            out->session[target->index] = s->channels[i]->opts.tlsswitchchannel_at;
        }
    }
}

void leads_find(const struct snapshot *s, const struct reach *reach, struct arena *a,
                struct leads *out)
{
    *out = (struct leads){.rule = arena_array(a, struct span, s->channel_count),
                          .session = arena_array(a, struct span, s->channel_count)};
    lead_rules(s, out);
    lead_sessions(s, reach, out);
}
