/* scheduler: lanes in a hash table, and for each channel two rings of those that may
 * start something: `fresh` (nothing running there) and `busy`. A lane is in at most one
 * ring; one that is at its limit, or has nothing ready, is in none. */
#include "router/scheduler.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { BUCKETS = 4096 };

struct ring {
    struct scheduler_lane *first, *last;
};

/* The lanes of one channel. */
struct group {
    struct group *before, *after; /* in the order of their turns */
    struct ring fresh, busy;
    struct scheduler_rules rules;
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
    unsigned held_entries;
    size_t held_bytes;
    unsigned lanes;
    unsigned large_lanes; /* with at least large_lane() ready */
    struct scheduler_lane *buckets[BUCKETS];
};

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

/* Whoever is refused has said before that it waits, so nobody who leaves can miss it. */
static bool gate_open(struct scheduler_gate *gate)
{
    unsigned limit = gate != NULL ? gate->limit : 0;
    if (limit == 0) {
        return true;
    }
    if (gate->running >= limit) {
        gate->wanted = true;
    }
    return gate->running < limit;
}

static bool gate_enter(struct scheduler_gate *gate)
{
    unsigned limit = gate != NULL ? gate->limit : 0;
    if (gate == NULL) {
        return true;
    }
    unsigned running = gate->running;
    while (limit == 0 || running < limit || gate_open(gate)) {
        if (atomic_compare_exchange_weak(&gate->running, &running, running + 1)) {
            return true;
        }
    }
    return false;
}

static void gate_leave(struct scheduler *s, struct scheduler_item *item)
{
    struct scheduler_gate *gate = item->gate;
    item->gate = NULL;
    if (gate != NULL) {
        check(gate->running > 0);
        gate->running--;
        s->gate_freed = atomic_exchange(&gate->wanted, false) || s->gate_freed;
    }
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
    s->ready--;
    return item;
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

struct scheduler_item *scheduler_evict(struct scheduler *s)
{
    if (s->large_lanes == 0) {
        return NULL;
    }
    struct scheduler_lane *lane = large_lane_find(s);
    check(lane != NULL);
    /* The oldest goes: it costs a walk over thousands of entries to find the youngest,
     * and whatever goes comes back by its due time. */
    struct scheduler_item *item = lane_pop(s, lane);
    item->lane = NULL;
    lane_place(s, lane);
    return item;
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
    item->next = NULL;
    *(lane->last ? &lane->last->next : &lane->first) = item;
    lane->last = item;
    if (++lane->ready == large_lane(s)) {
        s->large_lanes++;
    }
    s->ready++;
    lane_place(s, lane);
}

/* Places that lanes with something running already may fill. */
static unsigned busy_limit(const struct scheduler *s)
{
    return s->limits.per_worker - s->limits.per_worker / 4;
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
        if ((group_lane(s, g, true) || group_lane(s, g, false)) &&
            gate_open(g->rules.gate)) {
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
            struct scheduler_gate *gate = g->rules.gate;
            if (lane && gate_enter(gate)) {
                struct scheduler_item *item = lane_run(s, lane);
                item->gate = gate;
                return item;
            }
        }
    }
    return NULL;
}

/* Does another lane wait in one of these rings? One of a channel at its own limit does
 * not wait for our places. */
static bool others_wait(const struct scheduler *s, const struct scheduler_lane *lane,
                        bool fresh)
{
    for (const struct group *g = s->first; g; g = g->after) {
        const struct ring *ring = fresh ? &g->fresh : &g->busy;
        bool other = ring->first && (ring->first != lane || ring->last != lane);
        if (other && (g == lane->group || gate_open(g->rules.gate))) {
            return true;
        }
    }
    return false;
}

/* Has the lane more than its share of the places, while another one waits for them? A
 * lane within its share keeps its connections; one above gives one up each time. */
static bool lane_owes(const struct scheduler *s, const struct scheduler_lane *lane)
{
    struct scheduler_gate *gate = lane->group->rules.gate;
    unsigned share = busy_limit(s) / s->lanes, limit = gate != NULL ? gate->limit : 0;
    bool crowded = s->running >= busy_limit(s), full = s->running >= s->limits.per_worker;
    if (limit > 0 && gate->running >= limit) {
        /* the channel is full: one of its lanes may want the place */
        const struct group *g = lane->group;
        bool waits = g->fresh.first ||
                     (g->busy.first && (g->busy.first != lane || g->busy.last != lane));
        return waits && lane->running > limit / g->lanes;
    }
    if (!crowded ||
        !((full && others_wait(s, lane, true)) || others_wait(s, lane, false))) {
        return false;
    }
    return lane->running > share;
}

struct scheduler_item *scheduler_take(struct scheduler *s, struct scheduler_item *running)
{
    struct scheduler_lane *lane = running->lane;
    check(lane != NULL && lane->running > 0);
    if (lane->ready == 0 || lane_owes(s, lane)) {
        return NULL;
    }
    struct scheduler_item *item = lane_run(s, lane);
    item->gate = running->gate; /* its place in the channel is handed on */
    running->gate = NULL;
    return item;
}

void scheduler_return_gate(struct scheduler_item *taken, struct scheduler_item *running)
{
    running->gate = taken->gate;
    taken->gate = NULL;
}

void scheduler_finish(struct scheduler *s, struct scheduler_item *item)
{
    struct scheduler_lane *lane = item->lane;
    check(lane != NULL && lane->running > 0);
    item->lane = NULL;
    gate_leave(s, item);
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
        lane = g->fresh.first ? g->fresh.first : g->busy.first;
    }
    for (size_t i = 0; lane == NULL && i < BUCKETS; i++) {
        for (lane = s->buckets[i]; lane && lane->ready == 0; lane = lane->same_bucket) {
            continue;
        }
    }
    check(lane != NULL);
    struct scheduler_item *item = lane_pop(s, lane);
    item->lane = NULL;
    lane_place(s, lane);
    lane_leave(s, lane);
    return item;
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
            item->next = NULL;
            *(lane->last ? &lane->last->next : &lane->first) = item;
            lane->last = item;
            if (++lane->ready == large_lane(s)) {
                s->large_lanes++;
            }
            s->ready++;
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
