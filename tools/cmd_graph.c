/* graph: listeners, switches, rules and channels as a picture for Graphviz. */
#include <stdio.h>

#include "tables/route.h"
#include "tables/tls_access.h"
#include "tools/configuration.h"
#include "tools/graph.h"
#include "tools/setting.h"

struct drawing {
    const struct snapshot *s;
    struct arena *arena;
};

static void draw_services(const struct drawing *d)
{
    const struct snapshot *s = d->s;

    for (unsigned i = 0; i < s->service_count; i++) {
        const struct service *v = &s->services[i];
        str ip = v->interface_address.len > 0 ? v->interface_address : STR("*");
        str name = arena_printf(d->arena, "%.*s port %u", STR_ARG(ip), v->port);
        fputs("  ", stdout);
        graph_node("service", name);
        fputs(" [shape=cds, ", stdout);
        graph_label_begin();
        graph_label_line("%.*s", STR_ARG(v->name));
        graph_label_line("%.*s%s", STR_ARG(name), v->implicit_tls ? ", TLS at once" : "");
        graph_label_line("%.*s", STR_ARG(snapshot_where(d->arena, s, v->span)));
        graph_label_end();
        fputs("];\n  ", stdout);
        graph_node("service", name);
        fputs(" -> ", stdout);
        graph_node("channel", v->channel->name);
        fputs(";\n", stdout);
    }
}

/* What is known of where the channel's mail goes; nothing for one that follows the
 * address. */
static void draw_target(const struct channel *c)
{
    const struct channel_opts *o = &c->opts;
    const char *mx = route_wants_mx(c) ? "MX of " : "";
    str path;

    if (str_ieq(o->daemon, STR("router"))) {
        graph_label_line("to %s%.*s, port %u", mx, STR_ARG(c->official_host), o->port);
    } else if (socket_host_ok(o->daemon, &path)) {
        graph_label_line("to %.*s", STR_ARG(o->daemon));
    } else if (o->daemon.len > 0) {
        bool literal = o->daemon.ptr[0] == '[';
        graph_label_line("to %s%.*s, port %u", literal ? "" : mx, STR_ARG(o->daemon),
                         o->port);
    } else {
        graph_label_line("to %sthe address's domain, port %u", mx, o->port);
    }
}

static void draw_channel(const struct drawing *d, const struct channel *c)
{
    static const char *const shapes[] = {[CHANNEL_TCP] = "box",
                                         [CHANNEL_LOCAL] = "cylinder",
                                         [CHANNEL_BITBUCKET] = "cylinder",
                                         [CHANNEL_PIPE] = "cds",
                                         [CHANNEL_REPROCESS] = "cds",
                                         [CHANNEL_HOLD] = "cylinder",
                                         [CHANNEL_UNSUPPORTED] = "octagon"};

    fputs("  ", stdout);
    graph_node("channel", c->name);
    printf(" [shape=%s, style=%s, ", shapes[c->type],
           c->type == CHANNEL_UNSUPPORTED ? "dashed" : "bold");
    graph_label_begin();
    graph_label_line("%.*s   %.*s", STR_ARG(c->name),
                     STR_ARG(snapshot_where(d->arena, d->s, c->span)));
    graph_label_line("%s", channel_type_name(c->type));
    if (c->type == CHANNEL_TCP) {
        graph_label_line("TLS in %s, out %s", tls_level_name(c->tls_server.level),
                         tls_level_name(c->tls_client.level));
        draw_target(c);
    }
    graph_label_end();
    fputs("];\n", stdout);
}

static void draw_tls_switch(const struct channel *c, const struct channel *to,
                            const char *label)
{
    if (!to || to == c) {
        return;
    }
    fputs("  ", stdout);
    graph_node("channel", c->name);
    fputs(" -> ", stdout);
    graph_node("channel", to->name);
    printf(" [style=bold, label=\"%s\"];\n", label);
}

/* Mail from every channel that takes some meets the rules; drawn from the listeners, so
 * that the picture stays readable. */
static void draw_entrance(const struct drawing *d)
{
    bool *drawn = arena_array(d->arena, bool, d->s->channel_count);

    for (unsigned i = 0; i < d->s->service_count; i++) {
        const struct channel *c = d->s->services[i].channel;
        if (!drawn[c->index]) {
            drawn[c->index] = true;
            fputs("  ", stdout);
            graph_node("channel", c->name);
            fputs(" -> \"rules\" [style=dotted];\n", stdout);
        }
    }
}

struct table_drawing {
    const struct channel *from;
    bool *drawn[2]; /* by index of the target, for each table */
};

static void draw_entry(const struct tls_access_entry *e, void *arg)
{
    const struct table_drawing *t = arg;
    bool *drawn = e->to ? &t->drawn[e->table == ACCESS_TLS_PEER][e->to->index] : NULL;

    if (drawn && !*drawn) {
        *drawn = true;
        draw_tls_switch(t->from, e->to, access_table_name(e->table));
    }
}

/* Where an entry leads that is computed is not drawn. */
static void draw_tables(const struct drawing *d, const struct channel *from)
{
    struct table_drawing t = {.from = from};

    for (int i = 0; i < 2; i++) {
        t.drawn[i] = arena_array(d->arena, bool, d->s->channel_count);
    }
    tls_access_entries(d->s, from, draw_entry, &t);
}

static void draw(const struct drawing *d)
{
    fputs("digraph ", stdout);
    graph_quote(d->s->local_host);
    fputs(" {\n  rankdir=LR;\n  node [fontname=\"sans-serif\", fontsize=10];\n"
          "  edge [fontname=\"sans-serif\", fontsize=9];\n",
          stdout);
    draw_services(d);
    for (unsigned i = 0; i < d->s->channel_count; i++) {
        draw_channel(d, d->s->channels[i]);
    }
    graph_ip_switches(d->s, d->arena);
    for (unsigned i = 0; i < d->s->channel_count; i++) {
        draw_tls_switch(d->s->channels[i], d->s->channels[i]->tls_switch, "TLS on");
        draw_tls_switch(d->s->channels[i], d->s->channels[i]->tls_peer_switch,
                        "certificate verified");
        draw_tables(d, d->s->channels[i]);
    }
    graph_rules(d->s, d->arena);
    draw_entrance(d);
    fputs("}\n", stdout);
}

int cmd_graph(const struct invocation *in)
{
    struct configuration c;

    if (!configuration_need(&c, in)) {
        return TOOL_USAGE;
    }
    draw(&(struct drawing){.s = c.snapshot, .arena = c.arena});
    configuration_free(&c);
    return TOOL_OK;
}
