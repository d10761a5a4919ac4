/* queue: the durable set of messages and their entries (message, channel, next hop,
 * recipients). This is the contract; the store behind it is in queue_sqlite*.c.
 * One store thread turns all waiting requests into ONE
 * transaction; each request is its own savepoint; a failed COMMIT fails all in it,
 * and the store is closed and reopened before the next batch.
 *
 * An entry is CLAIMED by the daemon that works on it. Freshly committed entries are
 * born claimed by the committing worker and handed to it with the body in memory. At
 * open every claim of an earlier run is void. */
#ifndef ROUTER_QUEUE_H
#define ROUTER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "router/body.h"
#include "router/queue_filter.h"
#include "router/dsn.h"
#include "router/worker.h"
#include "tables/retry.h"

enum { QUEUE_ID_MAX = 16 };

/* Another header than the one in the body, for some of the entries: what they send begins
 * with text instead of the first `replaces` octets of the body (body_overlay()). */
struct queue_header {
    struct body *text; /* in memory; one reference */
    uint64_t replaces;
    unsigned number; /* distinguishes those of one message, in memory and in the store */
};

struct queue_recipient {
    str address;     /* as rewritten, without angle brackets */
    unsigned notify; /* set of QUEUE_NOTIFY_...; 0: not given */
    str orcpt;       /* ORCPT= as given ("rfc822;ann@x.test"); ptr NULL: not given */
};

struct queue_entry {
    int64_t id; /* set by the store */
    str channel, host;
    str sender; /* as it leaves on the channel; ptr NULL: the message's */
    /* Who is told when it fails, if that is not the message's sender: the one a list has
     * for its members; empty: nobody. ptr NULL: the message's. */
    str returns;
    const struct queue_header *header; /* one of the message's; NULL: as in the body */
    unsigned attempts;
    enum retry_class priority;
    unsigned notices;                   /* warnings sent so far */
    struct queue_recipient *recipients; /* those still open */
    unsigned recipient_count;
    /* When new: why it is set aside at once (NULL: it is not), else when it is due first
     * (0: at once). Nobody claims such an entry as it is committed. */
    const char *hold;
    int64_t not_before_ms;
    bool returned;   /* an operator wants it to fail now; claimed ones only */
    bool redirected; /* likewise: host is the next hop, whatever the channel says */
    /* A keyword: the channel does not take a message of this size, so the entry fails at
     * its first attempt. Known while the message is in memory only. */
    const char *too_large;
};

/* Is it claimed by whoever commits it? */
static inline bool queue_entry_born_claimed(const struct queue_entry *e)
{
    return e->hold == NULL && e->not_before_ms == 0;
}

/* A message with its open entries. Immutable; lives in its own arena. */
struct queue_message {
    struct arena *arena; /* owned: freed by queue_message_free() */
    uint64_t number;
    char id[QUEUE_ID_MAX]; /* number in Crockford base 32 */
    int64_t created_ms;
    str sender; /* as received: reports go there; empty: null sender */
    str source_channel;
    bool eight_bit;
    enum queue_ret ret; /* RET= of MAIL */
    str envid;          /* ENVID= of MAIL, as given (xtext); ptr NULL: not given */
    struct body *body;  /* one reference */
    struct queue_header *headers; /* numbered from 0 when new; claimed: the entry's */
    unsigned header_count;
    struct queue_entry *entries;
    unsigned entry_count;
    struct queue_message *report; /* a notification committed together with it, owned by
                                     it, which may have one of its own; or NULL */
};
/* An empty message of its own arena, numbered, without a body. Any thread. */
struct queue_message *queue_message_new(struct queue *q, int64_t now_ms);
void queue_message_free(struct queue_message **m);
/* Writes number in Crockford base 32 (no I, L, O, U), most significant first. */
void queue_id_print(uint64_t number, char out[QUEUE_ID_MAX]);
/* Reads it back, case-blind; false if it is none. */
bool queue_id_parse(str text, uint64_t *number);

/* --- life --- */

/* Takes the exclusive lock on the folder (made, mode 0700, if missing; an owner can be
 * given to a new one with uid/gid, (uid_t)-1 keeps). Returns the lock's descriptor or
 * -1 with a reason naming the holder's pid. A holder has two seconds to let go. Call
 * before any bind, may be as root. Blocks. */
int queue_lock(const char *directory, unsigned uid, unsigned gid, char *reason,
               size_t reason_size);
/* Opens (creates, migrates) the store, voids old claims, removes orphaned body files,
 * starts the store thread. As the queue's user, after privileges were dropped. NULL
 * with a reason; then the lock is still the caller's. Blocks. */
struct queue *queue_open(const char *directory, int lock_fd, struct log *log,
                         const struct clock *clock, char *reason, size_t reason_size);
/* Ends the store thread after it has done what was asked; closes the store and the
 * lock. Clears *q. Pending answers are posted before it returns. */
void queue_close(struct queue **q);
/* The folder for large bodies. */
const char *queue_body_directory(const struct queue *q);

/* --- requests: one callback each, on the asking worker's loop, never inside the
 *     call --- */

struct queue_result {
    bool ok;
    char reason[160]; /* when not ok, e.g. "database or disk is full" */
};

/* Asks to commit m: ok means message, envelope and body are on stable storage. The caller
 * keeps m; on ok its entries, and those of its reports, have ids and are claimed by w,
 * but for those that are not born so (queue_entry_born_claimed()). */
typedef void (*queue_commit_cb)(struct worker *w, struct queue_message *m,
                                const struct queue_result *r, void *arg);
void queue_commit(struct queue *q, struct worker *w, struct queue_message *m,
                  queue_commit_cb cb, void *arg);

/* Claims up to limit entries (never more than 1000) due at now_ms, oldest due time
 * first. Each comes as a message of its own with exactly one entry and its body loaded;
 * the callback owns them, the array is borrowed for the call. next_due_ms: when the
 * earliest unclaimed entry falls due, 0 if there is none. */
typedef void (*queue_claim_cb)(struct worker *w, struct queue_message **messages,
                               unsigned count, int64_t next_due_ms,
                               const struct queue_result *r, void *arg);
void queue_claim(struct queue *q, struct worker *w, unsigned limit, int64_t now_ms,
                 queue_claim_cb cb, void *arg);

/* One attempt to deliver an entry, for those who look at the message later. Of each entry
 * the first three and the last twenty are kept, as long as its message is there. */
struct queue_attempt {
    int64_t at_ms;
    const char *peer;    /* who was asked, as in the log; "": nobody */
    const char *tls;     /* what was wanted and what came of it, as in the log; or "" */
    const char *outcome; /* of the first recipient that was not delivered, else of the
                            first: "550 5.1.1 no such user" */
    unsigned delivered, deferred, failed; /* recipients */
};

/* The last `limit` attempts of an entry that are remembered, oldest first; borrowed for
 * the call. Nothing is changed by it. */
typedef void (*queue_history_cb)(struct worker *w, const struct queue_attempt *attempts,
                                 unsigned count, const struct queue_result *r, void *arg);
void queue_history(struct queue *q, struct worker *w, int64_t entry_id, unsigned limit,
                   queue_history_cb cb, void *arg);

/* The entries of one channel and next hop, as stored. */
struct queue_lane {
    str channel, host; /* compared case-blind; host.ptr NULL: all of the channel */
    bool last;         /* only when nothing else is due; else never */
};
/* As queue_claim(), but what is due for those lanes stays behind what is due for all
 * others: they have enough in memory, or nobody is there. Then other lanes take turns,
 * each with a few of its entries, and count may be below limit although there are more.
 * The lanes are borrowed until the callback. */
void queue_claim_beside(struct queue *q, struct worker *w, unsigned limit, int64_t now_ms,
                        const struct queue_lane *lanes, unsigned lane_count,
                        queue_claim_cb cb, void *arg);

/* What became of one claimed entry; all in one transaction. */
struct queue_settlement {
    int64_t entry_id;
    uint64_t number;                    /* of its message */
    const struct queue_recipient *keep; /* still open (deferred); others are gone */
    unsigned keep_count;
    int64_t next_try_ms;    /* when keep_count > 0 */
    bool hold;              /* keep them, but set aside until an operator acts */
    const char *last_error; /* one line, NULL: leave */
    unsigned notices;       /* warnings sent so far, this report included */
    bool returned;          /* the entry was, and it was tried to tell its sender */
    const struct queue_attempt *attempt; /* what to remember of it; NULL: nothing */
    struct queue_message *report; /* a notification committed together with this, or NULL;
                                     others may hang on it. Their entries are born claimed
                                     by w */
};
typedef void (*queue_settle_cb)(struct worker *w, const struct queue_result *r,
                                void *arg);
/* Everything in *s is borrowed until the callback. With keep_count 0 the entry is
 * removed; the message with its last entry; its body file after that commit. When not
 * ok nothing changed: the entry stays claimed and settling may be tried again. */
void queue_settle(struct queue *q, struct worker *w, const struct queue_settlement *s,
                  queue_settle_cb cb, void *arg);

/* Gives claims back untouched (shutdown, memory limit): due again at next_try_ms. */
void queue_release(struct queue *q, int64_t entry_id, int64_t next_try_ms);

/* --- what an operator wants --- */

/* What becomes of the entries that are meant. One that is being delivered goes through
 * its attempt first; what was wanted of it is stored and done when the attempt ends, also
 * when the daemon dies before. */
enum queue_action {
    QUEUE_HOLD,     /* set aside until released */
    QUEUE_UNHOLD,   /* `release`: what is held becomes due */
    QUEUE_RETRY,    /* what waits becomes due */
    QUEUE_RETURN,   /* fails at its next attempt, made at once: its sender is told */
    QUEUE_DELETE,   /* removed; nobody is told */
    QUEUE_REDIRECT, /* another channel, or another next hop, or both */
    QUEUE_STOP,     /* the channel of the filter: nothing is tried until QUEUE_START */
    QUEUE_START,
    QUEUE_ACTIONS
};
/* "hold", "release", ...; and back: QUEUE_ACTIONS when there is none of that name. */
const char *queue_action_name(enum queue_action action);
enum queue_action queue_action_named(str name);
/* What became of messages or channels by it, as told to people: "held", "due now", ... */
const char *queue_action_done(enum queue_action action);

struct queue_order {
    enum queue_action action;
    struct queue_filter filter;
    str channel, host; /* of a redirection; ptr NULL: as it is */
    /* Of a redirection to a channel and no host: where all mail of the channel goes;
     * empty when that is here; ptr NULL: to the domain of each recipient. */
    str next_hop;
    bool dry_run; /* only count */
    bool all;     /* a filter that lets all pass is meant so */
    int64_t now_ms;
};

/* Where a walk over the entries stands: behind that one. */
struct queue_cursor {
    uint64_t number;
    int64_t position;
};
/* Where a walk for that filter begins. */
struct queue_cursor queue_cursor_first(const struct queue_filter *f);

enum { QUEUE_STEP_MAX = 250 };

/* An order is carried out in steps, each a short transaction of its own, so that mail
 * goes on meanwhile and the log of the store stays small. */
struct queue_step {
    struct queue_cursor at;          /* in: where to go on; out: where it stands now */
    bool more;                       /* the walk is not at its end */
    unsigned entries;                /* that are meant */
    unsigned changed;                /* at once, or when their attempt ends */
    unsigned active;                 /* of those: being delivered, or about to be */
    int64_t claimed[QUEUE_STEP_MAX]; /* their ids, see dispatch_recall() */
};
typedef void (*queue_order_cb)(struct worker *w, const struct queue_step *step,
                               const struct queue_result *r, void *arg);
/* One step of the order, from at; everything is copied. Nobody is told of what became due
 * or was changed while claimed; see dispatch_wake() and dispatch_recall(). */
void queue_order(struct queue *q, struct worker *w, const struct queue_order *o,
                 struct queue_cursor at, queue_order_cb cb, void *arg);

/* Has an operator stopped the channel? Any thread. */
bool queue_channel_stopped(struct queue *q, str channel);

struct queue_counts {
    int64_t messages, entries, deferred, held;
    int64_t oldest_ms; /* created_ms of the oldest message, 0: none */
};
typedef void (*queue_counts_cb)(struct worker *w, const struct queue_counts *c,
                                const struct queue_result *r, void *arg);
/* Counted in short steps, between which others go on: the counts are not of one moment.
 */
void queue_count(struct queue *q, struct worker *w, queue_counts_cb cb, void *arg);

#endif
