/* queue: the store thread. Workers put requests into one list; the thread takes all
 * that wait, does them in ONE transaction, each in a savepoint of its own, and posts
 * the answers after the commit. The engine behind it is in queue_store.h.
 *
 * After a failed commit everything in it is answered with failure and the store is
 * opened anew. A commit that failed may have reached the disk all the same: what it
 * would have done is taken back (struct amend) before anything else is done. */
#include "router/queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/check.h"
#include "router/queue_store.h"

enum {
    NUMBER_BLOCK = 16384, /* numbers reserved in the store ahead of their use */
    CLAIM_MAX = 1000,     /* entries of one claim: bodies are loaded with them */
    AMEND_RETRY_MS = 1000
};

enum request_kind {
    REQUEST_COMMIT,
    REQUEST_CLAIM,
    REQUEST_SETTLE,
    REQUEST_RELEASE,
    REQUEST_ORDER,
    REQUEST_COUNT
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
            struct queue_counts counts;
            queue_counts_cb cb;
        } count;
    } u;
};

/* What has to be put right in the store before it is used again. */
enum amend_kind { AMEND_REMOVE, AMEND_STATE, AMEND_RELEASE };
struct amend {
    struct amend *next;
    enum amend_kind kind;
    int64_t id; /* message number or entry id */
    enum queue_state state;
    int64_t next_try_ms;
};

struct queue {
    const struct queue_engine *engine;
    char *directory, *bodies;
    struct queue_place place;
    int lock_fd;
    struct log *log;
    const struct clock *clock;
    _Atomic uint64_t next_number, bound;
    /* Shared with the workers, under the lock. */
    uv_mutex_t lock;
    uv_cond_t wake;
    struct request *first, **last;
    bool closing, raise;
    struct stopped *stopped;
    /* The store thread's own. */
    uv_thread_t thread;
    struct queue_store *store; /* NULL: to be opened again */
    struct amend *amends;
    bool trouble; /* a batch failed: one request to a transaction until it is over */
    bool failed;  /* a batch of the present list failed */
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
        return q->engine->count(q->store, &k->u.count.counts, r);
    }
    return false;
}

static void amend_add(struct queue *q, enum amend_kind kind, int64_t id,
                      enum queue_state state, int64_t next_try_ms)
{
    struct amend *a = calloc(1, sizeof *a);
    check(a != NULL);
    *a = (struct amend){q->amends, kind, id, state, next_try_ms};
    q->amends = a;
}

/* Notes what k would have done, for the case that it did. */
static void amend_request(struct queue *q, const struct request *k)
{
    const struct queue_settlement *t = k->u.settle.settlement;
    const struct queue_message *m;
    switch (k->kind) {
    case REQUEST_COMMIT:
        for (m = k->u.commit.message; m != NULL; m = m->report) {
            amend_add(q, AMEND_REMOVE, (int64_t)m->number, 0, 0);
        }
        break;
    case REQUEST_CLAIM:
        for (unsigned i = 0; i < k->u.claim.claim.count; i++) {
            amend_add(q, AMEND_STATE, k->u.claim.claim.messages[i]->entries->id,
                      QUEUE_WAITING, 0);
        }
        break;
    case REQUEST_SETTLE:
        amend_add(q, AMEND_STATE, t->entry_id, QUEUE_CLAIMED, 0);
        for (m = t->report; m != NULL; m = m->report) {
            amend_add(q, AMEND_REMOVE, (int64_t)m->number, 0, 0);
        }
        break;
    case REQUEST_RELEASE: /* nobody else would repeat it */
        amend_add(q, AMEND_RELEASE, k->u.release.entry_id, 0, k->u.release.next_try_ms);
        break;
    case REQUEST_ORDER: /* asked again, it finds it done */
    case REQUEST_COUNT:
        break;
    }
}

static bool amend_run(struct queue *q, const struct amend *a, struct queue_result *r)
{
    switch (a->kind) {
    case AMEND_REMOVE:
        return q->engine->remove(q->store, (uint64_t)a->id, r);
    case AMEND_STATE:
        return q->engine->set_state(q->store, a->id, a->state, r);
    case AMEND_RELEASE:
        return q->engine->release(q->store, a->id, a->next_try_ms, r);
    }
    return false;
}

/* --- channels that are stopped --- */

struct stopped {
    struct stopped *next;
    size_t len;
    char channel[];
};

static struct stopped **stopped_find(struct queue *q, str channel)
{
    struct stopped **at = &q->stopped;
    while (*at != NULL && !str_ieq(str_n((*at)->channel, (*at)->len), channel)) {
        at = &(*at)->next;
    }
    return at;
}

/* Under the lock, or before there are other threads. */
static void stopped_add(str channel, void *arg)
{
    struct queue *q = arg;
    struct stopped **at = stopped_find(q, channel);
    if (*at == NULL) {
        *at = calloc(1, sizeof **at + channel.len);
        check(*at != NULL);
        (*at)->len = channel.len;
        memcpy((*at)->channel, channel.ptr, channel.len);
    }
}

static void stopped_remove(struct queue *q, str channel)
{
    struct stopped **at = stopped_find(q, channel), *gone = *at;
    if (gone != NULL) {
        *at = gone->next;
        free(gone);
    }
}

bool queue_channel_stopped(struct queue *q, str channel)
{
    uv_mutex_lock(&q->lock);
    bool stopped = *stopped_find(q, channel) != NULL;
    uv_mutex_unlock(&q->lock);
    return stopped;
}

/* The order is in the store: workers are to see it before its answer. */
static void stopped_change(struct queue *q, const struct queue_order *o)
{
    if (o->dry_run || (o->action != QUEUE_STOP && o->action != QUEUE_START)) {
        return;
    }
    uv_mutex_lock(&q->lock);
    if (o->action == QUEUE_STOP) {
        stopped_add(o->filter.channel, q);
    } else {
        stopped_remove(q, o->filter.channel);
    }
    uv_mutex_unlock(&q->lock);
}

/* --- answers --- */

static void ordering_free(struct ordering *o)
{
    arena_free(&o->arena);
    free(o);
}

static void answer(struct worker *w, struct task *task)
{
    struct request *k = (struct request *)task;
    const struct queue_result *r = &k->result;
    struct queue_store_claim *c = &k->u.claim.claim;
    switch (k->kind) {
    case REQUEST_COMMIT:
        k->u.commit.cb(w, k->u.commit.message, r, k->arg);
        break;
    case REQUEST_CLAIM:
        k->u.claim.cb(w, c->messages, c->count, c->next_due_ms, r, k->arg);
        free(c->messages);
        break;
    case REQUEST_SETTLE:
        k->u.settle.cb(w, r, k->arg);
        break;
    case REQUEST_ORDER:
        k->u.order.cb(w, &k->u.order.ordering->step, r, k->arg);
        ordering_free(k->u.order.ordering);
        break;
    case REQUEST_COUNT:
        k->u.count.cb(w, &k->u.count.counts, r, k->arg);
        break;
    case REQUEST_RELEASE:
        break;
    }
    free(k);
}

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
    if (k->worker == NULL) {
        free(k);
    } else {
        worker_post(k->worker, &k->task);
    }
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

/* Puts right what failed commits may have left. One transaction; on failure all of it
 * is tried again later. */
static bool amend_all(struct queue *q, struct queue_result *r)
{
    if (q->amends == NULL) {
        return true;
    }
    bool good = q->engine->begin(q->store, r);
    for (const struct amend *a = q->amends; good && a != NULL; a = a->next) {
        good = amend_run(q, a, r);
    }
    if (!good || !q->engine->commit(q->store, r)) {
        return false;
    }
    while (q->amends != NULL) {
        struct amend *next = q->amends->next;
        free(q->amends);
        q->amends = next;
    }
    return true;
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
 * transaction is lost; returns those not tried. */
static struct request *batch_run(struct queue *q, struct request *list)
{
    struct queue_result r = {.ok = true};
    struct request *k = list, *rest = NULL;
    uint64_t bound = 0;
    bool good = store_ready(q, &r) && q->engine->begin(q->store, &r) &&
                bound_raise(q, &bound, &r);
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
        struct request *rest = batch_run(q, list);
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

static void submit(struct queue *q, struct request *k)
{
    uv_mutex_lock(&q->lock);
    check(!q->closing);
    *q->last = k;
    q->last = &k->next;
    uv_cond_signal(&q->wake);
    uv_mutex_unlock(&q->lock);
}

static struct request *request_new(enum request_kind kind, struct worker *w, void *arg)
{
    struct request *k = calloc(1, sizeof *k);
    check(k != NULL);
    k->task.run = answer;
    k->kind = kind;
    k->worker = w;
    k->arg = arg;
    return k;
}

/* --- requests --- */

void queue_commit(struct queue *q, struct worker *w, struct queue_message *m,
                  queue_commit_cb cb, void *arg)
{
    struct request *k = request_new(REQUEST_COMMIT, w, arg);
    k->u.commit.message = m;
    k->u.commit.cb = cb;
    submit(q, k);
}

void queue_claim(struct queue *q, struct worker *w, unsigned limit, int64_t now_ms,
                 queue_claim_cb cb, void *arg)
{
    queue_claim_beside(q, w, limit, now_ms, NULL, 0, cb, arg);
}

void queue_claim_beside(struct queue *q, struct worker *w, unsigned limit, int64_t now_ms,
                        const struct queue_lane *lanes, unsigned lane_count,
                        queue_claim_cb cb, void *arg)
{
    struct request *k = request_new(REQUEST_CLAIM, w, arg);
    struct queue_store_claim *c = &k->u.claim.claim;
    c->limit = limit < CLAIM_MAX ? limit : CLAIM_MAX;
    c->now_ms = now_ms;
    c->lanes = lanes;
    c->lane_count = lane_count;
    c->messages = calloc(c->limit + 1, sizeof(struct queue_message *));
    check(c->messages != NULL);
    k->u.claim.cb = cb;
    submit(q, k);
}

void queue_settle(struct queue *q, struct worker *w, const struct queue_settlement *s,
                  queue_settle_cb cb, void *arg)
{
    struct request *k = request_new(REQUEST_SETTLE, w, arg);
    k->u.settle.settlement = s;
    k->u.settle.cb = cb;
    submit(q, k);
}

void queue_release(struct queue *q, int64_t entry_id, int64_t next_try_ms)
{
    struct request *k = request_new(REQUEST_RELEASE, NULL, NULL);
    k->u.release.entry_id = entry_id;
    k->u.release.next_try_ms = next_try_ms;
    submit(q, k);
}

static str copied(struct arena *a, str text)
{
    return text.ptr == NULL ? STR_NONE : arena_str(a, text);
}

void queue_order(struct queue *q, struct worker *w, const struct queue_order *o,
                 struct queue_cursor at, queue_order_cb cb, void *arg)
{
    struct request *k = request_new(REQUEST_ORDER, w, arg);
    struct ordering *g = calloc(1, sizeof *g);
    check(g != NULL);
    struct queue_filter *f = &g->order.filter;
    g->arena = arena_new();
    g->order = *o;
    g->order.channel = copied(g->arena, o->channel);
    g->order.host = copied(g->arena, o->host);
    f->channel = copied(g->arena, f->channel);
    f->host = copied(g->arena, f->host);
    f->from = copied(g->arena, f->from);
    f->to = copied(g->arena, f->to);
    g->at = at;
    k->u.order.ordering = g;
    k->u.order.cb = cb;
    submit(q, k);
}

void queue_count(struct queue *q, struct worker *w, queue_counts_cb cb, void *arg)
{
    struct request *k = request_new(REQUEST_COUNT, w, arg);
    k->u.count.cb = cb;
    submit(q, k);
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
    while (q->amends != NULL) {
        struct amend *next = q->amends->next;
        free(q->amends);
        q->amends = next;
    }
    while (q->stopped != NULL) {
        struct stopped *next = q->stopped->next;
        free(q->stopped);
        q->stopped = next;
    }
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
