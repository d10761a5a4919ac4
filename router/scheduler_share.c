/* scheduler_share: who has to give a place up, because another one waits for it. */
#include "router/scheduler_private.h"

/* Does a lane other than this one wait in the ring? */
static bool ring_waits(const struct ring *ring, const struct scheduler_lane *lane)
{
    return ring->first && (ring->first != lane || ring->last != lane);
}

/* Does another lane wait in one of these rings? One of a channel at its own limit does
 * not wait for our places. */
static bool others_wait(const struct scheduler *s, const struct scheduler_lane *lane,
                        bool fresh)
{
    for (const struct group *g = s->first; g; g = g->after) {
        if (ring_waits(fresh ? &g->fresh : &g->busy, lane) &&
            (g == lane->group || group_open(s, g))) {
            return true;
        }
    }
    return false;
}

/* The gate is full. Has the lane more than its share of the places behind it, while
 * another lane, or another worker, waits for one? */
static bool lane_owes_gate(const struct scheduler *s, const struct scheduler_lane *lane,
                           unsigned i)
{
    const struct scheduler_gate *gate = lane->group->rules.gates[i];
    unsigned lanes = gate_awaited(gate, s);
    bool waits = lanes > 0;
    for (const struct group *g = s->first; g; g = g->after) {
        if (g->rules.gates[i] != gate) {
            continue;
        }
        lanes += g->lanes;
        waits = waits || ((ring_waits(&g->fresh, lane) || ring_waits(&g->busy, lane)) &&
                          (g == lane->group || !group_full(g, i)));
    }
    return waits && lane->running > gate->limit / lanes;
}

bool lane_owes(const struct scheduler *s, const struct scheduler_lane *lane)
{
    for (unsigned i = 0; i < SCHEDULER_GATES; i++) {
        if (gate_full(lane->group->rules.gates[i]) && lane_owes_gate(s, lane, i)) {
            return true;
        }
    }
    unsigned share = busy_limit(s) / s->lanes;
    bool crowded = s->running >= busy_limit(s), full = s->running >= s->limits.per_worker;
    return crowded && lane->running > share &&
           ((full && others_wait(s, lane, true)) || others_wait(s, lane, false));
}
