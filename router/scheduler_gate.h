/* scheduler_gate: how many may run at a time, on all workers: a counter that their
 * schedulers share without a lock. Whoever is refused is told of when a place becomes
 * free. */
#ifndef ROUTER_SCHEDULER_GATE_H
#define ROUTER_SCHEDULER_GATE_H

#include <stdatomic.h>
#include <stdbool.h>

/* All zero at first but for the limit, which may change at any time: who is in stays. */
struct scheduler_gate {
    _Atomic unsigned limit; /* 0: none */
    _Atomic unsigned running;
    _Atomic(const void *) wanted; /* who waits for a place; the gate itself: several do */
};

/* gate may be NULL in all of these: no limit, nothing is counted. `who` is a scheduler;
 * only its address counts. */
bool gate_full(const struct scheduler_gate *gate);
/* Does somebody else wait for a place? */
bool gate_awaited(const struct scheduler_gate *gate, const void *who);
/* Is there a place? If not, `who` waits for one. */
bool gate_open(struct scheduler_gate *gate, const void *who);
/* Takes a place; false, and `who` waits, when there is none. */
bool gate_enter(struct scheduler_gate *gate, const void *who);
/* Gives the place up. True: somebody else waits, and is to look again; nobody waits from
 * now on. */
bool gate_leave(struct scheduler_gate *gate, const void *who);

#endif
