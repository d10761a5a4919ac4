/* tcp_delivery: one outbound delivery: next-hop addresses one after another, a stream,
 * the client machine and, when the channel says so, TLS. A connection serves further
 * ready jobs for the same channel and next hop before it ends. The outcome of every
 * recipient starts as deferred, so a path that forgets one can only cause a retry. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "channels/tcp_delivery.h"
#include "tables/shown.h"

enum {
    CLOSE_LINGER_MS = 5000,
    CHUNK = 64 * 1024, /* body octets given to the machine at a time */
    OUTPUT_HIGH_WATER = 256 * 1024,
    AWAKE_MS = 30 * 1000 /* for the first reply of a host that had a pause */
};

static void delivery_run(struct tcp_delivery *d, const char *data, size_t len);

/* --- settling --- */

static void free_message(struct tcp_delivery *d)
{
    body_reader_free(&d->reader);
    free(d->recipients);
    d->recipients = NULL;
    d->message = (struct smtp_client_message){0};
}

void delivery_take(struct tcp_delivery *d, struct job *job)
{
    const struct snapshot *s = d->runtime->snapshot;
    free_message(d);
    arena_reset(d->arena, d->empty);
    d->job = job;
    d->offset = 0;
    d->reading = false;
    d->recipients = calloc(job->recipient_count, sizeof *d->recipients);
    check(d->recipients);
    for (unsigned i = 0; i < job->recipient_count; i++) {
        d->recipients[i].address =
            shown_recipient(s, d->channel, job->recipients[i].address, d->arena);
        d->recipients[i].asked = job->recipients[i].asked;
        outcome_init(&d->recipients[i].outcome);
    }
    d->message = (struct smtp_client_message){
        .sender = shown_sender(s, d->channel, job->sender, d->arena),
        .recipients = d->recipients,
        .recipient_count = job->recipient_count,
        .size_bytes = body_size(job->body),
        .eight_bit = job->eight_bit,
        .ret = job->ret,
        .envid = job->envid,
    };
}

static bool was_reused(const struct tcp_delivery *d)
{
    return d->messages > 1;
}

/* Behind LMTP is a mailbox (RFC 2033); behind SMTP another system. */
static enum job_success success_of(const struct tcp_delivery *d,
                                   const struct smtp_client_recipient *r)
{
    if (d->channel->opts.protocol == PROTOCOL_LMTP) {
        return JOB_SUCCESS_DELIVERED;
    }
    return r->passed_on ? JOB_SUCCESS_PASSED_ON : JOB_SUCCESS_RELAYED;
}

static void settle_from_machine(struct tcp_delivery *d)
{
    struct job *job = d->job;
    for (unsigned i = 0; i < job->recipient_count; i++) {
        job->recipients[i].outcome = d->recipients[i].outcome;
        job->recipients[i].success = success_of(d, &d->recipients[i]);
        delivery_note_speaker(d, &job->recipients[i].outcome);
    }
    delivery_remember_worked(d);
    delivery_note_connection(d, job);
    if (was_reused(d)) {
        counter_add(&d->worker->counters.deliveries_reused, 1);
    }
}

/* Gives the job back; the connection, if any, may go on to its end. */
void delivery_finish_job(struct tcp_delivery *d)
{
    struct job *job = d->job;
    free_message(d);
    d->job = NULL;
    job_done(job);
}

void delivery_free(struct tcp_delivery *d)
{
    check(!d->job && !d->stream);
    tcp_hosts_free(&d->hosts);
    smtp_client_free(&d->machine);
    tls_context_unref(&d->tls_context);
    delivery_with_job(d); /* in no list any more */
    runtime_unref(&d->runtime);
    arena_free(&d->arena);
    free(d->chunk);
    d->freed = true;
    if (!d->begin_posted) {
        free(d);
    }
}

/* --- the connection ends --- */

static bool nothing_settled(const struct tcp_delivery *d)
{
    for (unsigned i = 0; i < d->job->recipient_count; i++) {
        if (d->recipients[i].outcome.class != OUTCOME_DEFERRED) {
            return false;
        }
    }
    return true;
}

static void on_closed(struct stream *stream, void *arg)
{
    struct tcp_delivery *d = arg;
    (void)stream;
    d->stream = NULL;
    delivery_after_close(d);
}

static void delivery_log_host(struct tcp_delivery *d)
{
    struct outcome o;
    delivery_host_outcome(d, &o);
    if (delivery_was_stripped(d)) {
        delivery_log_stripped(d, &o);
    }
    delivery_log_attempt(d, &o);
}

/* The machine has ended. Decides whether the job goes on elsewhere. */
static void delivery_close(struct tcp_delivery *d)
{
    if (d->reading) { /* the read buffer is not ours to free yet */
        d->close_after_read = true;
        return;
    }
    d->begin_due = false;
    bool dirty = d->job && !smtp_client_after_dot(d->machine) && nothing_settled(d);
    d->clear = false;
    d->retry_fresh = false;
    if (smtp_client_injected(d->machine)) {
        delivery_log_injection(d);
    }
    if (smtp_client_tls_failed(d->machine)) {
        delivery_tls_failed(d);
    }
    if (d->job && d->regroup) {
        d->regroup = false;
        d->other_groups = d->retry_fresh = true;
    } else if (d->job && smtp_client_wants_clear(d->machine)) {
        d->clear = true;
        delivery_remember_broken(d);
        delivery_log_downgrade(d, smtp_client_host_outcome(d->machine)->text);
    } else if (dirty && was_reused(d)) {
        /* The peer had enough messages on one connection: that is no failure. */
        d->retry_fresh = true;
    } else if (d->job && smtp_client_try_next_host(d->machine)) {
        delivery_log_host(d);
    } else if (d->job) {
        settle_from_machine(d);
        delivery_finish_job(d);
    }
    stream_close(d->stream, CLOSE_LINGER_MS);
}

/* --- questions of the machine --- */

static void on_body_read(struct body_reader *r, long got, void *arg)
{
    struct tcp_delivery *d = arg;
    (void)r;
    d->reading = false;
    if (d->close_after_read) {
        d->close_after_read = false;
        delivery_close(d);
        return;
    }
    if (got <= 0) {
        /* The body is ours, not the peer's: nothing half may be taken as whole. */
        smtp_client_lost(d->machine, "cannot read the message from the queue");
        delivery_close(d);
        return;
    }
    d->offset += (uint64_t)got;
    smtp_client_body(d->machine, d->chunk, (size_t)got,
                     d->offset >= body_size(d->job->body));
    delivery_run(d, "", 0);
}

/* True: answered at once. */
static bool give_body(struct tcp_delivery *d)
{
    if (stream_pending(d->stream) > OUTPUT_HIGH_WATER || d->reading) {
        return false;
    }
    str part = body_part(d->job->body, d->offset);
    if (part.ptr) {
        part = str_sub(part, 0, CHUNK);
        d->offset += part.len;
        smtp_client_body(d->machine, part.ptr, part.len,
                         d->offset >= body_size(d->job->body));
        return true;
    }
    if (!d->chunk) {
        d->chunk = malloc(CHUNK);
    }
    check(d->chunk);
    if (!d->reader) {
        d->reader = body_reader_new(d->worker, d->job->body);
    }
    d->reading = true;
    body_read(d->reader, d->chunk, CHUNK, d->offset, on_body_read, d);
    return false;
}

/* A message on a connection that has carried others, perhaps a while ago: should the host
 * have gone meanwhile, or have had enough, that is no failure. */
static void go_on(struct tcp_delivery *d, struct job *job)
{
    d->messages++;
    d->restart = true;
    delivery_take(d, job);
    smtp_client_next(d->machine, &d->message);
}

/* The message is settled: go on with a ready one for the same next hop, wait for one, or
 * quit. False: nothing is to be said. */
static bool next_message(struct tcp_delivery *d)
{
    if (was_reused(d) && smtp_client_mail_put_off(d->machine)) {
        /* Enough messages for one connection, perhaps: once more on a new one. */
        smtp_client_quit(d->machine);
        return true;
    }
    settle_from_machine(d);
    struct job *next = delivery_may_go_on(d) ? job_next(d->job) : NULL;
    delivery_finish_job(d);
    if (next) {
        go_on(d, next);
        return true;
    }
    delivery_without_job(d);
    if (delivery_idle_keep(d)) {
        return false;
    }
    smtp_client_quit(d->machine);
    return true;
}

bool delivery_flush(struct tcp_delivery *d)
{
    struct buf *out = smtp_client_out(d->machine);
    bool any = out->len > 0;
    if (any) {
        stream_write(d->stream, out->data, out->len);
    }
    buf_clear(out);
    return any;
}

/* True: answered at once. */
static bool delivery_answer(struct tcp_delivery *d)
{
    switch (smtp_client_ask(d->machine)) {
    case CLIENT_ASK_TLS:
        delivery_start_tls(d);
        return false;
    case CLIENT_ASK_BODY:
        return give_body(d);
    case CLIENT_ASK_SETTLED:
        return next_message(d);
    case CLIENT_ASK_NONE:
        break;
    }
    check(!"the machine waits without a question");
    return false;
}

/* A host that had a pause may have gone without a word. */
static unsigned timeout_ms(const struct tcp_delivery *d)
{
    unsigned ms = smtp_client_timeout_ms(d->machine);
    bool silent =
        d->silent_since > 0 && smtp_client_replies(d->machine) == d->silent_since;
    return silent && ms > AWAKE_MS ? AWAKE_MS : ms;
}

/* The deadline restarts with every reply and everything sent, not with every octet. */
static void delivery_run(struct tcp_delivery *d, const char *data, size_t len)
{
    bool progress = false;
    unsigned replies = smtp_client_replies(d->machine);
    d->begin_due = false;
    for (;;) {
        enum smtp_step step = smtp_client_feed(d->machine, data, len);
        data = "";
        len = 0;
        delivery_note_answer(d);
        progress = delivery_flush(d) || progress;
        if (step == STEP_CLOSE) {
            delivery_close(d);
            return;
        }
        if (step == STEP_MORE) {
            break;
        }
        if (!delivery_answer(d)) {
            break;
        }
    }
    if (!d->job && d->worker->stopping) {
        delivery_leave(d);
        return;
    }
    progress = progress || smtp_client_replies(d->machine) != replies;
    if (progress && !d->idle && smtp_client_ask(d->machine) != CLIENT_ASK_TLS) {
        stream_deadline(d->stream, timeout_ms(d));
    }
}

/* --- events of the stream --- */

static void on_data(struct stream *stream, const char *data, size_t len, void *arg)
{
    struct tcp_delivery *d = arg;
    (void)stream;
    if (d->idle) { /* 421, or what nobody has asked for */
        delivery_leave(d);
    } else if (!d->close_after_read) {
        delivery_run(d, data, len);
    }
}

static void on_drained(struct stream *stream, void *arg)
{
    struct tcp_delivery *d = arg;
    (void)stream;
    if (d->machine && smtp_client_ask(d->machine) == CLIENT_ASK_BODY && !d->reading) {
        delivery_run(d, "", 0);
    }
}

static void on_connected(struct stream *stream, void *arg)
{
    struct tcp_delivery *d = arg;
    d->connected = true;
    if (d->wanted.policy.implicit) {
        delivery_start_tls(d);
    } else {
        stream_deadline(stream, smtp_client_timeout_ms(d->machine));
    }
    stream_resume(stream);
}

static void on_end(struct stream *stream, const char *reason, void *arg)
{
    struct tcp_delivery *d = arg;
    char text[160];
    (void)stream;
    if (d->idle) { /* it has waited long enough, or its host has */
        delivery_leave(d);
        return;
    }
    snprintf(text, sizeof text, "%s: %s",
             d->connected ? "connection lost" : "cannot connect", reason);
    if (!d->answered) {
        delivery_note_dead(d, text);
    }
    smtp_client_lost(d->machine, text);
    delivery_close(d);
}

static void on_tls(struct stream *stream, bool ok, const char *error, void *arg)
{
    struct tcp_delivery *d = arg;
    char refusal[160];
    bool for_good = false;
    delivery_log_tls(d, ok ? NULL : error);
    if (ok && !delivery_tls_allowed(d, refusal, sizeof refusal, &for_good)) {
        ok = false;
        error = refusal;
        d->tls_vetoed = true;
    }
    delivery_tls_note(d, ok ? NULL : error);
    d->regroup = !ok && !d->tls_vetoed && delivery_wants_other_groups(d);
    if (for_good) {
        smtp_client_not_in_clear(d->machine);
    }
    counter_add(ok ? &d->worker->counters.tls_out : &d->worker->counters.tls_out_failed,
                1);
    smtp_client_tls_done(d->machine, ok, error);
    if (ok) {
        stream_deadline(stream, smtp_client_timeout_ms(d->machine));
    }
    delivery_run(d, "", 0);
}

const struct stream_events delivery_events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_connected = on_connected,
    .on_tls = on_tls,
    .on_closed = on_closed,
};

static void on_begin(struct worker *w, struct task *t)
{
    struct tcp_delivery *d =
        (struct tcp_delivery *)((char *)t - offsetof(struct tcp_delivery, begin));
    (void)w;
    d->begin_posted = false;
    if (d->freed) {
        free(d);
    } else if (d->begin_due) { /* else the host has said something before */
        delivery_run(d, "", 0);
    }
}

/* Takes the job to a connection that has waited for one. */
static void deliver_on(struct tcp_delivery *d, struct job *job)
{
    check(!d->begin_posted);
    delivery_with_job(d);
    d->silent_since = smtp_client_replies(d->machine);
    go_on(d, job);
    d->begin.run = on_begin;
    d->begin_posted = d->begin_due = true;
    worker_post(d->worker, &d->begin);
}

void tcp_deliver(struct worker *w, void *state, struct job *job)
{
    struct tcp_delivery *d = delivery_idle_take(w, job);
    if (d) {
        deliver_on(d, job);
        return;
    }
    d = calloc(1, sizeof *d);
    check(d);
    d->worker = w;
    d->state = state;
    d->runtime = runtime_ref(job->runtime);
    d->channel = job->channel;
    d->job = job;
    snprintf(d->next_hop, sizeof d->next_hop, "%.*s", STR_ARG(job->host));
    d->arena = arena_new();
    d->empty = arena_mark(d->arena);
    delivery_walk(d);
}
