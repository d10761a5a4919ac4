/* tcp_delivery_idle: connections to next hops that wait for another message, of one
 * worker; see tcp_delivery.h. Such a connection is no job: nothing is scheduled by it, it
 * holds no place of a limit, and nobody waits for it. */
#include <stddef.h>
#include <stdlib.h>

#include "channels/tcp_delivery.h"

enum {
    IDLE_MS = 2000,          /* unless the channel's option file says otherwise */
    LIFE_MS = 5 * 60 * 1000, /* an older one is not kept: a better host may be back */
    IDLE_MAX = 100,          /* kept by a worker, */
    IDLE_PER_HOP_MAX = 10,   /* for one next hop of a channel */
    /* Unless the channel's option file says otherwise: on a connection; and on one that
     * is kept, because Exim as it comes leaves what is beyond to its next queue run. */
    MESSAGES_MAX = 100,
    MESSAGES_KEPT_MAX = 10,
    END_LINGER_MS = 1000 /* for QUIT to leave: well within the end of the daemon */
};

/* --- the list --- */

static void idle_add(struct tcp_delivery *d)
{
    struct worker *w = d->worker;
    d->idle_next = w->idle;
    d->idle_prev = &w->idle;
    if (d->idle_next) {
        d->idle_next->idle_prev = &d->idle_next;
    }
    w->idle = d;
    d->idle = true;
    counter_add(&w->counters.connections_idle, 1);
}

static void idle_remove(struct tcp_delivery *d)
{
    if (!d->idle) {
        return;
    }
    *d->idle_prev = d->idle_next;
    if (d->idle_next) {
        d->idle_next->idle_prev = d->idle_prev;
    }
    d->idle_next = NULL;
    d->idle_prev = NULL;
    d->idle = false;
    counter_add(&d->worker->counters.connections_idle, -1);
}

static bool same_next_hop(const struct tcp_delivery *d, const struct channel *c, str host)
{
    return d->channel == c && str_ieq(str_from(d->next_hop), host);
}

/* --- their end --- */

/* Nobody waits for the reply to QUIT. */
void delivery_leave(struct tcp_delivery *d)
{
    if (d->idle) {
        idle_remove(d);
        smtp_client_quit(d->machine);
        delivery_flush(d);
    }
    stream_close(d->stream, END_LINGER_MS);
}

static void on_shut(struct worker *w, struct worker_session *s)
{
    (void)w;
    delivery_leave(
        (struct tcp_delivery *)((char *)s - offsetof(struct tcp_delivery, session)));
}

void delivery_without_job(struct tcp_delivery *d)
{
    d->session.shut = on_shut;
    worker_session_add(d->worker, &d->session);
}

void delivery_with_job(struct tcp_delivery *d)
{
    idle_remove(d);
    if (d->session.prev) {
        worker_session_remove(d->worker, &d->session);
    }
}

/* --- keeping --- */

static int64_t age_ms(const struct tcp_delivery *d)
{
    return (int64_t)uv_now(&d->worker->loop) - d->began_ms;
}

static bool has_carried(const struct tcp_delivery *d, unsigned usual)
{
    unsigned ours = d->channel->tcp.attempt_transactions;
    uint64_t theirs = smtp_client_mail_limit(d->machine);
    return d->messages >= (ours > 0 ? ours : usual) ||
           (theirs > 0 && d->messages >= theirs);
}

bool delivery_may_go_on(const struct tcp_delivery *d)
{
    return !has_carried(d, MESSAGES_MAX) && !d->worker->stopping &&
           d->worker->current == d->runtime && delivery_tls_is_current(d);
}

/* How many connections a worker may keep for a next hop. maxjobs counts jobs, but it is
 * there for the sake of the host: what all workers keep is no more. */
static unsigned kept_max(const struct tcp_delivery *d)
{
    unsigned share = d->channel->opts.maxjobs / d->worker->daemon->worker_count;
    return share < IDLE_PER_HOP_MAX ? share : IDLE_PER_HOP_MAX;
}

static bool has_room(const struct tcp_delivery *d)
{
    unsigned kept = 0;
    for (const struct tcp_delivery *i = d->worker->idle; i; i = i->idle_next) {
        kept += same_next_hop(i, d->channel, str_from(d->next_hop));
    }
    return kept < kept_max(d);
}

/* The one that has waited longest makes room. */
static void make_room(struct worker *w)
{
    struct tcp_delivery *last = w->idle;
    unsigned all = 0;
    for (struct tcp_delivery *i = w->idle; i; i = i->idle_next) {
        last = i;
        all++;
    }
    if (all >= IDLE_MAX) {
        delivery_leave(last);
    }
}

/* A connection in clear because TLS failed is an exception for one message, and so is the
 * host of `lastresort`: what comes next begins with what is better. */
static bool worth_keeping(const struct tcp_delivery *d)
{
    enum cache_mode mode = d->channel->opts.cache;
    bool keeps = mode == CACHE_EVERYTHING || mode == CACHE_SUCCESSES;
    return keeps && delivery_may_go_on(d) && !has_carried(d, MESSAGES_KEPT_MAX) &&
           !d->clear && age_ms(d) < LIFE_MS && !tcp_hosts_at_last(d->hosts) &&
           smtp_client_may_rest(d->machine) && has_room(d);
}

static unsigned idle_ms(const struct tcp_delivery *d)
{
    unsigned ms = d->channel->tcp.connection_idle_ms;
    int64_t left = LIFE_MS - age_ms(d);
    ms = ms > 0 ? ms : IDLE_MS;
    return left < (int64_t)ms ? (unsigned)left : ms;
}

bool delivery_idle_keep(struct tcp_delivery *d)
{
    if (!worth_keeping(d)) {
        return false;
    }
    make_room(d->worker);
    idle_add(d);
    arena_reset(d->arena, d->empty);
    free(d->chunk);
    d->chunk = NULL;
    stream_deadline(d->stream, idle_ms(d));
    return true;
}

/* --- using again --- */

struct tcp_delivery *delivery_idle_take(struct worker *w, const struct job *job)
{
    struct tcp_delivery *next;
    for (struct tcp_delivery *d = w->idle; d; d = next) {
        next = d->idle_next;
        if (d->runtime == job->runtime && !same_next_hop(d, job->channel, job->host)) {
            continue;
        }
        if (d->runtime == job->runtime && delivery_may_go_on(d) &&
            delivery_tls_is_as_wanted(d)) {
            return d;
        }
        delivery_leave(d); /* it is of no use any more */
    }
    return NULL;
}
