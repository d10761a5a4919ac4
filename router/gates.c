/* gates: see gates.h. A list that only grows, so that it is read without a lock. */
#include "router/gates.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static struct channel_gate *find(struct channel_gate *from, str name)
{
    while (from != NULL && !str_ieq(str_from(from->name), name)) {
        from = from->next;
    }
    return from;
}

struct scheduler_gate *channel_gate(struct daemon *d, str name)
{
    struct channel_gate *first = atomic_load(&d->channel_gates), *made = NULL;
    for (;;) {
        struct channel_gate *found = find(first, name);
        if (found != NULL) {
            free(made);
            return &found->gate;
        }
        if (made == NULL) {
            made = calloc(1, sizeof *made + name.len + 1);
            check(made != NULL);
            memcpy(made->name, name.ptr, name.len);
        }
        made->next = first;
        if (atomic_compare_exchange_strong(&d->channel_gates, &first, made)) {
            return &made->gate;
        }
    }
}

void channel_gates_free(struct daemon *d)
{
    struct channel_gate *next, *g = atomic_load(&d->channel_gates);
    for (; g != NULL; g = next) {
        next = g->next;
        free(g);
    }
    atomic_store(&d->channel_gates, NULL);
}
