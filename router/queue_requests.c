/* queue_requests: what workers ask of the store thread, and its answers on their loops.
 */
#include <stdlib.h>

#include "base/check.h"
#include "router/queue_private.h"

enum { CLAIM_MAX = 1000 /* entries of one claim: bodies are loaded with them */ };

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
    struct queue_store_history *h;
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
    case REQUEST_HISTORY:
        h = &k->u.history.history;
        k->u.history.cb(w, h->attempts, r->ok ? h->count : 0, r, k->arg);
        arena_free(&h->arena);
        break;
    case REQUEST_RELEASE:
        break;
    }
    free(k);
}

void request_answer(struct request *k)
{
    if (k->worker == NULL) {
        free(k);
    } else {
        worker_post(k->worker, &k->task);
    }
}

/* --- asking --- */

static void append(struct queue *q, struct request *k)
{
    k->next = NULL;
    *q->last = k;
    q->last = &k->next;
    uv_cond_signal(&q->wake);
}

static void submit(struct queue *q, struct request *k)
{
    uv_mutex_lock(&q->lock);
    check(!q->closing);
    append(q, k);
    uv_mutex_unlock(&q->lock);
}

void request_again(struct queue *q, struct request *k)
{
    uv_mutex_lock(&q->lock);
    append(q, k); /* also while the queue closes: whoever waits gets an answer */
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
    g->order.next_hop = copied(g->arena, o->next_hop);
    f->channel = copied(g->arena, f->channel);
    f->host = copied(g->arena, f->host);
    f->from = copied(g->arena, f->from);
    f->to = copied(g->arena, f->to);
    g->at = at;
    k->u.order.ordering = g;
    k->u.order.cb = cb;
    submit(q, k);
}

void queue_history(struct queue *q, struct worker *w, int64_t entry_id, unsigned limit,
                   queue_history_cb cb, void *arg)
{
    struct request *k = request_new(REQUEST_HISTORY, w, arg);
    struct queue_store_history *h = &k->u.history.history;
    h->entry_id = entry_id;
    h->limit = limit;
    h->arena = arena_new();
    k->u.history.cb = cb;
    submit(q, k);
}

void queue_count(struct queue *q, struct worker *w, queue_counts_cb cb, void *arg)
{
    struct request *k = request_new(REQUEST_COUNT, w, arg);
    k->u.count.at = (struct queue_cursor){0, -1};
    k->u.count.cb = cb;
    submit(q, k);
}
