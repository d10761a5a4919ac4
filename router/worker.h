/* worker: one loop thread with its listening sockets, sessions and outbound
 * connections; a session lives and dies on one worker. Also the daemon's shared parts,
 * which are set once before the workers start. Nothing else mutable is shared. */
#ifndef ROUTER_WORKER_H
#define ROUTER_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "router/report_rate.h"

struct channel_gate;
struct dispatch;
struct dns;
struct life;
struct queue;
struct runtime;
struct services;
struct tcp_delivery;
struct worker;

/* Counters of one worker, written by its thread only (relaxed atomics), summed when
 * read: X(field, name in `pointsman status`). */
#define WORKER_COUNTERS(X)                                                               \
    X(sessions_open, "sessions open")                                                    \
    X(sessions_total, "sessions")                                                        \
    X(sessions_refused, "sessions refused by PORT_ACCESS")                               \
    X(messages_in, "messages accepted")                                                  \
    X(messages_refused, "messages refused after DATA")                                   \
    X(recipients_refused, "recipients refused")                                          \
    X(tls_in, "TLS handshakes in")                                                       \
    X(tls_in_failed, "TLS handshakes in, failed")                                        \
    X(tls_in_refused, "sessions refused by TLS_ACCESS and TLS_PEER_ACCESS")              \
    X(tls_out, "TLS handshakes out")                                                     \
    X(tls_out_failed, "TLS handshakes out, failed")                                      \
    X(tls_in_injected, "sessions with input injected behind STARTTLS")                   \
    X(tls_out_injected, "next hops with replies injected behind STARTTLS")               \
    X(tls_downgrades, "deliveries in clear after TLS failed")                            \
    X(tls_stripped, "next hops that had TLS lately and now have none")                   \
    X(deliveries_open, "deliveries in progress")                                         \
    X(deliveries_reused, "deliveries on a connection that had carried others")           \
    X(connections_idle, "connections kept for further deliveries")                       \
    X(delivered, "recipients delivered")                                                 \
    X(deferred, "recipients deferred")                                                   \
    X(failed, "recipients failed")                                                       \
    X(bounces, "notifications queued")

struct worker_counters {
#define COUNTER_FIELD(field, name) _Atomic int64_t field;
    WORKER_COUNTERS(COUNTER_FIELD)
#undef COUNTER_FIELD
};
static inline void counter_add(_Atomic int64_t *c, int64_t n)
{
    atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

/* How many sessions are open that came by services of one name, on all workers. It lives
 * as long as the daemon: sessions outlive the configuration they came by. */
struct session_count {
    _Atomic int64_t open;
    struct session_count *next;
    char name[];
};

/* What all workers share; filled in by main before the first worker runs. */
struct daemon {
    struct log *log;
    const struct clock *clock;
    struct queue *queue;
    struct dns *dns;
    struct worker *workers;
    unsigned worker_count;
    const struct channel_kind *const *kinds; /* NULL-terminated, from channels/kinds.c */
    _Atomic unsigned long session_serial;    /* session names in the log */
    struct session_count *_Atomic session_counts;
    struct named_gate *_Atomic gates; /* router/gates.h */
};
/* The count of that name (case-blind), made when there is none yet. Any thread. */
struct session_count *session_count(struct daemon *d, str name);
/* When all workers have ended. */
void session_counts_free(struct daemon *d);

/* Work posted to a worker from any thread; embedded in its owner. */
struct task {
    void (*run)(struct worker *w, struct task *t); /* on the worker's loop, once */
    struct task *next;
};

/* Something open on a worker that must end at shutdown (an inbound session); embedded
 * in its owner. shut() tells the peer and closes soon; it must not remove itself
 * inside the call. */
struct worker_session {
    void (*shut)(struct worker *w, struct worker_session *s);
    struct session_count *count; /* it is counted there; NULL: nowhere */
    struct worker_session *next, **prev;
};

struct worker {
    struct daemon *daemon;
    unsigned index;
    uv_loop_t loop;
    uv_thread_t thread;
    struct runtime *current;   /* this worker's reference to the configuration in force */
    struct dispatch *dispatch; /* deliveries of this worker */
    /* Of failures and delays, and of success, which anybody can ask for. */
    struct report_rate report_rate, success_rate;
    struct services *services; /* its listening sockets */
    struct worker_counters counters;
    struct worker_session *sessions; /* open ones, newest first */
    struct session_count *arriving;  /* counts the session that is just being made */
    struct life *life;               /* what router/loop.c knows of it */
    struct tcp_delivery *idle;       /* connections that wait for another message, newest
                                        first: channels/tcp_delivery_idle.c */
    bool stopping;                   /* no new sessions or deliveries */
    /* the mailbox */
    uv_async_t wake;
    uv_mutex_t lock;
    struct task *first, **last;
};

/* Prepares the loop and mailbox; returns 0 or a libuv error. */
int worker_init(struct worker *w, struct daemon *d, unsigned index);
/* After its thread has ended: closes the loop. Tasks still in the mailbox are not run.
 * False when something on the loop is still open (the memory must then stay). */
bool worker_free(struct worker *w);
/* Runs t on w's loop as soon as it turns; never before this call returned, in the
 * order posted. Callable from any thread, also from w itself. */
void worker_post(struct worker *w, struct task *t);
/* Enters s in the worker's list, counted where w->arriving says (cleared then) / takes it
 * out. On the worker's loop only. */
void worker_session_add(struct worker *w, struct worker_session *s);
void worker_session_remove(struct worker *w, struct worker_session *s);
/* Calls shut() of every open session once. */
void worker_shut_sessions(struct worker *w);
/* "Now" of the daemon's clock, milliseconds since 1970. */
int64_t worker_now_ms(const struct worker *w);

#endif
