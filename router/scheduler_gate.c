/* scheduler_gate: see scheduler_gate.h. */
#include "router/scheduler_gate.h"

#include <stddef.h>

#include "base/check.h"

bool gate_full(const struct scheduler_gate *gate)
{
    unsigned limit = gate != NULL ? gate->limit : 0;
    return limit > 0 && gate->running >= limit;
}

bool gate_awaited(const struct scheduler_gate *gate, const void *who)
{
    const void *wanted = gate != NULL ? gate->wanted : NULL;
    return wanted != NULL && wanted != who;
}

/* Whoever is refused has said before that it waits, so nobody who leaves can miss it. */
bool gate_open(struct scheduler_gate *gate, const void *who)
{
    if (!gate_full(gate)) {
        return true;
    }
    const void *first = NULL;
    if (!atomic_compare_exchange_strong(&gate->wanted, &first, who) && first != who) {
        gate->wanted = gate;
    }
    return !gate_full(gate);
}

bool gate_enter(struct scheduler_gate *gate, const void *who)
{
    if (gate == NULL) {
        return true;
    }
    while (gate_open(gate, who)) {
        unsigned running = gate->running, limit = gate->limit;
        if ((limit == 0 || running < limit) &&
            atomic_compare_exchange_strong(&gate->running, &running, running + 1)) {
            return true;
        }
    }
    return false;
}

bool gate_leave(struct scheduler_gate *gate, const void *who)
{
    if (gate == NULL) {
        return false;
    }
    check(gate->running > 0);
    gate->running--;
    const void *wanted = atomic_exchange(&gate->wanted, NULL);
    return wanted != NULL && wanted != who;
}
