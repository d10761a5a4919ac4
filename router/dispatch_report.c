/* dispatch_report: a notification of one delivery: routed like any message from the local
 * channel with a null sender, its text written by bounce.c, its body sealed like any
 * other. It is committed together with the settlement it belongs to. */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/check.h"
#include "router/body.h"
#include "router/bounce.h"
#include "router/dispatch_state.h"
#include "router/report_envelope.h"
#include "router/header_fields.h"
#include "router/report_style.h"
#include "router/runtime.h"

/* What is read of a message for a report that returns its first lines. */
enum { REPORT_LINES_OCTETS = 2 * BOUNCE_HEADER_MAX };

struct report {
    struct delivery *delivery;
    enum report_kind kind;
    const unsigned char *tell; /* borrowed */
    unsigned count;            /* recipients it is about */
    str to;
    struct queue_message *message; /* its body is NULL until it is written */
    struct body *body;             /* being written */
    struct buf text;
    struct bounce_attempt *history; /* in the arena of the message */
    unsigned history_count;
    uv_work_t read;
    char *start; /* the beginning of the message, when it was read from a file */
    long start_len;
    report_cb cb;
    void *arg;
};

/* --- the envelope --- */

str report_address(const struct delivery *d)
{
    return d->entry->returns.ptr != NULL ? d->entry->returns : d->parcel->message->sender;
}

static bool is_copy(enum report_kind kind)
{
    return kind == REPORT_COPY_FAILED || kind == REPORT_COPY_DELAYED;
}

/* A report goes on as it was, to the same recipients, and is as old. */
static void envelope_again(const struct delivery *d, struct queue_message *m)
{
    const struct queue_entry *e = d->entry;
    struct queue_entry *again = arena_new_of(m->arena, struct queue_entry);
    m->created_ms = d->parcel->message->created_ms;
    m->sender = STR("");
    m->source_channel = arena_str(m->arena, d->parcel->message->source_channel);
    m->entries = again;
    m->entry_count = 1;
    again->channel = arena_str(m->arena, e->channel);
    again->host = arena_str(m->arena, e->host);
    again->priority = e->priority;
    again->recipient_count = e->recipient_count;
    again->recipients = arena_array(m->arena, struct queue_recipient, e->recipient_count);
    for (unsigned i = 0; i < e->recipient_count; i++) {
        const struct queue_recipient *r = &e->recipients[i];
        again->recipients[i] = (struct queue_recipient){
            .address = arena_str(m->arena, r->address),
            .notify = r->notify,
            .orcpt = r->orcpt.ptr != NULL ? arena_str(m->arena, r->orcpt) : STR_NONE};
    }
}

/* Would a copy for the postmaster go where its message has just failed? A null sender
 * cannot stop that from going round. */
static bool goes_round(const struct delivery *d, const struct queue_message *m)
{
    for (unsigned i = 0; i < m->entry_count; i++) {
        const struct queue_entry *e = &m->entries[i];
        for (unsigned k = 0; k < e->recipient_count; k++) {
            for (unsigned j = 0; j < d->job.recipient_count; j++) {
                if (str_ieq(e->recipients[k].address, d->job.recipients[j].address)) {
                    return true;
                }
            }
        }
    }
    return false;
}

/* Makes the envelope. */
static bool envelope_make(struct delivery *d, enum report_kind kind,
                          struct queue_message *m, str to, char *why, size_t why_size)
{
    if (kind == REPORT_SHORTENED) {
        envelope_again(d, m);
        return true;
    }
    if (!report_envelope(m, d->job.runtime->snapshot, to, why, why_size)) {
        return false;
    }
    report_schedule(m, d->job.worker, kind == REPORT_SUCCESS);
    if (is_copy(kind) && report_address(d).len == 0 && goes_round(d, m)) {
        snprintf(why, why_size, "it is for the postmaster, who cannot be told of it");
        return false;
    }
    return true;
}

struct report *report_new(struct delivery *d, enum report_kind kind,
                          const unsigned char *tell, char *why, size_t why_size)
{
    struct worker *w = d->dispatch->worker;
    struct queue_message *m = queue_message_new(w->daemon->queue, worker_now_ms(w));
    const struct snapshot *s = d->job.runtime->snapshot;
    str to = is_copy(kind)
                 ? arena_printf(m->arena, "postmaster@%.*s", STR_ARG(s->local_host))
                 : report_address(d);
    if (!envelope_make(d, kind, m, to, why, why_size)) {
        queue_message_free(&m);
        return NULL;
    }
    struct report *r = calloc(1, sizeof *r);
    check(r != NULL);
    r->delivery = d;
    r->kind = kind;
    r->tell = tell;
    r->to = to;
    for (unsigned i = 0; i < d->job.recipient_count; i++) {
        r->count += (tell[i] & 1u << kind) != 0;
    }
    check(r->count > 0);
    r->message = m;
    buf_init(&r->text, BOUNCE_MAX);
    return r;
}

struct queue_message *report_message(struct report *r)
{
    check(r->message->body != NULL);
    return r->message;
}

struct queue_message *report_take(struct report *r)
{
    struct queue_message *m = report_message(r);
    r->message = NULL;
    m->report = NULL;
    return m;
}

void report_free(struct report **r)
{
    struct report *gone = *r;
    *r = NULL;
    if (gone == NULL) {
        return;
    }
    check(gone->body == NULL && gone->cb == NULL);
    if (gone->message != NULL) {
        gone->message->report = NULL; /* of another report */
    }
    queue_message_free(&gone->message);
    buf_free(&gone->text);
    free(gone->start);
    free(gone);
}

/* --- the body --- */

static void written(struct report *r, int error)
{
    report_cb cb = r->cb;
    r->cb = NULL;
    buf_free(&r->text);
    if (error == 0) {
        r->message->body = r->body;
        r->body = NULL;
    } else {
        body_unref(&r->body);
    }
    cb(r, error, r->arg);
}

static void on_sealed(struct body *b, int error, void *arg)
{
    (void)b;
    written(arg, error);
}

static void on_appended(struct body *b, int error, void *arg)
{
    struct report *r = arg;
    if (error == 0 &&
        !body_seal(r->delivery->dispatch->worker, b, on_sealed, r, &error)) {
        return;
    }
    written(r, error);
}

static void body_write(struct report *r)
{
    struct worker *w = r->delivery->dispatch->worker;
    int error = 0;
    r->body = body_new(r->message->number, queue_body_directory(w->daemon->queue));
    if (body_append(w, r->body, buf_slice(&r->text), on_appended, r, &error)) {
        on_appended(r->body, error, r);
    }
}

/* --- the text --- */

static enum bounce_action action_of(const struct job_recipient *r)
{
    switch (r->outcome.class) {
    case OUTCOME_FAILED:
        return BOUNCE_FAILED;
    case OUTCOME_DEFERRED:
        return BOUNCE_DELAYED;
    case OUTCOME_DELIVERED:
        break;
    }
    return r->success == JOB_SUCCESS_DELIVERED ? BOUNCE_DELIVERED : BOUNCE_RELAYED;
}

static void list_recipients(const struct report *r, struct bounce_recipient *list)
{
    const struct job *job = &r->delivery->job;
    unsigned n = 0;
    for (unsigned i = 0; i < job->recipient_count; i++) {
        const struct job_recipient *one = &job->recipients[i];
        if ((r->tell[i] & 1u << r->kind) != 0) {
            list[n++] = (struct bounce_recipient){
                .address = one->address,
                .remote = str_from(one->outcome.code != 0 ? one->outcome.host : ""),
                .outcome = &one->outcome,
                .action = action_of(one),
                .orcpt = one->asked.orcpt};
        }
    }
    check(n == r->count);
}

/* How much of the message is to come back? As RET asks with a failure (RFC 3461 4.3); for
 * the postmaster as the channel says. */
static enum report_part part_of(const struct report *r)
{
    const struct job *job = &r->delivery->job;
    enum report_part wanted = REPORT_PART_HEADER;
    if (r->kind == REPORT_SHORTENED) {
        return REPORT_PART_WHOLE;
    }
    if (is_copy(r->kind)) {
        bool header = job->channel != NULL && job->channel->opts.post_header_only;
        wanted = header ? REPORT_PART_HEADER : REPORT_PART_WHOLE;
    } else if (r->kind == REPORT_FAILED && job->ret != QUEUE_RET_HDRS) {
        wanted = job->ret == QUEUE_RET_FULL ? REPORT_PART_WHOLE : REPORT_PART_LINES;
    }
    return report_part(job->runtime->snapshot, wanted, body_size(job->body));
}

/* start: what was read, without the field that only the channel was to see. */
static void fill_returned(const struct report *r, str start, bool whole, struct bounce *b)
{
    const struct site_options *o = &r->delivery->job.runtime->snapshot->options;
    b->header = bounce_header(str_sub(start, 0, BOUNCE_HEADER_MAX), &b->header_cut);
    switch (part_of(r)) {
    case REPORT_PART_WHOLE:
        b->content = whole ? start : STR_NONE;
        break;
    case REPORT_PART_LINES:
        b->content = bounce_beginning(start, whole, o->lines_to_return, &b->content_cut);
        break;
    case REPORT_PART_HEADER:
        break;
    }
}

static void fill_bounce(struct report *r, struct bounce *b)
{
    const struct job *job = &r->delivery->job;
    const struct queue_message *m = r->delivery->parcel->message;
    report_style(b, r->message, job->runtime->snapshot, job->channel);
    b->message_id = job->message_id;
    b->sender = r->to;
    b->arrived_ms = m->created_ms;
    b->now_ms = worker_now_ms(job->worker);
    b->until_ms = m->created_ms + retry_give_up_ms(delivery_policy(r->delivery));
    b->count = r->count;
    b->envid = job->envid;
    b->copy_for = is_copy(r->kind) ? report_address(r->delivery) : STR_NONE;
    b->returned = r->delivery->entry->returned;
    b->history = r->history;
    b->history_count = r->history_count;
    b->hide_final = job->channel != NULL && job->channel->opts.suppress_final;
}

/* Is it a copy for the postmaster of a report that is one itself, or may be? It would
 * come back for ever where nobody can reach him, each time as another message, so that no
 * count of Received fields ends it. */
static bool copy_of_copy(const struct report *r, str header)
{
    struct header_field f;
    if (!is_copy(r->kind) || report_address(r->delivery).len > 0) {
        return false;
    }
    while (header_field_next(&header, &f)) {
        if (str_ieq(f.name, STR(BOUNCE_COPY_FIELD))) {
            return true;
        }
    }
    return header.ptr == NULL;
}

/* The report at hand, which cannot go where it was to go. */
static void text_shorten(struct report *r, str report)
{
    buf_clear(&r->text);
    if (report.ptr != NULL && report.len == body_size(r->delivery->job.body) &&
        bounce_shorten(str_from_pos(report, r->delivery->own_field), &r->text)) {
        body_write(r);
    } else {
        written(r, UV_ELOOP);
    }
}

/* start: the beginning of the message, or all; ptr NULL when it could not be read. */
static void text_write(struct report *r, str start)
{
    if (r->kind == REPORT_SHORTENED) {
        text_shorten(r, start);
        return;
    }
    const struct job *job = &r->delivery->job;
    struct bounce_recipient *list = calloc(r->count, sizeof *list);
    check(list != NULL);
    list_recipients(r, list);
    struct bounce b = {.recipients = list};
    fill_bounce(r, &b);
    if (start.ptr != NULL) { /* no report shows what only the channel was to see */
        bool whole = start.len == body_size(job->body);
        fill_returned(r, str_from_pos(start, r->delivery->own_field), whole, &b);
    }
    if (copy_of_copy(r, b.header)) {
        free(list);
        written(r, UV_ELOOP);
        return;
    }
    buf_clear(&r->text);
    report_words(&b, job->runtime->snapshot, r->delivery->parcel->message->source_channel,
                 true, job->worker, r->message->arena);
    bool fits = bounce_write(&b, &r->text);
    r->message->eight_bit = bounce_eight_bit(&b);
    free(list);
    if (fits) {
        report_headers(r->message, job->runtime->snapshot, buf_slice(&r->text));
        body_write(r);
    } else {
        written(r, UV_EFBIG);
    }
}

/* --- what it returns --- */

/* How much of the message is read. */
static size_t start_size(const struct report *r)
{
    size_t whole = (size_t)body_size(r->delivery->job.body);
    switch (part_of(r)) {
    case REPORT_PART_WHOLE:
        return whole > BOUNCE_HEADER_MAX ? whole : BOUNCE_HEADER_MAX;
    case REPORT_PART_LINES:
        return REPORT_LINES_OCTETS;
    case REPORT_PART_HEADER:
        break;
    }
    return BOUNCE_HEADER_MAX;
}

static void start_read(uv_work_t *work)
{
    struct report *r = work->data;
    const struct body *body = r->delivery->job.body;
    size_t want = start_size(r);
    long got = 1;
    r->start_len = 0;
    while (got > 0 && (size_t)r->start_len < want) {
        got = body_read_blocking(body, r->start + r->start_len,
                                 want - (size_t)r->start_len, (uint64_t)r->start_len);
        r->start_len = got < 0 ? got : r->start_len + got;
    }
}

static void on_start_read(uv_work_t *work, int status)
{
    struct report *r = work->data;
    bool good = status == 0 && r->start_len >= 0;
    text_write(r, good ? str_n(r->start, (size_t)r->start_len) : STR_NONE);
}

/* The body has been looked at as far as it is needed, or is on its way. */
static void body_take(struct report *r)
{
    struct body *body = r->delivery->job.body;
    str data = body_part(body, 0);
    if (data.ptr != NULL && data.len == body_size(body)) {
        text_write(r, str_sub(data, 0, start_size(r)));
        return;
    }
    if (r->start == NULL) {
        r->start = malloc(start_size(r));
        check(r->start != NULL);
    }
    r->read.data = r;
    struct worker *w = r->delivery->dispatch->worker;
    check(uv_queue_work(&w->loop, &r->read, start_read, on_start_read) == 0);
}

/* --- the attempts before --- */

static void on_history(struct worker *w, const struct queue_attempt *attempts,
                       unsigned count, const struct queue_result *result, void *arg)
{
    struct report *r = arg;
    struct arena *a = r->message->arena;
    (void)w;
    (void)result; /* without it the report still tells what matters */
    r->history = arena_array(a, struct bounce_attempt, count);
    r->history_count = count;
    for (unsigned i = 0; i < count; i++) {
        r->history[i] = (struct bounce_attempt){
            attempts[i].at_ms, arena_str(a, str_from(attempts[i].outcome))};
    }
    body_take(r);
}

/* How many attempts the report lists. */
static unsigned history_wanted(const struct report *r)
{
    const struct job *job = &r->delivery->job;
    const struct site_options *o = &job->runtime->snapshot->options;
    bool tells = r->kind != REPORT_SUCCESS && r->kind != REPORT_SHORTENED;
    return tells && job->attempts > 0 && o->return_delivery_history == 1
               ? o->history_to_return
               : 0;
}

void report_write(struct report *r, report_cb cb, void *arg)
{
    struct worker *w = r->delivery->dispatch->worker;
    unsigned history = history_wanted(r);
    if (r->message->body != NULL) {
        cb(r, 0, arg);
        return;
    }
    r->cb = cb;
    r->arg = arg;
    if (history > 0 && r->history == NULL) {
        queue_history(w->daemon->queue, w, r->delivery->entry->id, history, on_history,
                      r);
    } else {
        body_take(r);
    }
}

/* --- telling the log --- */

static const char *kind_name(const struct report *r)
{
    static const char *const names[] = {"failed", "delayed", "success",
                                        "failed", "delayed", "shortened"};
    bool failed = r->kind == REPORT_FAILED || r->kind == REPORT_COPY_FAILED;
    return failed && r->delivery->entry->returned ? "returned" : names[r->kind];
}

void report_log(const struct report *r, const struct queue_message *stored)
{
    const struct delivery *d = r->delivery;
    struct log_line line;
    log_begin(&line, d->job.worker->daemon->log, LOG_BOUNCE);
    log_cstr(&line, "id", stored->id);
    log_str(&line, "for", d->job.message_id);
    log_cstr(&line, "what", kind_name(r));
    log_str(&line, "to", stored->entries[0].recipients[0].address);
    log_str(&line, "channel", stored->entries[0].channel);
    log_int(&line, "recipients", r->count);
    if (is_copy(r->kind)) {
        log_str(&line, "copy_for", report_address(d));
    }
    log_end(&line);
}
