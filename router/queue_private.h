/* queue_private: what queue.c (the store thread), queue_requests.c (asking and answering)
 * and queue_amend.c (what failed commits may have left) share. Nobody else includes it.
 */
#ifndef ROUTER_QUEUE_PRIVATE_H
#define ROUTER_QUEUE_PRIVATE_H

#include <uv.h>

#include "router/queue_stopped.h"
#include "router/queue_store.h"

enum request_kind {
    REQUEST_COMMIT,
    REQUEST_CLAIM,
    REQUEST_SETTLE,
    REQUEST_RELEASE,
    REQUEST_ORDER,
    REQUEST_COUNT,
    REQUEST_HISTORY
};

/* A step of an order with all it needs. */
struct ordering {
    struct arena *arena; /* of the order's texts */
    struct queue_order order;
    struct queue_step step;
    struct queue_cursor at; /* where it begins: a step may be tried twice */
};

struct request {
    struct task task; /* posts the answer; first, so that the task is the request */
    struct request *next;
    enum request_kind kind;
    struct worker *worker; /* NULL: nobody waits for an answer */
    void *arg;
    struct queue_result result;
    union {
        struct {
            struct queue_message *message;
            queue_commit_cb cb;
        } commit;
        struct {
            struct queue_store_claim claim;
            queue_claim_cb cb;
        } claim;
        struct {
            const struct queue_settlement *settlement;
            queue_settle_cb cb;
        } settle;
        struct {
            int64_t entry_id, next_try_ms;
        } release;
        struct {
            struct ordering *ordering; /* owned */
            queue_order_cb cb;
        } order;
        struct {
            struct queue_counts counts; /* up to at */
            struct queue_cursor at;
            bool more;
            queue_counts_cb cb;
        } count;
        struct {
            struct queue_store_history history; /* its arena is owned */
            queue_history_cb cb;
        } history;
    } u;
};

/* What has to be put right in the store before it is used again. */
enum amend_kind { AMEND_REMOVE, AMEND_UNCLAIM, AMEND_UNSETTLE, AMEND_RELEASE };
struct amend {
    struct amend *next;
    enum amend_kind kind;
    int64_t id;          /* message number or entry id */
    bool held;           /* of a settlement: it set the entry aside */
    int64_t next_try_ms; /* of a release */
};

struct queue {
    const struct queue_engine *engine;
    char *directory, *bodies;
    struct queue_place place;
    int lock_fd;
    struct log *log;
    const struct clock *clock;
    _Atomic uint64_t next_number, bound;
    struct queue_stopped *stopped;
    /* Shared with the workers, under the lock. */
    uv_mutex_t lock;
    uv_cond_t wake;
    struct request *first, **last;
    bool closing, raise;
    /* The store thread's own. */
    uv_thread_t thread;
    struct queue_store *store; /* NULL: to be opened again */
    struct amend *amends;
    bool trouble; /* a batch failed: one request to a transaction until it is over */
    bool failed;  /* a batch of the present list failed */
};

/* --- queue_requests.c --- */

/* Puts k behind what waits, to be gone on with. */
void request_again(struct queue *q, struct request *k);
/* Answers k on its worker, once its fate is known, and frees it; one that nobody waits
 * for at once. */
void request_answer(struct request *k);

/* --- queue_amend.c --- */

/* Notes what k would have done, for the case that it did. */
void amend_request(struct queue *q, const struct request *k);
/* Puts right what failed commits may have left. One transaction; on failure all of it
 * is tried again later. */
bool amend_all(struct queue *q, struct queue_result *r);
void amend_forget(struct queue *q);

#endif
