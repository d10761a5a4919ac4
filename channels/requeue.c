/* requeue: see requeue.h. The message passes through enqueue.h like one that comes from a
 * client, with the channel as its source: rules, aliases and access tables see it so. */
#include "channels/requeue.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "router/body.h"
#include "router/enqueue.h"
#include "router/worker.h"

enum { CHUNK = 64 * 1024 };

struct requeue {
    struct task task; /* first: a task is its requeue */
    struct worker *worker;
    struct job *job;
    struct enqueue *enqueue;
    bool *taken; /* of each recipient: it goes with the new message */
    struct body_reader *reader;
    uint64_t offset;
    char *chunk;
};

static void feed(struct requeue *q);

/* ---- the end ----------------------------------------------------------------------- */

static void finish(struct requeue *q)
{
    struct job *job = q->job;
    enqueue_abort(&q->enqueue);
    body_reader_free(&q->reader);
    free(q->taken);
    free(q->chunk);
    free(q);
    job_done(job);
}

/* What came of the new message is what came of those that go with it. */
static void settle(struct requeue *q, const struct outcome *o)
{
    for (unsigned i = 0; i < q->job->recipient_count; i++) {
        if (q->taken[i]) {
            struct outcome *to = &q->job->recipients[i].outcome;
            *to = *o;
            to->code = 0; /* no reply to anybody */
            q->job->recipients[i].success = JOB_SUCCESS_PASSED_ON;
        }
    }
    finish(q);
}

/* Nothing was stored: whatever the reason, all of it can be tried again. */
static void on_committed(struct enqueue *e, const struct outcome *o, void *arg)
{
    (void)e;
    settle(arg, o);
}

static void on_unreadable(struct requeue *q)
{
    struct outcome o;
    outcome_set(&o, OUTCOME_DEFERRED, 0, 4, 3, 0, "the message cannot be read");
    settle(q, &o);
}

/* ---- the body ---------------------------------------------------------------------- */

/* True: it may go on. */
static bool stored(struct requeue *q, const struct outcome *o)
{
    if (o->class != OUTCOME_DELIVERED) {
        settle(q, o);
        return false;
    }
    return true;
}

static void on_stored(struct enqueue *e, const struct outcome *o, void *arg)
{
    (void)e;
    if (stored(arg, o)) {
        feed(arg);
    }
}

/* False: it goes on in on_stored(), or it has ended. */
static bool store(struct requeue *q, str part)
{
    struct outcome o;
    q->offset += part.len;
    return enqueue_body(q->enqueue, part, on_stored, q, &o) && stored(q, &o);
}

static void on_read(struct body_reader *r, long got, void *arg)
{
    struct requeue *q = arg;
    (void)r;
    if (got <= 0) {
        on_unreadable(q);
    } else if (store(q, str_n(q->chunk, (size_t)got))) {
        feed(q);
    }
}

static void feed(struct requeue *q)
{
    struct body *body = q->job->body;
    while (q->offset < body_size(body)) {
        str part = body_part(body, q->offset);
        if (part.ptr == NULL) {
            long got = body_read(q->reader, q->chunk, CHUNK, q->offset, on_read, q);
            check(got < 0); /* it is in a file */
            return;
        }
        if (!store(q, str_sub(part, 0, CHUNK))) {
            return;
        }
    }
    enqueue_commit(q->enqueue, on_committed, q);
}

/* ---- the envelope ------------------------------------------------------------------ */

static void begin(struct requeue *q, const struct address *sender)
{
    struct job *job = q->job;
    struct enqueue_session s = {
        .worker = q->worker,
        .runtime = job->runtime,
        .source = job->channel,
        .trusted = true, /* who may send there was asked when it came */
        .internal = true,
        .session = job->message_id,
        .peer_ip = STR(""),
        .helo = STR(""),
        .server_ip = STR(""),
        .peer_name = STR(""),
        .tls_version = STR(""),
        .tls_cipher = STR(""),
        .ret = job->ret,
        .envid = job->envid,
    };
    q->enqueue = enqueue_begin(&s, sender);
}

static bool take_recipient(struct requeue *q, struct job_recipient *r)
{
    struct address to;
    const char *bad = address_parse(r->address, &to);
    if (bad != NULL) {
        outcome_set(&r->outcome, OUTCOME_FAILED, 0, 5, 1, 3, "the address %s", bad);
        return false;
    }
    bool taken = enqueue_recipient(q->enqueue, &to, &r->asked, &r->outcome);
    r->outcome.code = 0;
    return taken;
}

/* False: nobody is left. */
static bool take_recipients(struct requeue *q)
{
    bool any = false;
    for (unsigned i = 0; i < q->job->recipient_count; i++) {
        q->taken[i] = take_recipient(q, &q->job->recipients[i]);
        any = any || q->taken[i];
    }
    return any;
}

static void on_turn(struct worker *w, struct task *t)
{
    struct requeue *q = (struct requeue *)t;
    struct address sender = {0};
    (void)w;
    if (q->job->sender.len > 0 && address_parse(q->job->sender, &sender) != NULL) {
        sender =
            (struct address){0}; /* as it was queued: cannot be, but nobody is told */
    }
    begin(q, &sender);
    if (take_recipients(q)) {
        feed(q);
    } else {
        finish(q);
    }
}

static void requeue_deliver(struct worker *w, void *state, struct job *job)
{
    (void)state;
    struct requeue *q = calloc(1, sizeof *q);
    check(q != NULL);
    q->taken = calloc(job->recipient_count, sizeof *q->taken);
    q->chunk = malloc(CHUNK);
    check(q->taken != NULL && q->chunk != NULL);
    q->worker = w;
    q->job = job;
    q->reader = body_reader_new(w, job->body);
    q->task.run = on_turn;
    worker_post(w, &q->task);
}

const struct channel_kind kind_reprocess = {
    .name = "reprocess",
    .type = CHANNEL_REPROCESS,
    .deliver = requeue_deliver,
};

/* Its entries are born held (channel_holds()); this is for those that were released. */
const struct channel_kind kind_hold = {
    .name = "hold",
    .type = CHANNEL_HOLD,
    .deliver = requeue_deliver,
};
