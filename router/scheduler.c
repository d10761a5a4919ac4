/* scheduler: lanes in a hash table, and for each channel two rings of those that may
 * start something: `fresh` (nothing running there) and `busy`. A lane is in at most one
 * ring; one that is at its limit, or has nothing ready, is in none. */

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "router/scheduler_private.h"

const struct scheduler_limits scheduler_limits_default = {
    .per_lane = 20,
    .per_worker = 200,
    .max_entries = 10000,
    .max_bytes = 64u << 20,
};

struct scheduler *scheduler_new(const struct scheduler_limits *limits)
{
    struct scheduler *s = calloc(1, sizeof *s);
    check(s != NULL);
    check(limits->per_lane > 0 && limits->per_worker > 0);
    s->limits = *limits;
    return s;
}

void scheduler_free(struct scheduler **s)
{
    if (*s == NULL) {
        return;
    }
    check((*s)->ready == 0 && (*s)->running == 0);
    free(*s);
    *s = NULL;
}

/* --- memory --- */

bool scheduler_room(const struct scheduler *s, unsigned entries, size_t bytes)
{
    if (s->held_entries == 0) {
        return true;
    }
    return s->held_entries < s->limits.max_entries &&
           entries <= s->limits.max_entries - s->held_entries &&
           s->held_bytes < s->limits.max_bytes &&
           bytes <= s->limits.max_bytes - s->held_bytes;
}

unsigned scheduler_space(const struct scheduler *s, size_t bytes_each)
{
    if (s->held_entries >= s->limits.max_entries ||
        s->held_bytes >= s->limits.max_bytes) {
        return 0;
    }
    unsigned entries = s->limits.max_entries - s->held_entries;
    size_t by_bytes = (s->limits.max_bytes - s->held_bytes) / bytes_each;
    return by_bytes < entries ? (unsigned)by_bytes : entries;
}

void scheduler_hold(struct scheduler *s, unsigned entries, size_t bytes)
{
    s->held_entries += entries;
    s->held_bytes += bytes;
}

void scheduler_unhold(struct scheduler *s, unsigned entries, size_t bytes)
{
    check(s->held_entries >= entries && s->held_bytes >= bytes);
    s->held_entries -= entries;
    s->held_bytes -= bytes;
}

/* --- rings --- */

static void ring_remove(struct scheduler_lane *lane)
{
    struct ring *ring = lane->ring;
    *(lane->before ? &lane->before->after : &ring->first) = lane->after;
    *(lane->after ? &lane->after->before : &ring->last) = lane->before;
    lane->ring = NULL;
    lane->before = lane->after = NULL;
}

static void ring_append(struct ring *ring, struct scheduler_lane *lane)
{
    lane->ring = ring;
    lane->before = ring->last;
    lane->after = NULL;
    *(ring->last ? &ring->last->after : &ring->first) = lane;
    ring->last = lane;
}

/* How many connections are worth it: threaddepth. */
static unsigned lane_limit(const struct scheduler *s, const struct scheduler_lane *lane)
{
    unsigned depth = lane->group->rules.depth > 0 ? lane->group->rules.depth : 1;
    unsigned wanted = (lane->ready + lane->running - 1) / depth + 1;
    return wanted < s->limits.per_lane ? wanted : s->limits.per_lane;
}

/* A lane that may start something; NULL: all are at their limits, or empty. */
static struct scheduler_lane *ring_any(const struct group *g)
{
    return g->fresh.first ? g->fresh.first : g->busy.first;
}

/* Puts the lane where its counts say; at the end, when that is a new place. */
static void lane_place(struct scheduler *s, struct scheduler_lane *lane)
{
    struct ring *want = NULL;
    if (lane->ready > 0 && lane->running < lane_limit(s, lane)) {
        want = lane->running == 0 ? &lane->group->fresh : &lane->group->busy;
    }
    if (lane->ring == want) {
        return;
    }
    if (lane->ring) {
        ring_remove(lane);
    }
    if (want) {
        ring_append(want, lane);
    }
}

/* --- groups --- */

static str group_name(const struct group *g)
{
    return str_n(g->name, g->name_len);
}

static void group_unlink(struct scheduler *s, struct group *g)
{
    *(g->before ? &g->before->after : &s->first) = g->after;
    *(g->after ? &g->after->before : &s->last) = g->before;
}

static void group_append(struct scheduler *s, struct group *g)
{
    g->before = s->last;
    g->after = NULL;
    *(s->last ? &s->last->after : &s->first) = g;
    s->last = g;
}

/* There are few: one for each channel with mail. */
static struct group *group_get(struct scheduler *s, str channel)
{
    for (struct group *g = s->first; g; g = g->after) {
        if (str_ieq(group_name(g), channel)) {
            return g;
        }
    }
    struct group *g = calloc(1, sizeof *g + channel.len);
    check(g != NULL);
    g->name_len = channel.len;
    memcpy(g->name, channel.ptr, channel.len);
    group_append(s, g);
    return g;
}

/* --- gates --- */

bool group_open(const struct scheduler *s, const struct group *g)
{
    for (unsigned i = 0; i < SCHEDULER_GATES; i++) {
        if (!gate_open(g->rules.gates[i], s)) {
            return false;
        }
    }
    return true;
}

bool group_full(const struct group *g, unsigned but)
{
    for (unsigned i = 0; i < SCHEDULER_GATES; i++) {
        if (i != but && gate_full(g->rules.gates[i])) {
            return true;
        }
    }
    return false;
}

static void group_leave(struct scheduler *s, unsigned i, struct scheduler_gate *gate)
{
    if (gate_leave(gate, s)) {
        s->gate_freed = true;
        s->yielded[i] = gate;
    }
}

static bool group_enter(struct scheduler *s, const struct group *g)
{
    struct scheduler_gate *const *gates = g->rules.gates;
    unsigned n = 0;
    if (!group_open(s, g)) { /* no place is taken for a moment only */
        return false;
    }
    while (n < SCHEDULER_GATES && gate_enter(gates[n], s)) {
        n++;
    }
    if (n == SCHEDULER_GATES) {
        return true;
    }
    while (n-- > 0) { /* another worker was faster */
        group_leave(s, n, gates[n]);
    }
    return false;
}

static void item_leave(struct scheduler *s, struct scheduler_item *item)
{
    for (unsigned i = 0; i < SCHEDULER_GATES; i++) {
        group_leave(s, i, item->gates[i]);
        item->gates[i] = NULL;
    }
}

/* Has this worker just given up a place there for which another one waits? */
static bool group_yields(const struct scheduler *s, const struct group *g)
{
    for (unsigned i = 0; i < SCHEDULER_GATES; i++) {
        if (s->yielded[i] != NULL && s->yielded[i] == g->rules.gates[i]) {
            return true;
        }
    }
    return false;
}

bool scheduler_gate_freed(struct scheduler *s)
{
    bool freed = s->gate_freed;
    s->gate_freed = false;
    return freed;
}

/* --- lanes --- */

static str lane_host(const struct scheduler_lane *lane)
{
    return str_n(lane->host, lane->host_len);
}

static struct scheduler_lane **lane_bucket(struct scheduler *s, str channel, str host)
{
    return &s->buckets[(str_ihash(host) * 31 + str_ihash(channel)) % BUCKETS];
}

static struct scheduler_lane *lane_get(struct scheduler *s, struct group *g, str host)
{
    struct scheduler_lane **bucket = lane_bucket(s, group_name(g), host);
    for (struct scheduler_lane *lane = *bucket; lane; lane = lane->same_bucket) {
        if (lane->group == g && str_ieq(lane_host(lane), host)) {
            return lane;
        }
    }
    struct scheduler_lane *lane = calloc(1, sizeof *lane + host.len);
    check(lane != NULL);
    lane->group = g;
    lane->host_len = host.len;
    if (host.len > 0) {
        memcpy(lane->host, host.ptr, host.len);
    }
    lane->same_bucket = *bucket;
    *bucket = lane;
    g->lanes++;
    s->lanes++;
    return lane;
}

/* Forgets a lane in which nothing is ready or running: lanes cost memory only while
 * there is mail for them. */
static void lane_leave(struct scheduler *s, struct scheduler_lane *lane)
{
    if (lane->ready > 0 || lane->running > 0) {
        return;
    }
    struct group *g = lane->group;
    struct scheduler_lane **at = lane_bucket(s, group_name(g), lane_host(lane));
    while (*at != lane) {
        at = &(*at)->same_bucket;
    }
    *at = lane->same_bucket;
    s->lanes--;
    free(lane);
    if (--g->lanes == 0) {
        group_unlink(s, g);
        free(g);
    }
}

static unsigned large_lane(const struct scheduler *s)
{
    return s->limits.max_entries / 4 + 1;
}

static struct scheduler_item *lane_pop(struct scheduler *s, struct scheduler_lane *lane)
{
    struct scheduler_item *item = lane->first;
    lane->first = item->next;
    if (lane->first == NULL) {
        lane->last = NULL;
    }
    item->next = NULL;
    if (lane->ready-- == large_lane(s)) {
        s->large_lanes--;
    }
    lane->group->ready--;
    s->ready--;
    return item;
}

/* Puts the item last. */
static void lane_push(struct scheduler *s, struct scheduler_lane *lane,
                      struct scheduler_item *item)
{
    item->next = NULL;
    *(lane->last ? &lane->last->next : &lane->first) = item;
    lane->last = item;
    if (++lane->ready == large_lane(s)) {
        s->large_lanes++;
    }
    lane->group->ready++;
    s->ready++;
}

static struct scheduler_item *lane_run(struct scheduler *s, struct scheduler_lane *lane)
{
    struct scheduler_item *item = lane_pop(s, lane);
    lane->running++;
    s->running++;
    /* The lane goes to the end of its ring, the channel to the end of all: the next turn
     * is another one's. */
    if (lane->ring) {
        ring_remove(lane);
    }
    lane_place(s, lane);
    group_unlink(s, lane->group);
    group_append(s, lane->group);
    return item;
}

static struct scheduler_lane *large_lane_find(const struct scheduler *s)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct scheduler_lane *lane = s->buckets[i]; lane;
             lane = lane->same_bucket) {
            if (lane->ready >= large_lane(s)) {
                return lane;
            }
        }
    }
    return NULL;
}

/* The oldest goes: it costs a walk over thousands of entries to find the youngest, and
 * whatever goes comes back by its due time. */
static struct scheduler_item *lane_drop(struct scheduler *s, struct scheduler_lane *lane)
{
    struct scheduler_item *item = lane_pop(s, lane);
    item->lane = NULL;
    lane_place(s, lane);
    lane_leave(s, lane);
    return item;
}

/* The channel with more than half of all that is held, which may start nothing because a
 * gate is full. */
static struct group *blocked_group(const struct scheduler *s)
{
    struct group *g = s->first;
    while (g && (g->ready <= s->held_entries / 2 || !group_full(g, SCHEDULER_GATES))) {
        g = g->after;
    }
    return g;
}

bool scheduler_blocked(const struct scheduler *s)
{
    return blocked_group(s) != NULL;
}

struct scheduler_item *scheduler_evict_blocked(struct scheduler *s)
{
    struct group *g = blocked_group(s);
    struct scheduler_lane *lane = g == NULL ? NULL : ring_any(g);
    return lane != NULL ? lane_drop(s, lane) : NULL;
}

struct scheduler_item *scheduler_evict(struct scheduler *s)
{
    if (s->large_lanes == 0) {
        return scheduler_evict_blocked(s);
    }
    struct scheduler_lane *lane = large_lane_find(s);
    check(lane != NULL);
    return lane_drop(s, lane);
}

unsigned scheduler_blocked_channels(const struct scheduler *s, unsigned least, str *names,
                                    unsigned max)
{
    unsigned n = 0;
    for (const struct group *g = s->first; g && n < max; g = g->after) {
        if (g->ready >= least && group_full(g, SCHEDULER_GATES)) {
            names[n++] = group_name(g);
        }
    }
    return n;
}

unsigned scheduler_backlogs(const struct scheduler *s, unsigned least,
                            struct scheduler_item **first, unsigned max)
{
    unsigned n = 0;
    for (size_t i = 0; i < BUCKETS && s->ready >= least; i++) {
        for (struct scheduler_lane *lane = s->buckets[i]; lane && n < max;
             lane = lane->same_bucket) {
            if (lane->ready >= least) {
                first[n++] = lane->first;
            }
        }
    }
    return n;
}

/* --- order --- */

void scheduler_add(struct scheduler *s, struct scheduler_item *item, str channel,
                   str host, const struct scheduler_rules *rules)
{
    check(item->lane == NULL);
    struct group *g = group_get(s, channel);
    struct scheduler_lane *lane = lane_get(s, g, host);
    g->rules = rules != NULL ? *rules : (struct scheduler_rules){0};
    item->lane = lane;
    lane_push(s, lane, item);
    lane_place(s, lane);
}

void scheduler_revise(struct scheduler *s, scheduler_rules_of rules_of, void *arg)
{
    for (struct group *g = s->first; g; g = g->after) {
        rules_of(group_name(g), &g->rules, arg);
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct scheduler_lane *lane = s->buckets[i]; lane;
             lane = lane->same_bucket) {
            lane_place(s, lane);
        }
    }
}

/* The lane of that group which may start next, as far as only the worker is asked. */
static struct scheduler_lane *group_lane(const struct scheduler *s, const struct group *g,
                                         bool fresh)
{
    return fresh ? g->fresh.first : s->running < busy_limit(s) ? g->busy.first : NULL;
}

bool scheduler_can_start(const struct scheduler *s)
{
    if (s->running >= s->limits.per_worker) {
        return false;
    }
    for (const struct group *g = s->first; g; g = g->after) {
        if ((group_lane(s, g, true) || group_lane(s, g, false)) && group_open(s, g)) {
            return true;
        }
    }
    return false;
}

struct scheduler_item *scheduler_start(struct scheduler *s)
{
    for (int pass = 0; pass < 2 && s->running < s->limits.per_worker; pass++) {
        for (struct group *g = s->first; g; g = g->after) {
            struct scheduler_lane *lane = group_lane(s, g, pass == 0);
            if (lane && !group_yields(s, g) && group_enter(s, g)) {
                struct scheduler_item *item = lane_run(s, lane);
                memcpy(item->gates, g->rules.gates, sizeof item->gates);
                return item;
            }
        }
    }
    memset(s->yielded, 0, sizeof s->yielded);
    return NULL;
}

static void gates_hand_on(struct scheduler_item *from, struct scheduler_item *to)
{
    memcpy(to->gates, from->gates, sizeof to->gates);
    memset(from->gates, 0, sizeof from->gates);
}

struct scheduler_item *scheduler_take(struct scheduler *s, struct scheduler_item *running)
{
    struct scheduler_lane *lane = running->lane;
    check(lane != NULL && lane->running > 0);
    if (lane->ready == 0 || lane_owes(s, lane)) {
        return NULL;
    }
    struct scheduler_item *item = lane_run(s, lane);
    gates_hand_on(running, item);
    return item;
}

void scheduler_return_gates(struct scheduler_item *taken, struct scheduler_item *running)
{
    gates_hand_on(taken, running);
}

void scheduler_finish(struct scheduler *s, struct scheduler_item *item)
{
    struct scheduler_lane *lane = item->lane;
    check(lane != NULL && lane->running > 0);
    item->lane = NULL;
    item_leave(s, item);
    lane->running--;
    s->running--;
    lane_place(s, lane);
    lane_leave(s, lane);
}

struct scheduler_item *scheduler_drop(struct scheduler *s)
{
    if (s->ready == 0) {
        return NULL;
    }
    struct scheduler_lane *lane = NULL;
    for (struct group *g = s->first; lane == NULL && g; g = g->after) {
        lane = ring_any(g);
    }
    for (size_t i = 0; lane == NULL && i < BUCKETS; i++) {
        for (lane = s->buckets[i]; lane && lane->ready == 0; lane = lane->same_bucket) {
            continue;
        }
    }
    check(lane != NULL);
    return lane_drop(s, lane);
}

/* Takes items out of one lane, in their order, and puts them behind *last. */
static struct scheduler_item **
lane_sweep(struct scheduler *s, struct scheduler_lane *lane,
           bool (*take)(const struct scheduler_item *item, void *arg), void *arg,
           struct scheduler_item **last)
{
    struct scheduler_item *item = lane->first, *next;
    for (unsigned n = lane->ready; n > 0; n--) {
        next = item->next;
        check(lane_pop(s, lane) == item);
        if (take(item, arg)) {
            *last = item;
            last = &item->next;
        } else { /* to the end: after as many turns the order is as it was */
            lane_push(s, lane, item);
        }
        item = next;
    }
    return last;
}

void scheduler_sweep(struct scheduler *s,
                     bool (*take)(const struct scheduler_item *item, void *arg),
                     void (*gone)(struct scheduler_item *item, void *arg), void *arg)
{
    struct scheduler_item *list = NULL, **last = &list;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (struct scheduler_lane *lane = s->buckets[i]; lane;
             lane = lane->same_bucket) {
            last = lane_sweep(s, lane, take, arg, last);
        }
    }
    while (list != NULL) {
        struct scheduler_item *item = list;
        struct scheduler_lane *lane = item->lane;
        list = item->next;
        item->next = NULL;
        item->lane = NULL;
        lane_place(s, lane);
        if (list == NULL || list->lane != lane) { /* the last of its lane */
            lane_leave(s, lane);
        }
        gone(item, arg);
    }
}

unsigned scheduler_ready(const struct scheduler *s)
{
    return s->ready;
}

unsigned scheduler_running(const struct scheduler *s)
{
    return s->running;
}
