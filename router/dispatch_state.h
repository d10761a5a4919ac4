/* dispatch_state: what dispatch.c (queue and memory), job.c (one running delivery),
 * dispatch_settle.c (what became of it), dispatch_tell.c (who is told) and
 * dispatch_report.c (telling them) share. Nobody else includes it. */
#ifndef ROUTER_DISPATCH_STATE_H
#define ROUTER_DISPATCH_STATE_H

#include "router/channel.h"
#include "router/dispatch.h"
#include "router/scheduler.h"

struct settling;

/* One claimed entry: waits in the scheduler, runs as a job, is settled. */
struct delivery {
    struct scheduler_item item; /* first: an item is its delivery */
    struct dispatch *dispatch;
    struct parcel *parcel;
    const struct queue_entry *entry;
    struct job job;            /* while running and settled; recipients malloc'ed */
    struct body *overlay;      /* its body, for an entry with a header of its own */
    size_t own_field;          /* octets of X-Envelope-to at its front */
    bool running;              /* between deliver() and job_done() */
    bool in_deliver;           /* deliver() has not returned */
    struct settling *settling; /* owned by dispatch_settle.c, freed by it */
    struct delivery *next;     /* in dispatch->unsettled */
};

/* One message in memory with its deliveries. */
struct parcel {
    struct queue_message *message;
    size_t bytes;  /* held for its body and headers */
    unsigned open; /* deliveries that are not settled */
    struct delivery deliveries[];
};

enum { LANES_BEHIND_MAX = 32 };

/* A next hop where nobody is, as the last delivery has found. */
struct closed_lane {
    char channel[40], host[256];
    int64_t until_ms; /* loop time; 0: none */
};

struct dispatch {
    struct worker *worker;
    struct scheduler *scheduler;
    int64_t retry_ms;       /* instead of all backoff periods; 0: as channels say */
    uv_timer_t claim_timer; /* looks at the queue */
    uv_timer_t pump_timer;  /* starts what may start, in a turn of its own */
    uv_timer_t retry_timer; /* settles what could not be settled */
    unsigned handles_open;
    bool claiming;        /* a claim is outstanding */
    bool claim_again;     /* it was asked for meanwhile */
    bool more;            /* the queue has more that is due */
    unsigned claim_limit; /* of the outstanding claim */
    struct closed_lane closed[LANES_BEHIND_MAX];
    struct queue_lane lanes[3 * LANES_BEHIND_MAX]; /* of the outstanding claim */
    unsigned lane_count;
    struct arena *lane_arena; /* their texts */
    unsigned claim_errors;
    unsigned settling; /* deliveries between job_done() and the queue's answer */
    struct delivery *unsettled, **unsettled_last;
    uint64_t random;
    bool stopping;
    bool idle_told;
    void (*on_idle)(struct worker *w);
};

/* --- dispatch.c --- */
/* Start what may start, soon, in another turn of the loop. */
void dispatch_pump_soon(struct dispatch *d);
/* A place in a channel became free for which other workers may wait: they look again. */
void dispatch_pump_others(struct dispatch *d);
/* Something falls due at at_ms: look at the queue then at the latest. */
void dispatch_due_at(struct dispatch *d, int64_t at_ms);
/* Nobody is there now: what waits for it in the queue stands back behind all else. */
void dispatch_close_lane(struct dispatch *d, const struct queue_entry *e);
/* Call settle_retry() in a few seconds. */
void dispatch_settle_later(struct dispatch *d);
uint32_t dispatch_random(struct dispatch *d);
/* The delivery is no longer ours (settled, or given back): frees it and, with its last
 * one, the parcel. */
void dispatch_forget(struct delivery *d);
/* Not now: due again at once, by whoever claims it. It waits in no lane. */
void dispatch_give_back(struct delivery *d);

/* --- job.c --- */
/* Puts it into the scheduler. A claimed one gets its next hop from the configuration in
 * force, which may not be the one it was queued under. */
void delivery_add(struct delivery *d, bool claimed);
/* When it is tried again and given up: as the channel it runs on says for its priority.
 */
const struct retry_policy *delivery_policy(const struct delivery *d);
/* Starts an entry the scheduler let start. */
void delivery_start(struct delivery *d);
/* Frees what delivery_start() made. */
void delivery_clear(struct delivery *d);

/* --- dispatch_log.c --- */
void delivery_log(const struct delivery *d, const struct job_recipient *r,
                  int64_t now_ms);
enum { DELIVERY_TLS_MAX = 48 };
/* Writes what was wanted of TLS and what it came to, in one word: "must+host>host",
 * "may>clear"; "" where the channel does not send by SMTP. */
void delivery_tls_summary(const struct job *job, char *out, size_t size);

/* --- dispatch_settle.c --- */
/* The outcomes are known: log, count, report to the sender, settle in the queue, then
 * dispatch_forget(). */
void delivery_settle(struct delivery *d);
/* Tries again what could not be settled. */
void settle_retry(struct dispatch *d);

/* --- dispatch_tell.c: who is told what --- */
enum report_kind {
    REPORT_FAILED, /* to the sender */
    REPORT_DELAYED,
    REPORT_SUCCESS,
    REPORT_COPY_FAILED, /* to the postmaster */
    REPORT_COPY_DELAYED,
    REPORT_SHORTENED, /* of a report that cannot go as it is: itself, 7-bit */
    REPORT_KINDS
};
struct tell_facts {
    const struct channel_opts *options;
    bool warn;      /* a warning is due */
    bool reachable; /* the sender can be told */
    bool null_sender;
};
/* Fills in for each recipient a set of 1 << enum report_kind; returns all of them. */
unsigned tell_plan(const struct delivery *d, bool warn, bool reachable,
                   unsigned char *tell);
/* Is it a report of ours that the next hop cannot take, because it is not 7-bit? Then it
 * goes on with less in it, and nobody is told. */
bool tell_shortens(const struct delivery *d);
/* Has recipient i failed, and whoever is to know of it is not told by the set of reports
 * that are made of it? It stays in the queue then. */
bool tell_must_keep(const struct delivery *d, unsigned i, unsigned told);

/* --- dispatch_report.c: a notification, from its route to its sealed body --- */
struct report;
/* About those of d's recipients whose set in tell (borrowed) has this kind, for the
 * sender of d (not null) or the postmaster. NULL with a reason when there is no way to
 * them. */
struct report *report_new(struct delivery *d, enum report_kind kind,
                          const unsigned char *tell, char *why, size_t why_size);
/* Who is told of the failures of this delivery; empty: nobody. */
str report_address(const struct delivery *d);
typedef void (*report_cb)(struct report *r, int error, void *arg);
/* Writes the body. cb comes once, perhaps inside this call; error: 0 or a libuv code,
 * after which it may be tried again. UV_ELOOP: it is not to be made, as what it tells of
 * is a copy for the postmaster itself, or no report that can be shortened. A report
 * already written is left as it is. */
void report_write(struct report *r, report_cb cb, void *arg);
/* The message, once written; still owned by r. */
struct queue_message *report_message(struct report *r);
/* The message is the caller's now, and without others that hung on it. */
struct queue_message *report_take(struct report *r);
/* Tells the log that it is stored. */
void report_log(const struct report *r, const struct queue_message *stored);
void report_free(struct report **r);

#endif
