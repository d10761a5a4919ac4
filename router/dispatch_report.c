/* dispatch_report: the notification of one delivery: routed like any message from the
 * local channel with a null sender, its text written by bounce.c, its body sealed like
 * any other. It is committed together with the settlement it belongs to. */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/check.h"
#include "router/body.h"
#include "router/bounce.h"
#include "router/dispatch_state.h"
#include "router/report_envelope.h"
#include "router/runtime.h"

/* At most 20 a second for long, and 1,000 at once (RFC 5321 leaves it to us; a forged
 * sender must not be flooded from here). */
enum { REPORT_EVERY_MS = 50, REPORT_BURST_MS = 1000 * REPORT_EVERY_MS };

struct report {
    struct delivery *delivery;
    struct queue_message *message; /* its body is NULL until it is written */
    struct body *body;             /* being written */
    struct buf text;
    uv_work_t read;
    char *start; /* the beginning of the message, when it was read from a file */
    long start_len;
    report_cb cb;
    void *arg;
};

bool report_allowed(struct dispatch *d)
{
    int64_t now_ms = worker_now_ms(d->worker);
    bool clock_went_back = d->report_due_ms > now_ms + REPORT_BURST_MS + REPORT_EVERY_MS;
    if (d->report_due_ms < now_ms || clock_went_back) {
        d->report_due_ms = now_ms;
    }
    if (d->report_due_ms - now_ms > REPORT_BURST_MS) {
        return false;
    }
    d->report_due_ms += REPORT_EVERY_MS;
    return true;
}

/* --- the envelope --- */

str report_address(const struct delivery *d)
{
    return d->entry->returns.ptr != NULL ? d->entry->returns : d->parcel->message->sender;
}

struct report *report_new(struct delivery *d, char *why, size_t why_size)
{
    struct worker *w = d->dispatch->worker;
    struct queue_message *m = queue_message_new(w->daemon->queue, worker_now_ms(w));
    const struct snapshot *s = d->job.runtime->snapshot;
    if (!report_envelope(m, s, report_address(d), why, why_size)) {
        queue_message_free(&m);
        return NULL;
    }
    struct report *r = calloc(1, sizeof *r);
    check(r != NULL);
    r->delivery = d;
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

static unsigned list_failed(const struct job *job, struct bounce_recipient *list)
{
    unsigned n = 0;
    for (unsigned i = 0; i < job->recipient_count; i++) {
        const struct job_recipient *r = &job->recipients[i];
        if (r->outcome.class == OUTCOME_FAILED) {
            list[n++] = (struct bounce_recipient){
                r->address, str_from(r->outcome.code != 0 ? r->outcome.host : ""),
                &r->outcome};
        }
    }
    return n;
}

/* start: the first octets of the message; ptr NULL when it could not be read. */
static void text_write(struct report *r, str start)
{
    const struct job *job = &r->delivery->job;
    const struct queue_message *m = r->delivery->parcel->message;
    const struct snapshot *s = job->runtime->snapshot;
    struct bounce_recipient *failed = calloc(job->recipient_count, sizeof *failed);
    check(failed != NULL);
    struct bounce b = {
        .local_host = s->local_host,
        .report_id = str_from(r->message->id),
        .message_id = job->message_id,
        .sender = report_address(r->delivery),
        .arrived_ms = m->created_ms,
        .now_ms = worker_now_ms(job->worker),
        .recipients = failed,
    };
    b.count = list_failed(job, failed);
    if (start.ptr != NULL) {
        b.header = bounce_header(start, &b.header_cut);
    }
    buf_clear(&r->text);
    bool fits = bounce_write(&b, &r->text);
    free(failed);
    if (fits) {
        body_write(r);
    } else {
        written(r, UV_EFBIG);
    }
}

static void header_read(uv_work_t *work)
{
    struct report *r = work->data;
    r->start_len =
        body_read_blocking(r->delivery->job.body, r->start, BOUNCE_HEADER_MAX, 0);
}

static void on_header_read(uv_work_t *work, int status)
{
    struct report *r = work->data;
    bool good = status == 0 && r->start_len >= 0;
    text_write(r, good ? str_n(r->start, (size_t)r->start_len) : STR_NONE);
}

void report_write(struct report *r, report_cb cb, void *arg)
{
    if (r->message->body != NULL) {
        cb(r, 0, arg);
        return;
    }
    r->cb = cb;
    r->arg = arg;
    struct body *body = r->delivery->job.body;
    str data = body_part(body, 0);
    if (data.ptr != NULL && data.len == body_size(body)) {
        text_write(r, str_sub(data, 0, BOUNCE_HEADER_MAX));
        return;
    }
    if (r->start == NULL) {
        r->start = malloc(BOUNCE_HEADER_MAX);
        check(r->start != NULL);
    }
    r->read.data = r;
    struct worker *w = r->delivery->dispatch->worker;
    check(uv_queue_work(&w->loop, &r->read, header_read, on_header_read) == 0);
}
