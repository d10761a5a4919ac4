/* dispatch: what is in memory, and when to look at the queue. It stands between enqueue
 * (fresh messages), the queue (due ones) and job.c, which runs what may start. */
#include "router/dispatch.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/body.h"
#include "router/dispatch_state.h"
#include "router/gates.h"
#include "router/runtime.h"
#include "tables/snapshot.h"

enum {
    CLAIM_MAX = 100,             /* entries asked for at a time */
    CLAIM_EVERY_MS = 60 * 1000,  /* another worker may have given something back */
    CLAIM_SOONEST_MS = 10,       /* never spin */
    CLAIM_BEHIND_MS = 500,       /* what is due stands back */
    BACKLOG = CLAIM_MAX,         /* so many ready for a next hop are enough */
    CLOSED_MS = 30 * 1000,       /* nobody is there: so long it stands back */
    CLAIM_AFTER_ERROR_MS = 5000, /* the store failed */
    CLAIM_ERRORS_LOGGED = 12,    /* one line a minute while it goes on failing */
    SETTLE_EVERY_MS = 3000,
    STARTS_PER_TURN = 64 /* then the sockets have their turn */
};

/* --- one parcel --- */

static struct parcel *parcel_new(struct dispatch *d, struct queue_message *m)
{
    size_t size = sizeof(struct parcel) + m->entry_count * sizeof(struct delivery);
    struct parcel *p = calloc(1, size);
    check(p != NULL && m->entry_count > 0);
    p->message = m;
    p->bytes = body_part(m->body, 0).ptr != NULL ? (size_t)body_size(m->body) : 0;
    for (unsigned i = 0; i < m->header_count; i++) {
        p->bytes += (size_t)body_size(m->headers[i].text);
    }
    for (unsigned i = 0; i < m->entry_count; i++) {
        if (queue_entry_born_claimed(&m->entries[i])) {
            struct delivery *delivery = &p->deliveries[p->open++];
            delivery->dispatch = d;
            delivery->parcel = p;
            delivery->entry = &m->entries[i];
        }
    }
    return p;
}

void dispatch_forget(struct delivery *delivery)
{
    struct dispatch *d = delivery->dispatch;
    struct parcel *p = delivery->parcel;
    check(p->open > 0 && delivery->item.lane == NULL && delivery->settling == NULL);
    delivery_clear(delivery);
    p->open--;
    scheduler_unhold(d->scheduler, 1, p->open == 0 ? p->bytes : 0);
    if (p->open == 0) {
        queue_message_free(&p->message);
        free(p);
    }
}

void dispatch_give_back(struct delivery *delivery)
{
    struct worker *w = delivery->dispatch->worker;
    queue_release(w->daemon->queue, delivery->entry->id, worker_now_ms(w));
    dispatch_forget(delivery);
}

/* --- taking in --- */

/* Makes room for n entries and that many bytes at the cost of a destination with a large
 * backlog. */
static bool make_room(struct dispatch *d, unsigned n, size_t bytes)
{
    while (!scheduler_room(d->scheduler, n, bytes)) {
        struct scheduler_item *item = scheduler_evict(d->scheduler);
        if (item == NULL) {
            return false;
        }
        dispatch_give_back((struct delivery *)item);
        d->more = true;
    }
    return true;
}

/* An operator has stopped its channel. What goes back to its sender does not go there. */
static bool may_not_go(const struct dispatch *d, const struct queue_entry *e)
{
    return !e->returned && queue_channel_stopped(d->worker->daemon->queue, e->channel);
}

/* The claimed entries of m; those set aside or due later are the queue's alone. */
static void take_in(struct dispatch *d, struct queue_message *m, bool claimed)
{
    struct parcel *p = parcel_new(d, m);
    unsigned n = p->open; /* the parcel goes with its last entry */
    if (n == 0) {
        queue_message_free(&p->message);
        free(p);
        return;
    }
    /* What was claimed was asked for with the room in mind. */
    bool room = !d->stopping && (claimed || make_room(d, n, p->bytes));
    scheduler_hold(d->scheduler, n, p->bytes);
    for (unsigned i = 0; i < n; i++) {
        struct delivery *delivery = &p->deliveries[i];
        if (!room || may_not_go(d, delivery->entry)) {
            dispatch_give_back(delivery);
        } else {
            delivery_add(delivery, claimed);
        }
    }
    if (!room) {
        d->more = true;
    }
    dispatch_pump_soon(d);
}

/* --- looking at the queue --- */

static void on_claim_timer(uv_timer_t *timer);

static void claim_in(struct dispatch *d, int64_t delay_ms)
{
    if (d->stopping) {
        return;
    }
    if (delay_ms < CLAIM_SOONEST_MS) {
        delay_ms = CLAIM_SOONEST_MS;
    }
    if (delay_ms > CLAIM_EVERY_MS) {
        delay_ms = CLAIM_EVERY_MS;
    }
    bool sooner = uv_is_active((uv_handle_t *)&d->claim_timer) &&
                  uv_timer_get_due_in(&d->claim_timer) <= (uint64_t)delay_ms;
    if (!sooner) {
        check(uv_timer_start(&d->claim_timer, on_claim_timer, (uint64_t)delay_ms, 0) ==
              0);
    }
}

void dispatch_due_at(struct dispatch *d, int64_t at_ms)
{
    claim_in(d, at_ms - worker_now_ms(d->worker));
}

/* Some of its entries may have to wait before they are tried first. */
static void due_later(struct dispatch *d, const struct queue_message *m)
{
    for (unsigned i = 0; i < m->entry_count; i++) {
        if (m->entries[i].not_before_ms > 0) {
            dispatch_due_at(d, m->entries[i].not_before_ms);
        }
    }
}

void dispatch_add(struct worker *w, struct queue_message *m)
{
    if (w->dispatch == NULL) {
        /* Committed while the daemon ended: the next start finds it in the queue. */
        queue_message_free(&m);
        return;
    }
    due_later(w->dispatch, m);
    take_in(w->dispatch, m, false);
}

static void claim_failed(struct dispatch *d, const struct queue_result *r)
{
    if (d->claim_errors++ % CLAIM_ERRORS_LOGGED == 0) {
        struct log_line line;
        log_begin(&line, d->worker->daemon->log, LOG_ERROR);
        log_cstr(&line, "what", "the queue cannot be read");
        log_cstr(&line, "reason", r->reason);
        log_end(&line);
    }
    claim_in(d, CLAIM_AFTER_ERROR_MS);
}

static void on_claimed(struct worker *w, struct queue_message **messages, unsigned count,
                       int64_t next_due_ms, const struct queue_result *r, void *arg)
{
    struct dispatch *d = arg;
    d->claiming = false;
    dispatch_pump_soon(d);
    if (!r->ok) {
        claim_failed(d, r);
        return;
    }
    d->claim_errors = 0;
    d->more = d->lane_count > 0 ? count > 0 : count == d->claim_limit;
    for (unsigned i = 0; i < count; i++) {
        take_in(d, messages[i], true);
    }
    claim_in(d, CLAIM_EVERY_MS);
    if (next_due_ms > 0 && !d->more && d->lane_count > 0) {
        claim_in(d, CLAIM_BEHIND_MS); /* what is due may be passed over */
    } else if (next_due_ms > 0 && !d->more) {
        dispatch_due_at(d, next_due_ms);
    }
    if (d->claim_again) {
        dispatch_wake(w);
    }
}

static int64_t loop_ms(const struct dispatch *d)
{
    return (int64_t)uv_now(&d->worker->loop);
}

void dispatch_close_lane(struct dispatch *d, const struct queue_entry *e)
{
    struct closed_lane *at = &d->closed[0];
    for (unsigned i = 0; i < LANES_BEHIND_MAX; i++) {
        struct closed_lane *c = &d->closed[i];
        if (str_ieq(str_from(c->channel), e->channel) &&
            str_ieq(str_from(c->host), e->host)) {
            at = c;
            break;
        }
        at = c->until_ms < at->until_ms ? c : at;
    }
    if (e->channel.len < sizeof at->channel && e->host.len < sizeof at->host) {
        snprintf(at->channel, sizeof at->channel, "%.*s", STR_ARG(e->channel));
        snprintf(at->host, sizeof at->host, "%.*s", STR_ARG(e->host));
        at->until_ms = loop_ms(d) + CLOSED_MS;
    }
}

static void lane_behind(struct dispatch *d, str channel, str host, bool last)
{
    struct queue_lane *l = &d->lanes[d->lane_count++];
    l->channel = arena_str(d->lane_arena, channel);
    l->host = host.ptr != NULL ? arena_str(d->lane_arena, host) : STR_NONE;
    l->last = last;
}

/* Which next hops stand back: those with enough in memory, and those where nobody is; and
 * channels with enough in memory that have reached their limits. */
static void lanes_behind(struct dispatch *d)
{
    struct scheduler_item *first[LANES_BEHIND_MAX];
    str blocked[LANES_BEHIND_MAX];
    unsigned n = scheduler_backlogs(d->scheduler, BACKLOG, first, LANES_BEHIND_MAX);
    arena_free(&d->lane_arena);
    d->lane_arena = arena_new();
    d->lane_count = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct queue_entry *e = ((struct delivery *)first[i])->entry;
        lane_behind(d, e->channel, e->host, false);
    }
    for (unsigned i = 0; i < LANES_BEHIND_MAX; i++) {
        const struct closed_lane *c = &d->closed[i];
        if (c->until_ms > loop_ms(d)) {
            lane_behind(d, str_from(c->channel), str_from(c->host), true);
        }
    }
    n = scheduler_blocked_channels(d->scheduler, BACKLOG, blocked, LANES_BEHIND_MAX);
    for (unsigned i = 0; i < n; i++) {
        lane_behind(d, blocked[i], STR_NONE, false);
    }
}

/* For how many entries is there room, once what a blocked channel has too much of went
 * back to the queue? */
static unsigned claim_space(struct dispatch *d)
{
    struct scheduler_item *item;
    unsigned space;
    while ((space = scheduler_space(d->scheduler, BODY_INLINE_MAX)) < CLAIM_MAX &&
           (item = scheduler_evict_blocked(d->scheduler)) != NULL) {
        dispatch_give_back((struct delivery *)item);
    }
    return space;
}

static void claim_now(struct dispatch *d)
{
    unsigned space = claim_space(d);
    d->claim_limit = space < CLAIM_MAX ? space : CLAIM_MAX;
    if (d->claim_limit == 0) {
        d->more = true; /* asked for when there is room */
        return;
    }
    d->claiming = true;
    d->claim_again = false;
    lanes_behind(d);
    queue_claim_beside(d->worker->daemon->queue, d->worker, d->claim_limit,
                       worker_now_ms(d->worker), d->lanes, d->lane_count, on_claimed, d);
}

void dispatch_wake(struct worker *w)
{
    struct dispatch *d = w->dispatch;
    if (d->stopping) {
        return;
    }
    if (d->claiming) {
        d->claim_again = true;
    } else {
        claim_now(d);
    }
}

static void on_wake_task(struct worker *w, struct task *t)
{
    free(t);
    if (w->dispatch != NULL) { /* it may have ended since */
        dispatch_wake(w);
    }
}

void dispatch_wake_soon(struct worker *w)
{
    struct task *t = calloc(1, sizeof *t);
    check(t != NULL);
    t->run = on_wake_task;
    worker_post(w, t);
}

static void on_claim_timer(uv_timer_t *timer)
{
    struct dispatch *d = timer->data;
    dispatch_wake(d->worker);
    claim_in(d, CLAIM_EVERY_MS);
}

/* The queue has more that is due: get it once what is here runs low, or when nothing of
 * it may start (all of it waits for a host that is at its limit). */
static bool wants_more(const struct dispatch *d)
{
    return d->more && !d->claiming && !d->stopping &&
           (scheduler_ready(d->scheduler) < CLAIM_MAX / 2 ||
            !scheduler_can_start(d->scheduler)) &&
           (scheduler_space(d->scheduler, BODY_INLINE_MAX) > 0 ||
            scheduler_blocked(d->scheduler));
}

/* --- starting --- */

/* Stopping, and nothing is left that will call back. */
static void tell_idle(struct dispatch *d)
{
    if (d->idle_told || d->claiming || d->settling > 0 ||
        scheduler_running(d->scheduler) > 0) {
        return;
    }
    d->idle_told = true;
    d->on_idle(d->worker);
}

static void on_pump_timer(uv_timer_t *timer)
{
    struct dispatch *d = timer->data;
    if (d->stopping) {
        tell_idle(d);
        return;
    }
    for (unsigned i = 0; i < STARTS_PER_TURN; i++) {
        struct scheduler_item *item = scheduler_start(d->scheduler);
        if (item == NULL) {
            break;
        }
        delivery_start((struct delivery *)item);
    }
    if (scheduler_gate_freed(d->scheduler)) { /* taken for a moment, and given up */
        dispatch_pump_others(d);
    }
    if (scheduler_can_start(d->scheduler)) {
        /* Not 0: before libuv 1.45 that would run again before the sockets. */
        check(uv_timer_start(timer, on_pump_timer, 1, 0) == 0);
    }
    if (wants_more(d)) {
        claim_now(d);
    }
}

/* Through a timer, so that a driver is never entered from inside its own job_done(). */
void dispatch_pump_soon(struct dispatch *d)
{
    if (!uv_is_active((uv_handle_t *)&d->pump_timer)) {
        check(uv_timer_start(&d->pump_timer, on_pump_timer, 0, 0) == 0);
    }
}

static void on_pump_task(struct worker *w, struct task *t)
{
    free(t);
    if (w->dispatch != NULL) {
        dispatch_pump_soon(w->dispatch);
    }
}

void dispatch_pump_others(struct dispatch *d)
{
    struct daemon *daemon = d->worker->daemon;
    for (unsigned i = 0; i < daemon->worker_count; i++) {
        if (&daemon->workers[i] != d->worker) {
            struct task *t = calloc(1, sizeof *t);
            check(t != NULL);
            t->run = on_pump_task;
            worker_post(&daemon->workers[i], t);
        }
    }
}

static void channel_rules(str channel, struct scheduler_rules *rules, void *arg)
{
    struct worker *w = arg;
    *rules = gates_rules(w->daemon, snapshot_channel(w->current->snapshot, channel));
}

void dispatch_configured(struct worker *w)
{
    if (w->dispatch != NULL) {
        scheduler_revise(w->dispatch->scheduler, channel_rules, w);
        dispatch_pump_soon(w->dispatch);
    }
}

uint32_t dispatch_random(struct dispatch *d)
{
    d->random ^= d->random << 13; /* xorshift64 */
    d->random ^= d->random >> 7;
    d->random ^= d->random << 17;
    return (uint32_t)(d->random >> 32);
}

/* --- settling again --- */

static void on_retry_timer(uv_timer_t *timer)
{
    settle_retry(timer->data);
}

void dispatch_settle_later(struct dispatch *d)
{
    if (!uv_is_active((uv_handle_t *)&d->retry_timer)) {
        check(uv_timer_start(&d->retry_timer, on_retry_timer, SETTLE_EVERY_MS, 0) == 0);
    }
}

/* --- life --- */

static void timer_open(struct dispatch *d, uv_timer_t *timer)
{
    check(uv_timer_init(&d->worker->loop, timer) == 0);
    timer->data = d;
    d->handles_open++;
}

void dispatch_start(struct worker *w)
{
    struct dispatch *d = calloc(1, sizeof *d);
    check(d != NULL && w->dispatch == NULL);
    d->worker = w;
    d->scheduler = scheduler_new(&scheduler_limits_default);
    d->unsettled_last = &d->unsettled;
    if (uv_random(NULL, NULL, &d->random, sizeof d->random, 0, NULL) != 0) {
        d->random = (uint64_t)worker_now_ms(w) ^ (uint64_t)(uintptr_t)d;
    }
    d->random |= 1; /* never 0 */
    timer_open(d, &d->claim_timer);
    timer_open(d, &d->pump_timer);
    timer_open(d, &d->retry_timer);
    w->dispatch = d;
    claim_now(d);
    claim_in(d, CLAIM_EVERY_MS);
}

void dispatch_set_retry(struct worker *w, int64_t retry_ms)
{
    w->dispatch->retry_ms = retry_ms;
}

int64_t dispatch_retry_ms(const struct worker *w, const struct channel *c)
{
    int64_t least = c->retry[0].backoff_ms[0];
    for (unsigned i = 1; i < RETRY_CLASSES; i++) {
        least = c->retry[i].backoff_ms[0] < least ? c->retry[i].backoff_ms[0] : least;
    }
    return w->dispatch->retry_ms > 0 ? w->dispatch->retry_ms : least;
}

void dispatch_stop(struct worker *w, void (*on_idle)(struct worker *w))
{
    struct dispatch *d = w->dispatch;
    check(!d->stopping);
    d->stopping = true;
    d->on_idle = on_idle;
    uv_timer_stop(&d->claim_timer);
    struct scheduler_item *item;
    while ((item = scheduler_drop(d->scheduler)) != NULL) {
        dispatch_give_back((struct delivery *)item);
    }
    settle_retry(d); /* the last time: what fails now is found again at the next start */
    dispatch_pump_soon(d);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct dispatch *d = handle->data;
    if (--d->handles_open == 0) {
        free(d);
    }
}

void dispatch_free(struct worker *w)
{
    struct dispatch *d = w->dispatch;
    if (d == NULL) {
        return;
    }
    check(!d->claiming && d->settling == 0);
    w->dispatch = NULL;
    scheduler_free(&d->scheduler);
    arena_free(&d->lane_arena);
    uv_close((uv_handle_t *)&d->claim_timer, on_timer_closed);
    uv_close((uv_handle_t *)&d->pump_timer, on_timer_closed);
    uv_close((uv_handle_t *)&d->retry_timer, on_timer_closed);
}
