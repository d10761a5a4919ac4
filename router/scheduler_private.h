/* scheduler_private: what scheduler.c and scheduler_share.c share. Nobody else includes
 * it. */
#ifndef ROUTER_SCHEDULER_PRIVATE_H
#define ROUTER_SCHEDULER_PRIVATE_H

#include "router/scheduler.h"

enum { BUCKETS = 4096 };

struct ring {
    struct scheduler_lane *first, *last;
};

/* The lanes of one channel. */
struct group {
    struct group *before, *after; /* in the order of their turns */
    struct ring fresh, busy;
    struct scheduler_rules rules;
    unsigned ready; /* in all its lanes */
    unsigned lanes; /* of it; forgotten with the last */
    size_t name_len;
    char name[];
};

struct scheduler_lane {
    struct scheduler_lane *same_bucket;
    struct group *group;
    struct ring *ring; /* NULL: in none */
    struct scheduler_lane *before, *after;
    struct scheduler_item *first, *last; /* ready */
    unsigned ready, running;
    size_t host_len;
    char host[];
};

struct scheduler {
    struct scheduler_limits limits;
    struct group *first, *last; /* the one whose turn it is, first */
    unsigned ready, running;
    bool gate_freed;
    const struct scheduler_gate *yielded[SCHEDULER_GATES]; /* see scheduler_start() */
    unsigned held_entries;
    size_t held_bytes;
    unsigned lanes;
    unsigned large_lanes; /* with at least large_lane() ready */
    struct scheduler_lane *buckets[BUCKETS];
};

/* Places that lanes with something running already may fill. */
static inline unsigned busy_limit(const struct scheduler *s)
{
    return s->limits.per_worker - s->limits.per_worker / 4;
}

/* Are all gates of the group open? If not, the scheduler waits for a place. */
bool group_open(const struct scheduler *s, const struct group *g);
/* Is a gate of the group full, apart from that one? SCHEDULER_GATES: is any? */
bool group_full(const struct group *g, unsigned but);
/* Has the lane, in which something runs, more than its share of the places, while another
 * one waits for them? One within its share keeps its connections; one above gives one up
 * each time. */
bool lane_owes(const struct scheduler *s, const struct scheduler_lane *lane);

#endif
