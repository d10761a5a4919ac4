/* gates: the limits that hold for all workers together, by the name of what they are for:
 * a channel's (maxjobs) and a pool's (JOB_LIMIT). They outlive a configuration, because
 * what runs does. */
#ifndef ROUTER_GATES_H
#define ROUTER_GATES_H

#include "router/scheduler.h"
#include "router/worker.h"

struct channel;

struct named_gate {
    struct scheduler_gate gate;
    struct named_gate *next;
    unsigned kind; /* SCHEDULER_CHANNEL or SCHEDULER_POOL */
    char name[];
};

/* The gate of that kind and name (case-blind), made when there is none yet. Any thread.
 */
struct scheduler_gate *gate_of(struct daemon *d, unsigned kind, str name);
/* What a configuration says of a channel (NULL: it has none of that name), with its
 * gates, whose limits are set to it. Any thread. */
struct scheduler_rules gates_rules(struct daemon *d, const struct channel *c);
/* When all workers have ended. */
void gates_free(struct daemon *d);

#endif
