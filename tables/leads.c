/* leads: see leads.h. */
#include "tables/leads.h"

#include "tables/rule_table.h"
#include "tables/tls_access.h"

/* The host an address has after a repeat rule: where mail goes next, unless a rule is
 * there for it. Empty if it is computed. */
static str repeat_host(const struct template *t)
{
    ptrdiff_t percent = str_find(t->text, '%');
    str host = str_from_pos(t->text, (size_t)(percent + 1));
    return percent >= 0 && str_find(host, '$') < 0 ? host : STR("");
}

/* Can the computed host of a rule be a made-up name, one without a dot? Not when the text
 * behind the last separator has a dot in it, or puts a pattern there that has one. */
static bool makes_any_host(const struct template *t, str pattern)
{
    str text = str_sub(t->text, 0,
                       (size_t)str_find(t->text, '?')); /* no error text; -1 is all */
    ptrdiff_t at = str_rfind(text, t->form == TEMPLATE_REPEAT ? '%' : '@');
    str host = str_from_pos(text, (size_t)(at + 1));
    bool dotted = pattern.len > 1 && str_find(pattern, '.') >= 0;
    if ((t->traits & TEMPLATE_CALLS) || at < 0) {
        return true;
    }
    for (size_t i = 0; dotted && i + 1 < host.len; i++) {
        if (str_istarts(str_from_pos(host, i), STR("$D"))) {
            return false;
        }
    }
    return str_find(host, '.') < 0;
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
        out->computed = out->computed || (host.len == 0 && !refusal &&
                                          makes_any_host(&t, rule_pattern(s->rules, r)));
    }
}

static void lead_switch(const struct channel *from, const struct channel *to,
                        struct span at, struct leads *out)
{
    if (to != NULL && to != from && out->session[to->index].source == 0) {
        out->session[to->index] = at;
    }
}

struct leading {
    const struct channel *from;
    struct leads *out;
};

/* Where an entry leads that is known only when a client comes, it may be anywhere. */
static void lead_entry(const struct tls_access_entry *e, void *arg)
{
    const struct leading *l = arg;
    lead_switch(l->from, e->to, e->view.at, l->out);
    l->out->computed = l->out->computed || e->to == NULL;
}

static void lead_sessions(const struct snapshot *s, const struct reach *reach,
                          struct leads *out)
{
    for (unsigned i = 0; i < s->channel_count; i++) {
        const struct service *v =
            reach->plain[i] != NULL ? reach->plain[i] : reach->implicit_tls[i];
        const struct channel *from = s->channels[i];
        if (v != NULL) {
            out->session[i] = v->span;
        }
        lead_switch(from, from->tls_switch, from->opts.tlsswitchchannel_at, out);
        lead_switch(from, from->tls_peer_switch, from->opts.tlspeerswitchchannel_at, out);
        tls_access_entries(s, from, lead_entry, &(struct leading){from, out});
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
