/* queue: the store thread. Workers put requests into one list; the thread takes all
 * that wait, does them in ONE transaction, each in a savepoint of its own, and posts
 * the answers after the commit. The engine behind it is in queue_store.h.
 *
 * After a failed commit everything in it is answered with failure and the store is
 * opened anew. A commit that failed may have reached the disk all the same: what it
 * would have done is taken back (queue_amend.c) before anything else is done. */
#include "router/queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "router/queue_private.h"

enum {
    NUMBER_BLOCK = 16384, /* numbers reserved in the store ahead of their use */
    AMEND_RETRY_MS = 1000
};

/* --- numbers and messages --- */

struct queue_message *queue_message_new(struct queue *q, int64_t now_ms)
{
    uint64_t number = atomic_fetch_add(&q->next_number, 1);
    /* Asking once in a while is enough: the store thread raises the bound whenever it
     * works, and before it commits a number beyond it. */
    if (number % (NUMBER_BLOCK / 8) == 0 &&
        number + NUMBER_BLOCK / 2 >= atomic_load(&q->bound)) {
        uv_mutex_lock(&q->lock);
        q->raise = true;
        uv_cond_signal(&q->wake);
        uv_mutex_unlock(&q->lock);
    }
    return queue_message_empty(number, now_ms);
}

const char *queue_body_directory(const struct queue *q)
{
    return q->bodies;
}

/* --- the engine, one request at a time --- */

/* The message and the reports that come with it. */
static bool run_insert(struct queue *q, struct queue_message *m, struct queue_result *r)
{
    bool good = true;
    for (; good && m != NULL; m = m->report) {
        good = q->engine->insert(q->store, m, r);
    }
    return good;
}

static bool run_settle(struct queue *q, const struct queue_settlement *t,
                       struct queue_result *r)
{
    return q->engine->settle(q->store, t, r) && run_insert(q, t->report, r);
}

static bool run_commit(struct queue *q, struct queue_message *m, struct queue_result *r)
{
    return q->engine->room(q->store, m, r) && run_insert(q, m, r);
}

static bool request_run(struct queue *q, struct request *k)
{
    struct queue_result *r = &k->result;
    switch (k->kind) {
    case REQUEST_COMMIT:
        return run_commit(q, k->u.commit.message, r);
    case REQUEST_CLAIM:
        return q->engine->claim(q->store, &k->u.claim.claim, r);
    case REQUEST_SETTLE:
        return run_settle(q, k->u.settle.settlement, r);
    case REQUEST_RELEASE:
        return q->engine->release(q->store, k->u.release.entry_id,
                                  k->u.release.next_try_ms, r);
    case REQUEST_ORDER:
        k->u.order.ordering->step.at = k->u.order.ordering->at;
        return q->engine->order(q->store, &k->u.order.ordering->order,
                                &k->u.order.ordering->step, r);
    case REQUEST_COUNT:
        return q->engine->count(q->store, &k->u.count.counts, &k->u.count.at,
                                &k->u.count.more, r);
    case REQUEST_HISTORY:
        return q->engine->history(q->store, &k->u.history.history, r);
    }
    return false;
}

/* --- channels that are stopped --- */

bool queue_channel_stopped(struct queue *q, str channel)
{
    return queue_stopped_is(q->stopped, channel);
}

static void stopped_add(str channel, void *arg)
{
    struct queue *q = arg;
    queue_stopped_set(q->stopped, channel, true);
}

/* The order is in the store: workers are to see it before its answer. */
static void stopped_change(struct queue *q, const struct queue_order *o)
{
    if (!o->dry_run && (o->action == QUEUE_STOP || o->action == QUEUE_START)) {
        queue_stopped_set(q->stopped, o->filter.channel, o->action == QUEUE_STOP);
    }
}

/* --- the end of a request --- */

static void bodies_adopt(const struct queue_message *m)
{
    for (; m != NULL; m = m->report) {
        body_adopt(m->body);
    }
}

/* What the store thread still has to do once the fate of k is known. */
static void request_finish(struct queue *q, struct request *k)
{
    struct queue_store_claim *c = &k->u.claim.claim;
    bool good = k->result.ok;
    if (k->kind == REQUEST_COMMIT && good) {
        bodies_adopt(k->u.commit.message);
    } else if (k->kind == REQUEST_SETTLE && good) {
        bodies_adopt(k->u.settle.settlement->report);
    } else if (k->kind == REQUEST_CLAIM && !good) {
        for (unsigned i = 0; i < c->count; i++) {
            queue_message_free(&c->messages[i]);
        }
        c->count = 0;
        c->next_due_ms = 0;
    }
    if (k->kind == REQUEST_ORDER && good) {
        stopped_change(q, &k->u.order.ordering->order);
    }
    if (k->kind == REQUEST_COUNT && good && k->u.count.more) {
        request_again(q, k);
        return;
    }
    request_answer(k);
}

static void list_finish(struct queue *q, struct request *list)
{
    while (list != NULL) {
        struct request *next = list->next;
        request_finish(q, list);
        list = next;
    }
}

/* --- one batch --- */

static void queue_log(struct queue *q, const char *what, const char *reason)
{
    struct log_line line;
    log_begin(&line, q->log, LOG_QUEUE);
    log_cstr(&line, "what", what);
    log_cstr(&line, "path", q->directory);
    log_cstr(&line, "reason", reason);
    log_end(&line);
}

/* A batch has failed as a whole. Every request that seemed to go well is noted for
 * amending and answered with the reason. Logged once until it works again. */
static void batch_fail(struct queue *q, struct request *list, const char *reason,
                       bool may_be_stored)
{
    for (struct request *k = list; k != NULL; k = k->next) {
        if (k->result.ok && (may_be_stored || k->kind == REQUEST_RELEASE)) {
            amend_request(q, k);
        }
        if (k->result.ok) {
            queue_result_fail(&k->result, "%s", reason);
        }
    }
    if (!q->trouble) {
        queue_log(q, "error", reason);
    }
    q->trouble = q->failed = true;
    if (q->store != NULL) {
        q->engine->close(&q->store);
    }
    list_finish(q, list);
}

/* The store is open, nothing is left to amend. */
static bool store_ready(struct queue *q, struct queue_result *r)
{
    if (q->store == NULL) {
        q->store = q->engine->open(&q->place, r);
        if (q->store == NULL) {
            return false;
        }
    }
    return amend_all(q, r);
}

/* Within a transaction: moves the stored bound ahead of the numbers in use. */
static bool bound_raise(struct queue *q, uint64_t *bound, struct queue_result *r)
{
    uint64_t next = atomic_load(&q->next_number);
    *bound = atomic_load(&q->bound);
    if (next + NUMBER_BLOCK / 2 < *bound) {
        return true;
    }
    *bound = next + NUMBER_BLOCK;
    return q->engine->save_bound(q->store, *bound, r);
}

/* Runs k in its savepoint. False when the whole transaction is lost. */
static bool request_try(struct queue *q, struct request *k, struct queue_result *r)
{
    k->result = (struct queue_result){.ok = true};
    if (!q->engine->savepoint(q->store, r)) {
        return false;
    }
    bool good = request_run(q, k);
    k->result.ok = good; /* a reason may be left of a first try that was repeated */
    if (good) {
        return q->engine->keep(q->store, r);
    }
    if (k->kind == REQUEST_RELEASE) {
        amend_request(q, k);
    }
    if (!q->engine->alive(q->store)) {
        snprintf(r->reason, sizeof r->reason, "%s", k->result.reason);
        return false;
    }
    return q->engine->undo(q->store, r);
}

/* Does the requests of the list in one transaction, or as many as it takes before the
 * transaction is lost; returns those not tried. When it cannot even begin, all of *later
 * fail, too, for the same reason: while somebody has the database each would wait. */
static struct request *batch_run(struct queue *q, struct request *list,
                                 struct request **later)
{
    struct queue_result r = {.ok = true};
    struct request *k = list, *rest = NULL;
    uint64_t bound = 0;
    bool good = store_ready(q, &r) && q->engine->begin(q->store, &r) &&
                bound_raise(q, &bound, &r);
    if (!good && *later != NULL) {
        check(list->next == NULL);
        list->next = *later;
        *later = NULL;
    }
    for (struct request *i = list; !good && i != NULL; i = i->next) {
        i->result = (struct queue_result){.ok = true}; /* batch_fail() says why not */
    }
    for (; good && k != NULL; k = k->next) {
        good = request_try(q, k, &r);
        if (!good) {
            rest = k->next;
            k->next = NULL;
            break;
        }
    }
    bool asked = good;
    if (!good || !q->engine->commit(q->store, &r)) {
        batch_fail(q, list, r.reason, asked);
        return rest;
    }
    atomic_store(&q->bound, bound);
    list_finish(q, list);
    return NULL;
}

/* While there is trouble each request has a transaction of its own: on a full disk a
 * removal may go through where a new message does not. Trouble is over when a whole
 * list went through. */
static void process(struct queue *q, struct request *list)
{
    q->failed = false;
    do {
        struct request *later = NULL;
        if (q->trouble && list != NULL) {
            later = list->next;
            list->next = NULL;
        }
        struct request *rest = batch_run(q, list, &later);
        list = rest != NULL ? rest : later; /* never both: one request leaves no rest */
    } while (list != NULL);
    if (q->trouble && !q->failed) {
        q->trouble = false;
        queue_log(q, "recovered", NULL);
    }
}

/* --- the thread --- */

/* Waits for something to do; false when the queue closes and nothing is left. */
static bool wait_for_work(struct queue *q, struct request **list)
{
    bool repair = q->amends != NULL;
    uv_mutex_lock(&q->lock);
    while (q->first == NULL && !q->closing && !q->raise) {
        if (!repair) {
            uv_cond_wait(&q->wake, &q->lock);
        } else if (uv_cond_timedwait(&q->wake, &q->lock, AMEND_RETRY_MS * 1000000ull) ==
                   UV_ETIMEDOUT) {
            break;
        }
    }
    *list = q->first;
    q->first = NULL;
    q->last = &q->first;
    q->raise = false;
    bool over = *list == NULL && q->closing;
    uv_mutex_unlock(&q->lock);
    return !over;
}

static void store_thread(void *arg)
{
    struct queue *q = arg;
    struct request *list;
    while (wait_for_work(q, &list)) {
        process(q, list);
    }
}

/* --- life --- */

/* The first use of the store in this run. */
static bool store_start(struct queue *q, struct queue_result *r)
{
    uint64_t bound = 0;
    q->store = q->engine->open(&q->place, r);
    if (q->store == NULL || !q->engine->recover(q->store, clock_now_ms(q->clock), r) ||
        !q->engine->begin(q->store, r) || !q->engine->load_bound(q->store, &bound, r) ||
        !q->engine->save_bound(q->store, bound + NUMBER_BLOCK, r) ||
        !q->engine->commit(q->store, r) ||
        !q->engine->stopped(q->store, stopped_add, q, r)) {
        return false;
    }
    atomic_store(&q->next_number, bound);
    atomic_store(&q->bound, bound + NUMBER_BLOCK);
    return true;
}

static void queue_free(struct queue *q)
{
    amend_forget(q);
    queue_stopped_free(&q->stopped);
    if (q->store != NULL) {
        q->engine->close(&q->store);
    }
    uv_cond_destroy(&q->wake);
    uv_mutex_destroy(&q->lock);
    free(q->bodies);
    free(q->directory);
    free(q);
}

static bool queue_place(struct queue *q, const char *directory, struct queue_result *r)
{
    q->directory = realpath(directory, NULL);
    if (q->directory == NULL) {
        return queue_result_fail(r, "%s: %s", directory, strerror(errno));
    }
    size_t size = strlen(q->directory) + sizeof "/bodies";
    q->bodies = malloc(size);
    check(q->bodies != NULL);
    snprintf(q->bodies, size, "%s/bodies", q->directory);
    q->place = (struct queue_place){q->directory, q->bodies, q->log};
    return true;
}

struct queue *queue_open(const char *directory, int lock_fd, struct log *log,
                         const struct clock *clock, char *reason, size_t reason_size)
{
    struct queue_result r = {.ok = true};
    struct queue *q = calloc(1, sizeof *q);
    check(q != NULL);
    check(uv_mutex_init(&q->lock) == 0 && uv_cond_init(&q->wake) == 0);
    q->engine = &queue_sqlite;
    q->lock_fd = lock_fd;
    q->log = log;
    q->clock = clock;
    q->last = &q->first;
    q->stopped = queue_stopped_new();
    if (!queue_place(q, directory, &r) || !queue_folders_make(q->directory, &r) ||
        !store_start(q, &r)) {
        snprintf(reason, reason_size, "queue %s: %s", directory, r.reason);
        queue_free(q);
        return NULL;
    }
    int rc = uv_thread_create(&q->thread, store_thread, q);
    if (rc != 0) {
        snprintf(reason, reason_size, "cannot start the store thread: %s",
                 uv_strerror(rc));
        queue_free(q);
        return NULL;
    }
    queue_log(q, "opened", NULL);
    return q;
}

/* After an orderly end the next run goes on with the next number. */
static void bound_trim(struct queue *q)
{
    struct queue_result r;
    if (q->store != NULL && q->engine->begin(q->store, &r) &&
        q->engine->save_bound(q->store, atomic_load(&q->next_number), &r)) {
        q->engine->commit(q->store, &r); /* if not, a block of numbers is skipped */
    }
}

void queue_close(struct queue **q)
{
    struct queue *gone = *q;
    *q = NULL;
    uv_mutex_lock(&gone->lock);
    gone->closing = true;
    uv_cond_signal(&gone->wake);
    uv_mutex_unlock(&gone->lock);
    uv_thread_join(&gone->thread);
    bound_trim(gone);
    int lock_fd = gone->lock_fd;
    queue_free(gone);
    if (lock_fd >= 0) {
        close(lock_fd);
    }
}
