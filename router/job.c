/* job: one running delivery, between the scheduler's choice and job_done(). */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "router/dispatch_state.h"
#include "router/gates.h"
#include "router/runtime.h"
#include "tables/route.h"

static struct delivery *delivery_of(struct job *job)
{
    return (struct delivery *)((char *)job - offsetof(struct delivery, job));
}

/* --- the next hop --- */

/* The host all open recipients would be handed to on channel c, in *host; false when
 * they differ or an address cannot be read. Slices point into the snapshot or the
 * entry. */
static bool common_host(const struct channel *c, const struct queue_entry *e, str *host)
{
    for (unsigned i = 0; i < e->recipient_count; i++) {
        struct address address;
        if (address_parse(e->recipients[i].address, &address) != NULL) {
            return false;
        }
        str one = route_next_hop(c, &address);
        if (i > 0 && !str_ieq(one, *host)) {
            return false;
        }
        *host = one;
    }
    return e->recipient_count > 0;
}

void delivery_add(struct delivery *d, bool claimed)
{
    const struct queue_entry *e = d->entry;
    struct worker *w = d->dispatch->worker;
    const struct channel *c = snapshot_channel(w->current->snapshot, e->channel);
    struct scheduler_rules rules = gates_rules(w->daemon, c);
    str host;
    if (!claimed || c == NULL || c->type != CHANNEL_TCP || e->redirected ||
        !common_host(c, e, &host)) {
        host = e->host;
    }
    bool changed = !str_ieq(host, e->host);
    d->job.host = changed ? arena_str(d->parcel->message->arena, host) : e->host;
    scheduler_add(d->dispatch->scheduler, &d->item, e->channel, d->job.host, &rules);
}

/* --- starting --- */

/* The field that shows the recipient, if the channel wants it. One alone: nobody learns
 * of others by it, who may be blind copies. */
static str env_to_field(const struct delivery *d, char *out, size_t size)
{
    const struct channel *c = d->job.channel;
    const struct queue_entry *e = d->entry;
    if (c == NULL || !c->opts.env_to || e->recipient_count != 1) {
        return STR("");
    }
    str address = e->recipients[0].address;
    int n = snprintf(out, size, "X-Envelope-to: %.*s\r\n", STR_ARG(address));
    for (size_t i = 0; i < address.len; i++) {
        if (address.ptr[i] < ' ' || address.ptr[i] > '~') {
            return STR(""); /* no header field can show it */
        }
    }
    return n > 0 && (size_t)n < size ? str_n(out, (size_t)n) : STR("");
}

/* What is sent: the body, or what it becomes with the header of the entry, and with what
 * the channel puts in front. */
static struct body *delivery_body(struct delivery *d)
{
    char field[ADDRESS_PATH_MAX + 40];
    struct body *body = d->parcel->message->body;
    const struct queue_header *h = d->entry->header;
    str own = env_to_field(d, field, sizeof field);
    d->own_field = own.len;
    if (own.len > 0) {
        str rest = h != NULL ? body_part(h->text, 0) : STR("");
        struct buf text;
        buf_init(&text, own.len + rest.len);
        check(buf_str(&text, own) && buf_str(&text, rest));
        struct body *head = body_from_memory(text.data, text.len);
        d->overlay = body_overlay(head, body, h != NULL ? h->replaces : 0);
        body_unref(&head);
        buf_free(&text);
    } else if (h != NULL) {
        d->overlay = body_overlay(h->text, body, h->replaces);
    }
    return d->overlay != NULL ? d->overlay : body;
}

static void job_fill(struct delivery *d, struct runtime *runtime)
{
    const struct queue_message *m = d->parcel->message;
    const struct queue_entry *e = d->entry;
    struct job *job = &d->job;
    job->worker = d->dispatch->worker;
    job->runtime = runtime_ref(runtime);
    job->channel = snapshot_channel(runtime->snapshot, e->channel);
    job->message_id = str_from(m->id);
    job->sender = e->sender.ptr != NULL ? e->sender : m->sender;
    job->body = delivery_body(d);
    job->eight_bit = m->eight_bit;
    if (e->returns.ptr == NULL) { /* a list does not pass them on (RFC 3461 5.2.7.1) */
        job->ret = m->ret;
        job->envid = m->envid;
    }
    job->attempts = e->attempts;
    job->recipient_count = e->recipient_count;
    job->recipients = calloc(e->recipient_count, sizeof *job->recipients);
    check(e->recipient_count > 0 && job->recipients != NULL);
    for (unsigned i = 0; i < e->recipient_count; i++) {
        const struct queue_recipient *r = &e->recipients[i];
        job->recipients[i].address = r->address;
        job->recipients[i].asked = (struct dsn_request){r->notify, r->orcpt};
        outcome_init(&job->recipients[i].outcome);
    }
    d->running = true;
    counter_add(&job->worker->counters.deliveries_open, 1);
}

static void delivery_end(struct delivery *d)
{
    d->running = false;
    counter_add(&d->job.worker->counters.deliveries_open, -1);
    scheduler_finish(d->dispatch->scheduler, &d->item);
    if (d->job.nobody_there) {
        dispatch_close_lane(d->dispatch, d->entry);
    }
    if (scheduler_gate_freed(d->dispatch->scheduler)) {
        dispatch_pump_others(d->dispatch);
    }
    delivery_settle(d);
}

/* The configuration was changed since the message was queued: it waits for the channel
 * to come back, and the operator is told at every attempt. */
static void channel_gone(struct delivery *d)
{
    const char *what = d->job.channel == NULL
                           ? "the configuration has no channel '%.*s' any more"
                           : "channel '%.*s' is of a kind that is not supported";
    for (unsigned i = 0; i < d->job.recipient_count; i++) {
        outcome_set(&d->job.recipients[i].outcome, OUTCOME_DEFERRED, 0, 4, 3, 5, what,
                    STR_ARG(d->entry->channel));
    }
    delivery_end(d);
}

static void fail_all(struct delivery *d, unsigned subject, unsigned detail,
                     const char *text)
{
    for (unsigned i = 0; i < d->job.recipient_count; i++) {
        outcome_set(&d->job.recipients[i].outcome, OUTCOME_FAILED, 0, 5, subject, detail,
                    "%s", text);
    }
    delivery_end(d);
}

/* What fails without being tried, so that its sender is told: an operator wants it, or it
 * is larger than its way allows and was accepted because of its other recipients. */
static bool fails_early(const struct delivery *d)
{
    return d->entry->returned || d->entry->too_large != NULL;
}

static void fail_early(struct delivery *d)
{
    char text[160];
    if (d->entry->returned) {
        fail_all(d, 0, 0, "returned by the postmaster of this system");
        return;
    }
    snprintf(text, sizeof text,
             "the message is larger than its way to the recipient allows (%s)",
             d->entry->too_large);
    fail_all(d, 3, 4, text);
}

void delivery_start(struct delivery *d)
{
    struct worker *w = d->dispatch->worker;
    job_fill(d, w->current);
    if (fails_early(d)) {
        fail_early(d);
        return;
    }
    if (d->job.channel == NULL || d->job.channel->type == CHANNEL_UNSUPPORTED) {
        channel_gone(d);
        return;
    }
    const struct channel_kind *kind = runtime_kind(d->job.runtime, d->job.channel);
    d->in_deliver = true;
    kind->deliver(w, runtime_state(d->job.runtime, d->job.channel), &d->job);
    d->in_deliver = false;
}

const struct retry_policy *delivery_policy(const struct delivery *d)
{
    const struct channel *c = d->job.channel; /* NULL: there is none any more */
    return c != NULL ? &c->retry[d->entry->priority] : &retry_policy_default;
}

void delivery_clear(struct delivery *d)
{
    check(!d->running);
    free(d->job.recipients);
    d->job.recipients = NULL;
    body_unref(&d->overlay);
    runtime_unref(&d->job.runtime);
}

/* --- for the drivers --- */

void job_done(struct job *job)
{
    struct delivery *d = delivery_of(job);
    check(d->running && !d->in_deliver);
    struct dispatch *dispatch = d->dispatch;
    delivery_end(d);
    dispatch_pump_soon(dispatch);
}

struct job *job_next(struct job *job)
{
    struct delivery *d = delivery_of(job);
    check(d->running);
    struct dispatch *dispatch = d->dispatch;
    /* A connection made under an older configuration serves no later message. */
    if (dispatch->stopping || job->runtime != dispatch->worker->current) {
        return NULL;
    }
    struct scheduler_item *item;
    while ((item = scheduler_take(dispatch->scheduler, &d->item)) != NULL) {
        struct delivery *next = (struct delivery *)item;
        job_fill(next, job->runtime);
        check(next->job.channel != NULL);
        if (!fails_early(next)) {
            return &next->job;
        }
        scheduler_return_gates(&next->item, &d->item); /* the connection goes on */
        fail_early(next);
    }
    return NULL;
}
