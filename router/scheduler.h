/* scheduler: which entry of one worker may start now. Entries are kept in lanes, one per
 * (channel, next hop); lanes take turns, so that one slow destination never delays the
 * others. The limits of a channel (maxjobs) and of its pool (JOB_LIMIT) hold for all
 * workers together: gates. Pure: no clock, no I/O; what an entry is, only dispatch.c
 * knows. */
#ifndef ROUTER_SCHEDULER_H
#define ROUTER_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "router/scheduler_gate.h"

struct scheduler;
struct scheduler_lane;

/* What an item must pass: the gate of its channel, and that of the pool the channel is
 * in. */
enum { SCHEDULER_CHANNEL, SCHEDULER_POOL, SCHEDULER_GATES };

/* What the configuration says of the channel an item is for. */
struct scheduler_rules {
    unsigned depth; /* messages that wait for each connection to a next hop before another
                       one is made; 0: 1 */
    struct scheduler_gate *gates[SCHEDULER_GATES]; /* NULL: no limit */
};

/* Embedded in what is scheduled; all zero at first. */
struct scheduler_item {
    struct scheduler_lane *lane; /* NULL: not in the scheduler */
    struct scheduler_item *next; /* in its lane, while ready */
    struct scheduler_gate
        *gates[SCHEDULER_GATES]; /* it holds a place of, while running */
};

struct scheduler_limits {
    unsigned per_lane;    /* running at the same time to one channel and host */
    unsigned per_worker;  /* running at the same time in all */
    unsigned max_entries; /* held in memory, ready or running */
    size_t max_bytes;     /* of bodies held in memory */
};
/* 20, 200, 10,000 entries, 64 MiB. */
extern const struct scheduler_limits scheduler_limits_default;

/* Never NULL. */
struct scheduler *scheduler_new(const struct scheduler_limits *limits);
/* Nothing may be ready or running. Clears *s. */
void scheduler_free(struct scheduler **s);

/* --- memory --- */

/* Is there room for that much more? Always when nothing is held at all: one message
 * alone may exceed the limits. */
bool scheduler_room(const struct scheduler *s, unsigned entries, size_t bytes);
/* Entries that may still come, each bringing up to bytes_each. */
unsigned scheduler_space(const struct scheduler *s, size_t bytes_each);
/* So much more, or less, is in memory. */
void scheduler_hold(struct scheduler *s, unsigned entries, size_t bytes);
void scheduler_unhold(struct scheduler *s, unsigned entries, size_t bytes);
/* Memory is full: takes the oldest ready entry out of a lane that holds a quarter of all
 * that may be held, so that a backlog for one dead host does not keep fresh mail for
 * others out; else out of a blocked channel. NULL when there is neither. */
struct scheduler_item *scheduler_evict(struct scheduler *s);
/* Is there a blocked channel: one that has more than half of all that is held, and may
 * start nothing because a gate is full, though its lanes are small? */
bool scheduler_blocked(const struct scheduler *s);
/* Takes a ready entry out of it; NULL when there is none. */
struct scheduler_item *scheduler_evict_blocked(struct scheduler *s);
/* The channels that may start nothing because a gate is full, and have at least `least`
 * ready, up to max; how many there are. The names are lent until the next call. */
unsigned scheduler_blocked_channels(const struct scheduler *s, unsigned least, str *names,
                                    unsigned max);

/* The first ready item of each lane that has at least `least` of them, up to max; how
 * many there are. */
unsigned scheduler_backlogs(const struct scheduler *s, unsigned least,
                            struct scheduler_item **first, unsigned max);

/* --- order --- */

/* The item is ready, last in its lane. channel and host are copied, compared case-blind.
 * The rules hold for the whole channel from now on; NULL: none. Gates must outlive the
 * scheduler. */
void scheduler_add(struct scheduler *s, struct scheduler_item *item, str channel,
                   str host, const struct scheduler_rules *rules);
/* What the rules of a channel are now, in *rules; as they were unless it is changed. */
typedef void (*scheduler_rules_of)(str channel, struct scheduler_rules *rules, void *arg);
/* Asks for the rules of each channel that has items: they have changed. Those running
 * keep the places they have. */
void scheduler_revise(struct scheduler *s, scheduler_rules_of rules_of, void *arg);
/* The next one to start; it counts as running. Lanes where nothing runs yet come first,
 * then the others; channels take turns, and so do the lanes of each. A quarter of all
 * places is kept for the former, so that ten dead hosts cannot take them all. NULL when
 * nothing may start; a place that this scheduler gave up and another one waits for is
 * left alone until a NULL was returned, so that the other one has a chance. */
struct scheduler_item *scheduler_start(struct scheduler *s);
/* Another ready one of the lane in which `running` is, for the same connection; counts
 * as running. NULL when there is none, or when the lane has more than its share of the
 * places and another one waits for them. */
struct scheduler_item *scheduler_take(struct scheduler *s,
                                      struct scheduler_item *running);
/* The item that was taken does not need its places behind the gates after all: the one it
 * was taken for has them again. */
void scheduler_return_gates(struct scheduler_item *taken, struct scheduler_item *running);
/* A running one has ended; it is no longer in the scheduler. */
void scheduler_finish(struct scheduler *s, struct scheduler_item *item);
/* Takes out the ready ones for which take() says so, and gives each to gone(). */
void scheduler_sweep(struct scheduler *s,
                     bool (*take)(const struct scheduler_item *item, void *arg),
                     void (*gone)(struct scheduler_item *item, void *arg), void *arg);
/* Takes any ready one out, for shutdown. NULL when none is left. */
struct scheduler_item *scheduler_drop(struct scheduler *s);
/* Would scheduler_start() return one, unless another worker is faster? */
bool scheduler_can_start(const struct scheduler *s);
/* True once after a place of a gate that others wait for became free: their workers are
 * to look again. */
bool scheduler_gate_freed(struct scheduler *s);
/* Items that wait in lanes; items that run. */
unsigned scheduler_ready(const struct scheduler *s);
unsigned scheduler_running(const struct scheduler *s);

#endif
