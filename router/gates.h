/* gates: the limits of channels that hold for all workers together (maxjobs), by the
 * channel's name: they outlive a configuration, because what runs does. */
#ifndef ROUTER_GATES_H
#define ROUTER_GATES_H

#include "router/scheduler.h"
#include "router/worker.h"

struct channel_gate {
    struct scheduler_gate gate;
    struct channel_gate *next;
    char name[];
};

/* The gate of that channel (case-blind), made when there is none yet. Any thread. */
struct scheduler_gate *channel_gate(struct daemon *d, str name);
/* When all workers have ended. */
void channel_gates_free(struct daemon *d);

#endif
