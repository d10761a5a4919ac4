/* graph of the rewrite rules and of the switches they make. */
#include <stdio.h>

#include "base/vec.h"
#include "tables/rule_table.h"
#include "tools/graph.h"

enum { PATTERNS_SHOWN = 8 };

/* The rules that lead to one place. */
struct group {
    const struct channel *channel; /* NULL: kind says where */
    const char *kind;
    VEC(const struct rule_record *) rules;
};

static const char repeats[] = "rewritten again";
static const char computed[] = "decided by the address";
static const char nowhere[] = "no channel has the host";
static const char refused[] = "refused";

static struct group *group_for(struct arena *a, struct map *groups,
                               const struct channel *channel, const char *kind)
{
    str key = channel ? channel->name : str_from(kind);
    struct group *g = map_get(groups, key);

    if (!g) {
        g = arena_new_of(a, struct group);
        g->channel = channel;
        g->kind = kind;
        map_add(groups, key, g);
    }
    return g;
}

/* Where a rule leads as far as it can be read from it. */
static struct group *group_of(const struct snapshot *s, struct arena *a,
                              struct map *groups, const struct rule_record *r)
{
    struct template t = rule_template(s->rules, r);
    str host = t.routing_host;
    const struct host_entry *h = host.len > 0 ? snapshot_host(s, host) : NULL;

    if (t.form == TEMPLATE_REPEAT || t.form == TEMPLATE_AS_IS) {
        return group_for(a, groups, NULL, t.form == TEMPLATE_REPEAT ? repeats : refused);
    }
    if (host.len == 0) {
        return group_for(a, groups, NULL, computed);
    }
    return h ? group_for(a, groups, h->channel, "") : group_for(a, groups, NULL, nowhere);
}

static void print_patterns(const struct snapshot *s, struct arena *a,
                           const struct group *g)
{
    size_t n = g->rules.n, shown = n > PATTERNS_SHOWN ? PATTERNS_SHOWN : n;

    graph_label_begin();
    if (!g->channel) {
        graph_label_line("%s", g->kind);
    }
    for (size_t i = 0; i < shown; i++) {
        const struct rule_record *r = g->rules.at[i];
        graph_label_line("%.*s   %.*s", STR_ARG(rule_key(s->rules, r)),
                         STR_ARG(snapshot_where(a, s, rule_span(r))));
    }
    if (n > shown) {
        graph_label_line("and %zu more", n - shown);
    }
    graph_label_end();
}

static void print_group(const struct snapshot *s, struct arena *a, const struct group *g)
{
    str name = g->channel ? g->channel->name : str_from(g->kind);

    fputs("  ", stdout);
    graph_node("rules", name);
    fputs(" [shape=note, ", stdout);
    print_patterns(s, a, g);
    fputs("];\n  \"rules\" -> ", stdout);
    graph_node("rules", name);
    fputs(";\n", stdout);
    if (g->channel) {
        fputs("  ", stdout);
        graph_node("rules", name);
        fputs(" -> ", stdout);
        graph_node("channel", name);
        fputs(";\n", stdout);
    } else if (g->kind == repeats) {
        fputs("  ", stdout);
        graph_node("rules", name);
        fputs(" -> \"rules\" [style=dashed];\n", stdout);
    }
}

void graph_rules(const struct snapshot *s, struct arena *a)
{
    struct map *groups = map_new(a, MAP_NOCASE);

    for (uint32_t number = 1; number <= s->rules->rule_count; number++) {
        const struct rule_record *r = rule_table_at(s->rules, number);
        *vec_add(a, &group_of(s, a, groups, r)->rules) = r;
    }
    printf("  \"rules\" [shape=diamond, label=\"rewrite rules: %u\"];\n", s->rule_count);
    for (size_t i = 0; i < map_count(groups); i++) {
        print_group(s, a, map_at(groups, i, NULL));
    }
}

/* ---- switches ---------------------------------------------------------------------- */

static void print_switch(const struct snapshot *s, const struct channel *from,
                         const struct group *g)
{
    size_t n = g->rules.n, shown = n > PATTERNS_SHOWN ? PATTERNS_SHOWN : n;

    fputs("  ", stdout);
    graph_node("channel", from->name);
    fputs(" -> ", stdout);
    graph_node("channel", g->channel->name);
    fputs(" [style=dashed, ", stdout);
    graph_label_begin();
    graph_label_line("client address");
    for (size_t i = 0; i < shown; i++) {
        graph_label_line("%.*s", STR_ARG(rule_key(s->rules, g->rules.at[i])));
    }
    if (n > shown) {
        graph_label_line("and %zu more", n - shown);
    }
    graph_label_end();
    fputs("];\n", stdout);
}

/* Is it a listener's channel that lets its sessions be switched by address? */
static bool starts_switches(const struct snapshot *s, const struct channel *c)
{
    for (unsigned i = 0; i < s->service_count; i++) {
        if (s->services[i].channel == c) {
            return c->opts.ip_switch == IP_SWITCH_START;
        }
    }
    return false;
}

/* The rules that client addresses may meet, by the channel they lead to. */
static struct map *client_rules(const struct snapshot *s, struct arena *a)
{
    struct map *targets = map_new(a, MAP_NOCASE);

    for (uint32_t number = 1; number <= s->rules->rule_count; number++) {
        const struct rule_record *r = rule_table_at(s->rules, number);
        struct template t = rule_template(s->rules, r);
        str host = t.routing_host;
        const struct host_entry *h = host.len > 0 ? snapshot_host(s, host) : NULL;
        bool literal = str_starts(rule_pattern(s->rules, r), STR("["));
        bool client = literal && (t.traits & TEMPLATE_FOR_CLIENTS) != 0;
        if (h && client && h->channel->opts.ip_switch != IP_SWITCH_NO) {
            *vec_add(a, &group_for(a, targets, h->channel, "")->rules) = r;
        }
    }
    return targets;
}

void graph_ip_switches(const struct snapshot *s, struct arena *a)
{
    struct map *targets = client_rules(s, a);

    for (unsigned i = 0; i < s->channel_count; i++) {
        const struct channel *from = s->channels[i];
        for (size_t n = 0; starts_switches(s, from) && n < map_count(targets); n++) {
            const struct group *g = map_at(targets, n, NULL);
            if (g->channel != from) {
                print_switch(s, from, g);
            }
        }
    }
}
