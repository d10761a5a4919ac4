/* enqueue_commit: the end of a transaction: the size is known, the header is made for
 * each channel, the body is sealed, and the message is stored with its entries and with
 * the reports about members of lists that do not get it. */
#include <stdlib.h>

#include "base/check.h"
#include "router/dispatch.h"
#include "router/enqueue_state.h"
#include "router/header_fields.h"

/* Recipients of one transaction with a next hop, or of one delivery here. Hosts must take
 * 100. */
enum { ENTRY_RECIPIENTS_MAX = 100 };

static void log_enqueue(struct enqueue *e, unsigned recipients, uint64_t size)
{
    struct log_line line;
    log_begin(&line, e->worker->daemon->log, LOG_ENQUEUE);
    log_str(&line, "session", e->session.session);
    log_cstr(&line, "id", e->id);
    log_str(&line, "from", e->message->sender);
    log_int(&line, "size", (int64_t)size);
    log_str(&line, "channel", e->session.source->name);
    log_int(&line, "recipients", recipients);
    log_duration_ms(&line, "ms", uv_hrtime() - e->started_ns);
    log_end(&line);
}

static void log_hold(const struct enqueue *e, str channel, const char *reason)
{
    struct log_line line;
    log_begin(&line, e->worker->daemon->log, LOG_HOLD);
    log_cstr(&line, "id", e->id);
    log_str(&line, "channel", channel);
    log_cstr(&line, "reason", reason);
    log_end(&line);
}

/* The whole message is set aside, or what goes to a channel that holds it. */
static void log_holds(const struct enqueue *e, const struct queue_message *m)
{
    if (e->hold != NULL) {
        log_hold(e, e->session.source->name, e->hold);
        return;
    }
    for (unsigned i = 0; i < m->entry_count; i++) {
        if (m->entries[i].hold != NULL) {
            log_hold(e, m->entries[i].channel, m->entries[i].hold);
        }
    }
}

static void log_discard(struct enqueue *e)
{
    struct log_line line;
    log_begin(&line, e->worker->daemon->log, LOG_DISCARD);
    log_str(&line, "session", e->session.session);
    log_cstr(&line, "id", e->id);
    log_str(&line, "from", e->message->sender);
    log_str(&line, "channel", e->session.source->name);
    log_int(&line, "recipients", e->recipients);
    log_cstr(&line, "reason",
             e->admission.discard != NULL ? e->admission.discard
                                          : "each recipient, by $B of access tables");
    log_end(&line);
}

/* Nobody gets it: it is accepted, and not even stored. */
static bool discarded(struct enqueue *e)
{
    if (e->admission.discard == NULL && e->groups.n > 0) {
        return false;
    }
    log_discard(e);
    outcome_set(&e->outcome, OUTCOME_DELIVERED, 250, 2, 0, 0, "queued as %s", e->id);
    enqueue_answer_later(e);
    return true;
}

/* The reports that were committed with it are messages of their own. */
static void dispatch_reports(struct worker *w, struct queue_message *m)
{
    struct queue_message *report = m->report;
    m->report = NULL;
    while (report != NULL) {
        struct queue_message *next = report->report;
        report->report = NULL;
        dispatch_add(w, report);
        report = next;
    }
}

static void on_committed(struct worker *w, struct queue_message *m,
                         const struct queue_result *r, void *arg)
{
    struct enqueue *e = arg;
    if (!r->ok) {
        enqueue_storage_failed(e, r->reason, &e->outcome);
        enqueue_answer(e, &e->outcome);
        return;
    }
    if (e->logged) {
        log_enqueue(e, e->recipients, body_size(m->body));
    }
    /* Also when the session is gone: the message is ours now, and may be the client's
     * too; twice is allowed, never is not (RFC 5321 4.5.4.1, RFC 1047). */
    e->message = NULL;
    if (e->lists != NULL) {
        list_report_stored(e->lists, w, m);
    }
    enqueue_report_stored(e);
    dispatch_reports(w, m);
    log_holds(e, m);
    dispatch_add(w, m);
    outcome_set(&e->outcome, OUTCOME_DELIVERED, 250, 2, 0, 0, "queued as %s", e->id);
    enqueue_answer(e, &e->outcome);
}

/* The size is known now. True: for the site, or for all recipients, it is too much, and
 * *out says so. Where only some channels do not take it, their recipients fail at the
 * first attempt, which tells the sender. */
static bool too_large(struct enqueue *e, struct outcome *out)
{
    const struct snapshot *s = e->runtime->snapshot;
    const char *limit = message_over_site(s, &e->size);
    size_t over = 0;
    if (admission_too_large(&e->admission, s, e->size.bytes)) {
        return !enqueue_refused_block_limit(out);
    }
    if (limit != NULL) {
        outcome_set(out, OUTCOME_FAILED, 552, 5, 3, 4, "the message is too large (%s)",
                    limit);
        return true;
    }
    for (size_t i = 0; i < e->groups.n; i++) {
        struct group *g = e->groups.at[i];
        g->over = message_over_list(s, g->block_limit, g->line_limit, &e->size);
        g->over = g->over ? g->over : message_over_channel(s, g->channel, &e->size);
        limit = g->over != NULL ? g->over : limit;
        over += g->over != NULL;
    }
    return over > 0 && over == e->groups.n && !enqueue_refused_size(limit, out);
}

/* A message that has been through too many systems probably goes round: set aside, so
 * that it neither goes on nor is lost. */
static void hold_looping(struct enqueue *e)
{
    const char *option;
    unsigned limit = enqueue_received_limit(e, &option);
    if (limit > 0 && e->scan.received > limit && e->hold == NULL) {
        e->hold = arena_printf(e->message->arena, "%u Received fields, %s is %u",
                               e->scan.received, option, limit)
                      .ptr;
    }
}

/* An access table said $H, or there are more recipients than holdlimit of the source
 * channel: set aside until an operator has looked at it. */
static void hold_message(struct enqueue *e)
{
    unsigned limit = e->session.source->opts.holdlimit;
    if (e->admission.hold != NULL) {
        e->hold = arena_strdup(e->message->arena, e->admission.hold);
    } else if (limit > 0 && e->given > limit) {
        e->hold =
            arena_printf(e->message->arena, "%u recipients, holdlimit of %.*s is %u",
                         e->given, STR_ARG(e->session.source->name), limit)
                .ptr;
    }
}

/* The header goes out as it came where it is too much to be looked at. */
static void log_header_left(struct enqueue *e)
{
    struct log_line line;
    log_begin(&line, e->worker->daemon->log, LOG_ERROR);
    log_cstr(&line, "what", "header not rewritten");
    log_str(&line, "session", e->session.session);
    log_cstr(&line, "id", e->id);
    log_cstr(&line, "reason", "it is too long, or has too many addresses");
    log_end(&line);
}

/* The first answer of the reverse database or table that could not be used; the address
 * stayed as it was. */
static void log_reversal(struct enqueue *e)
{
    const struct reversal *r = outgoings_reversal(e->outgoings);
    struct log_line line;
    if (r->problem == NULL) {
        return;
    }
    log_begin(&line, e->worker->daemon->log, LOG_ERROR);
    log_cstr(&line, "what", "address not reversed");
    log_str(&line, "session", e->session.session);
    log_cstr(&line, "id", e->id);
    log_str(&line, "rule",
            snapshot_where(e->scratch, e->runtime->snapshot, r->problem_at));
    log_cstr(&line, "reason", r->problem);
    log_end(&line);
}

static void headers_make(struct enqueue *e)
{
    str header = buf_slice(&e->header);
    header = str_sub(header, 0, header_length(header));
    e->urgency = e->header_left ? URGENCY_NORMAL : urgency_of_header(header);
    e->deferred_ms = e->header_left ? 0 : deferred_delivery_ms(header);
    if (e->header_left || !outgoings_headers(e->outgoings, header, e->message)) {
        log_header_left(e);
    }
    log_reversal(e);
    if (e->lists != NULL) {
        list_report_make(e->lists, e->worker, e->runtime->snapshot,
                         e->header_left ? STR_NONE : header, e->message);
    }
    enqueue_report_make(e, e->header_left ? STR_NONE : header);
    buf_free(&e->header);
}

/* How urgent it is on its channel, and when it is tried first. */
static void entry_schedule(struct enqueue *e, const struct group *g,
                           struct queue_entry *entry)
{
    struct first_try f = {.source = e->session.source,
                          .channel = g->channel,
                          .urgency = urgency_by_size(e->urgency, e->runtime->snapshot,
                                                     g->channel, &e->size),
                          .deferred_ms = e->deferred_ms,
                          .now_ms = e->message->created_ms};
    entry->priority = urgency_class(f.urgency);
    entry->not_before_ms = g->over == NULL ? first_try_ms(&f) : 0;
}

/* How many recipients of a group share an entry. A program runs for one, and may take
 * long: what it did is to be remembered before the next one runs. */
static size_t entry_recipients_max(const struct group *g)
{
    const struct channel_opts *o = &g->channel->opts;
    if (o->filesplit == FILESPLIT_SINGLE || g->channel->type == CHANNEL_PIPE) {
        return 1;
    }
    return o->addrsperfile > 0 && o->addrsperfile < ENTRY_RECIPIENTS_MAX
               ? o->addrsperfile
               : ENTRY_RECIPIENTS_MAX;
}

/* Is the receipt that the header asks for one to ask for on the envelope? */
static bool receipt_by_envelope(const struct enqueue *e, const struct group *g)
{
    enum receipts_mode mode = g->channel->opts.receipts;
    return (mode == RECEIPTS_BOTH || mode == RECEIPTS_NOTARY) && g->sender.ptr == NULL &&
           outgoings_receipt_asked(e->outgoings);
}

/* A part of a group: what a next hop must take in one transaction is bounded (RFC 5321
 * 4.5.3.1.8), and what is delivered twice after a crash is one part, here too. */
static void entry_fill(struct enqueue *e, const struct group *g, size_t from, size_t n,
                       struct queue_entry *entry)
{
    struct queue_message *m = e->message;
    const struct outgoing *o =
        outgoings_get(e->outgoings, g->channel, g->sender, m->arena);
    entry->sender = o->sender;
    entry->header = o->header;
    /* who wrote a message that is too large for a list is told, not the list's owner */
    entry->returns = g->over == NULL ? g->sender : STR_NONE;
    entry->channel = arena_str(m->arena, g->channel->name);
    entry->host = g->host;
    entry->too_large = g->over;
    entry->hold = e->hold != NULL ? e->hold : channel_holds(g->channel);
    entry_schedule(e, g, entry);
    entry->recipients = arena_array(m->arena, struct queue_recipient, n);
    memcpy(entry->recipients, g->recipients.at + from, n * sizeof *entry->recipients);
    for (size_t i = 0; i < n; i++) {
        struct queue_recipient *r = &entry->recipients[i];
        r->notify = dsn_notify_stored(r->notify, e->hold != NULL);
        r->notify = receipt_by_envelope(e, g) ? dsn_notify_receipt(r->notify) : r->notify;
    }
    entry->recipient_count = (unsigned)n;
}

/* Turns the groups into the entries of the message. */
static void entries_make(struct enqueue *e)
{
    struct queue_message *m = e->message;
    unsigned count = 0;
    m->eight_bit = e->scan.eight_bit;
    for (size_t i = 0; i < e->groups.n; i++) {
        const struct group *g = e->groups.at[i];
        count += (unsigned)((g->recipients.n - 1) / entry_recipients_max(g) + 1);
    }
    m->entries = arena_array(m->arena, struct queue_entry, count);
    for (size_t i = 0; i < e->groups.n; i++) {
        const struct group *g = e->groups.at[i];
        size_t most = entry_recipients_max(g);
        for (size_t from = 0; from < g->recipients.n; from += most) {
            size_t left = g->recipients.n - from, n = left < most ? left : most;
            entry_fill(e, g, from, n, &m->entries[m->entry_count++]);
            if (left == n) {
                break;
            }
        }
    }
}

static void on_sealed(struct body *b, int error, void *arg)
{
    (void)b;
    struct enqueue *e = arg;
    if (error != 0) {
        enqueue_storage_failed(e, uv_strerror(error), &e->outcome);
        enqueue_answer(e, &e->outcome);
    } else if (e->dead) {
        enqueue_answer(e,
                       &e->outcome); /* nobody was told anything: it may be forgotten */
    } else {
        queue_commit(e->worker->daemon->queue, e->worker, e->message, on_committed, e);
    }
}

void enqueue_commit(struct enqueue *e, enqueue_cb cb, void *arg)
{
    int error;
    check(!e->busy && !e->committing && e->given > 0);
    admission_command(&e->admission);
    enqueue_body_begin(e); /* an empty message has only our field */
    e->committing = true;
    e->started_ns = uv_hrtime();
    e->cb = cb;
    e->arg = arg;
    e->busy = true;
    if (too_large(e, &e->outcome)) {
        enqueue_answer_later(e);
        return;
    }
    if (discarded(e)) {
        return;
    }
    hold_message(e);
    hold_looping(e);
    headers_make(e);
    entries_make(e);
    if (!body_seal(e->worker, e->body, on_sealed, e, &error)) {
        return;
    }
    if (error != 0) {
        enqueue_storage_failed(e, uv_strerror(error), &e->outcome);
        enqueue_answer_later(e);
        return;
    }
    queue_commit(e->worker->daemon->queue, e->worker, e->message, on_committed, e);
}
