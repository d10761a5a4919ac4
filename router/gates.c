/* gates: see gates.h. A list that only grows, so that it is read without a lock. */
#include "router/gates.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tables/snapshot.h"

enum { JOBS_UNLIMITED = 1000000000 }; /* maxjobs as built in */

static struct named_gate *find(struct named_gate *from, unsigned kind, str name)
{
    while (from != NULL && (from->kind != kind || !str_ieq(str_from(from->name), name))) {
        from = from->next;
    }
    return from;
}

struct scheduler_gate *gate_of(struct daemon *d, unsigned kind, str name)
{
    struct named_gate *first = atomic_load(&d->gates), *made = NULL;
    for (;;) {
        struct named_gate *found = find(first, kind, name);
        if (found != NULL) {
            free(made);
            return &found->gate;
        }
        if (made == NULL) {
            made = calloc(1, sizeof *made + name.len + 1);
            check(made != NULL);
            made->kind = kind;
            memcpy(made->name, name.ptr, name.len);
        }
        made->next = first;
        if (atomic_compare_exchange_strong(&d->gates, &first, made)) {
            return &made->gate;
        }
    }
}

struct scheduler_rules gates_rules(struct daemon *d, const struct channel *c)
{
    struct scheduler_rules rules = {0};
    if (c == NULL) {
        return rules;
    }
    rules.depth = c->opts.threaddepth;
    if (c->opts.maxjobs < JOBS_UNLIMITED) {
        rules.gates[SCHEDULER_CHANNEL] = gate_of(d, SCHEDULER_CHANNEL, c->name);
        rules.gates[SCHEDULER_CHANNEL]->limit = c->opts.maxjobs > 0 ? c->opts.maxjobs : 1;
    }
    if (c->pool != NULL) {
        rules.gates[SCHEDULER_POOL] = gate_of(d, SCHEDULER_POOL, c->pool->name);
        rules.gates[SCHEDULER_POOL]->limit = c->pool->job_limit;
    }
    return rules;
}

void gates_free(struct daemon *d)
{
    struct named_gate *next, *g = atomic_load(&d->gates);
    for (; g != NULL; g = next) {
        next = g->next;
        free(g);
    }
    atomic_store(&d->gates, NULL);
}
