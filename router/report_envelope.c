/* report_envelope: see report_envelope.h. */
#include "router/report_envelope.h"

#include <stdio.h>

#include "base/map.h"
#include "base/vec.h"
#include "router/header_fields.h"
#include "router/outgoing.h"
#include "tables/recipient.h"
#include "tables/shown.h"

struct group {
    const struct channel *channel;
    str host;
    VEC(struct queue_recipient) recipients;
};

struct grouping {
    struct queue_message *m;
    struct map *by_key;
    VEC(struct group *) groups;
};

static void group_add(struct grouping *g, const struct route *route)
{
    struct arena *a = g->m->arena;
    str host = route_next_hop(route->channel, &route->address);
    str key = arena_printf(a, "%u %.*s", route->channel->index, STR_ARG(host));
    struct group *group = map_get(g->by_key, key);
    if (group == NULL) {
        group = arena_new_of(a, struct group);
        group->channel = route->channel;
        group->host = arena_str(a, host);
        map_add(g->by_key, key, group);
        *vec_add(a, &g->groups) = group;
    }
    *vec_add(a, &group->recipients) =
        (struct queue_recipient){.address = address_print(a, &route->address)};
}

static void entries_make(struct grouping *g)
{
    struct queue_message *m = g->m;
    m->entry_count = (unsigned)g->groups.n;
    m->entries = arena_array(m->arena, struct queue_entry, g->groups.n);
    for (size_t i = 0; i < g->groups.n; i++) {
        const struct group *group = g->groups.at[i];
        struct queue_entry *e = &m->entries[i];
        e->channel = arena_str(m->arena, group->channel->name);
        e->host = group->host;
        e->hold = channel_holds(group->channel);
        e->recipients = group->recipients.at;
        e->recipient_count = (unsigned)group->recipients.n;
    }
}

bool report_envelope(struct queue_message *m, const struct snapshot *s, str to, char *why,
                     size_t why_size)
{
    struct recipient_request request = {
        .snapshot = s, .source = s->channels[0], .trusted = true};
    struct recipient_answer answer;
    struct grouping g = {.m = m, .by_key = map_new(m->arena, MAP_NOCASE)};
    const char *bad = address_parse(arena_str(m->arena, to), &request.to);
    if (bad != NULL) {
        snprintf(why, why_size, "the address to report to %s", bad);
        return false;
    }
    if (recipient_resolve(&request, m->arena, &answer) != RECIPIENT_TAKEN) {
        snprintf(why, why_size, "no route to report to <%.*s>: %.*s", STR_ARG(to),
                 STR_ARG(answer.reply.text));
        return false;
    }
    for (unsigned i = 0; i < answer.leaf_count; i++) {
        group_add(&g, &answer.leaves[i].route);
    }
    entries_make(&g);
    m->sender = STR("");
    m->source_channel = arena_str(m->arena, s->channels[0]->name);
    return true;
}

void report_schedule(struct queue_message *m, struct worker *w, bool success)
{
    struct report_rate *rate = success ? &w->success_rate : &w->report_rate;
    int64_t due_ms = report_rate_next(rate, worker_now_ms(w));
    for (unsigned i = 0; i < m->entry_count; i++) {
        m->entries[i].not_before_ms = due_ms;
    }
}

/* --- how it is shown --- */

str report_local_name(const struct queue_message *m, const struct snapshot *s)
{
    const struct channel *first = snapshot_channel(s, m->entries[0].channel);
    for (unsigned i = 1; i < m->entry_count; i++) {
        if (!str_ieq(m->entries[i].channel, m->entries[0].channel)) {
            return s->local_host;
        }
    }
    return first != NULL ? channel_local_name(s, first) : s->local_host;
}

void report_headers(struct queue_message *m, const struct snapshot *s, str text)
{
    struct arena *a = arena_new();
    struct outgoing_facts facts = {.snapshot = s,
                                   .source = s->channels[0],
                                   .sender = STR(""),
                                   .bare_domain = s->local_host};
    struct outgoings *o = outgoings_new(a, &facts);
    for (unsigned i = 0; i < m->entry_count; i++) {
        outgoings_get(o, snapshot_channel(s, m->entries[i].channel), STR_NONE, m->arena);
    }
    outgoings_headers(o, str_sub(text, 0, header_length(text)), m);
    for (unsigned i = 0; i < m->entry_count; i++) {
        const struct channel *c = snapshot_channel(s, m->entries[i].channel);
        m->entries[i].header = outgoings_get(o, c, STR_NONE, m->arena)->header;
    }
    arena_free(&a);
}
