/* scheduler: lanes in a hash table, and two rings of those that may start something:
 * `fresh` (nothing running there) and `busy`. A lane is in at most one ring; one that
 * is at its limit, or has nothing ready, is in none. */
#include "router/scheduler.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { BUCKETS = 4096 };

struct ring {
    struct scheduler_lane *first, *last;
};

struct scheduler_lane {
    struct scheduler_lane *same_bucket;
    struct ring *ring; /* NULL: in none */
    struct scheduler_lane *before, *after;
    struct scheduler_item *first, *last; /* ready */
    unsigned ready, running;
    size_t channel_len, host_len;
    char key[]; /* channel, then host */
};

struct scheduler {
    struct scheduler_limits limits;
    struct ring fresh, busy;
    unsigned ready, running;
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

/* Puts the lane where its counts say; at the end, when that is a new place. */
static void lane_place(struct scheduler *s, struct scheduler_lane *lane)
{
    struct ring *want = NULL;
    if (lane->ready > 0 && lane->running < s->limits.per_lane) {
        want = lane->running == 0 ? &s->fresh : &s->busy;
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

/* --- lanes --- */

static str lane_channel(const struct scheduler_lane *lane)
{
    return str_n(lane->key, lane->channel_len);
}

static str lane_host(const struct scheduler_lane *lane)
{
    return str_n(lane->key + lane->channel_len, lane->host_len);
}

static struct scheduler_lane **lane_bucket(struct scheduler *s, str channel, str host)
{
    return &s->buckets[(str_ihash(host) * 31 + str_ihash(channel)) % BUCKETS];
}

static struct scheduler_lane *lane_get(struct scheduler *s, str channel, str host)
{
    struct scheduler_lane **bucket = lane_bucket(s, channel, host);
    for (struct scheduler_lane *lane = *bucket; lane; lane = lane->same_bucket) {
        if (str_ieq(lane_host(lane), host) && str_ieq(lane_channel(lane), channel)) {
            return lane;
        }
    }
    struct scheduler_lane *lane = calloc(1, sizeof *lane + channel.len + host.len);
    check(lane != NULL);
    lane->channel_len = channel.len;
    lane->host_len = host.len;
    if (channel.len > 0) {
        memcpy(lane->key, channel.ptr, channel.len);
    }
    if (host.len > 0) {
        memcpy(lane->key + channel.len, host.ptr, host.len);
    }
    lane->same_bucket = *bucket;
    *bucket = lane;
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
    struct scheduler_lane **at = lane_bucket(s, lane_channel(lane), lane_host(lane));
    while (*at != lane) {
        at = &(*at)->same_bucket;
    }
    *at = lane->same_bucket;
    s->lanes--;
    free(lane);
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
    /* The lane goes to the end of its ring: the next turn is another one's. */
    if (lane->ring) {
        ring_remove(lane);
    }
    lane_place(s, lane);
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

/* --- order --- */

void scheduler_add(struct scheduler *s, struct scheduler_item *item, str channel,
                   str host)
{
    check(item->lane == NULL);
    struct scheduler_lane *lane = lane_get(s, channel, host);
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

/* The lane whose turn it is, or NULL. */
static struct scheduler_lane *next_lane(const struct scheduler *s)
{
    if (s->running >= s->limits.per_worker) {
        return NULL;
    }
    if (s->fresh.first) {
        return s->fresh.first;
    }
    return s->running < busy_limit(s) ? s->busy.first : NULL;
}

bool scheduler_can_start(const struct scheduler *s)
{
    return next_lane(s) != NULL;
}

struct scheduler_item *scheduler_start(struct scheduler *s)
{
    struct scheduler_lane *lane = next_lane(s);
    return lane ? lane_run(s, lane) : NULL;
}

/* Has the lane more than its share of the places, while another one waits for them? A
 * lane within its share keeps its connections; one above gives one up each time. */
static bool lane_owes(const struct scheduler *s, const struct scheduler_lane *lane)
{
    const struct ring *busy = &s->busy;
    bool busy_waits = busy->first && (busy->first != lane || busy->last != lane);
    bool full = s->running >= s->limits.per_worker && (s->fresh.first || busy_waits);
    if (!full && !(s->running >= busy_limit(s) && busy_waits)) {
        return false;
    }
    return lane->running > busy_limit(s) / s->lanes;
}

struct scheduler_item *scheduler_take(struct scheduler *s, struct scheduler_item *running)
{
    struct scheduler_lane *lane = running->lane;
    check(lane != NULL && lane->running > 0);
    if (lane->ready == 0 || lane_owes(s, lane)) {
        return NULL;
    }
    return lane_run(s, lane);
}

void scheduler_finish(struct scheduler *s, struct scheduler_item *item)
{
    struct scheduler_lane *lane = item->lane;
    check(lane != NULL && lane->running > 0);
    item->lane = NULL;
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
    struct scheduler_lane *lane = s->fresh.first ? s->fresh.first : s->busy.first;
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

unsigned scheduler_ready(const struct scheduler *s)
{
    return s->ready;
}

unsigned scheduler_running(const struct scheduler *s)
{
    return s->running;
}
