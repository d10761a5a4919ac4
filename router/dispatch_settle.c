/* dispatch_settle: from the outcomes of a job to its settlement in the queue: delivered
 * recipients go, deferred ones stay with a time, failed ones go once the report to the
 * sender is committed with them. What the store does not take now is kept and tried
 * again; until it took it, the entry is claimed and nothing is lost. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "router/dispatch_state.h"
#include "router/runtime.h"

enum { SETTLE_ERRORS_LOGGED = 20 }; /* one line a minute while the store fails */

struct settling {
    struct delivery *delivery;
    struct queue_settlement s;
    struct queue_recipient *keep;
    struct queue_attempt attempt;
    unsigned failed, deferred;
    unsigned char *tell; /* who is told of each recipient; see tell_plan() */
    bool warn;           /* one of them now */
    struct report *reports[REPORT_KINDS];
    unsigned writing; /* the report at hand */
    unsigned errors;
    char why[200]; /* nobody can be told: the reason */
    char last_error[OUTCOME_TEXT_MAX + 300], outcome[OUTCOME_TEXT_MAX + 300],
        tls[DELIVERY_TLS_MAX];
};

/* --- what became of each recipient --- */

/* Deferred for too long is failed (RFC 5321 4.5.4.1; status 4.4.7 of RFC 3463). */
static void outcome_expire(struct outcome *o, int64_t give_up_ms)
{
    enum { HOUR_MS = 60 * 60 * 1000, DAY_MS = 24 * HOUR_MS };
    char last[OUTCOME_TEXT_MAX];
    memcpy(last, o->text, sizeof last);
    bool days = give_up_ms % DAY_MS == 0;
    long long number = give_up_ms / (days ? DAY_MS : HOUR_MS);
    const char *unit = days ? "days" : "hours";
    unit = number != 1 ? unit : days ? "day" : "hour";
    if (o->code != 0) {
        outcome_set(o, OUTCOME_FAILED, 0, 4, 4, 7,
                    "not delivered within %lld %s; the last reply was: %u %s", number,
                    unit, o->code, last);
    } else {
        outcome_set(o, OUTCOME_FAILED, 0, 4, 4, 7,
                    "not delivered within %lld %s; the last reason was: %s", number, unit,
                    last);
    }
}

static void outcome_count(struct worker_counters *c, enum outcome_class class)
{
    switch (class) {
    case OUTCOME_DELIVERED:
        counter_add(&c->delivered, 1);
        break;
    case OUTCOME_FAILED:
        counter_add(&c->failed, 1);
        break;
    case OUTCOME_DEFERRED:
        counter_add(&c->deferred, 1);
        break;
    }
}

static int64_t next_try(const struct delivery *d, const struct retry_policy *policy,
                        int64_t now_ms)
{
    struct retry_policy p = *policy;
    if (d->dispatch->retry_ms > 0) {
        p.backoff_ms[0] = d->dispatch->retry_ms;
        p.backoff_count = 1;
    }
    return retry_wake_ms(&p, d->job.attempts + 1, d->parcel->message->created_ms, now_ms,
                         dispatch_random(d->dispatch));
}

/* Decides about every recipient, once. */
static void judge(struct settling *st)
{
    struct delivery *d = st->delivery;
    const struct retry_policy *policy = delivery_policy(d);
    int64_t created_ms = d->parcel->message->created_ms;
    int64_t now_ms = worker_now_ms(d->job.worker);
    unsigned warnings = d->entry->notices;
    enum retry_notice notice =
        retry_notice_due(policy, created_ms, now_ms, d->entry->notices, &warnings);
    bool expired = notice == RETRY_NOTICE_RETURN;
    for (unsigned i = 0; i < d->job.recipient_count; i++) {
        struct job_recipient *r = &d->job.recipients[i];
        if (r->outcome.class == OUTCOME_DEFERRED && expired) {
            outcome_expire(&r->outcome, retry_give_up_ms(policy));
        }
        st->deferred += r->outcome.class == OUTCOME_DEFERRED;
        st->failed += r->outcome.class == OUTCOME_FAILED;
        delivery_log(d, r, now_ms);
        outcome_count(&d->job.worker->counters, r->outcome.class);
    }
    st->warn = notice == RETRY_NOTICE_WARN && st->deferred > 0;
    st->s.notices = st->warn ? warnings : d->entry->notices;
    st->s.next_try_ms = next_try(d, policy, now_ms);
}

/* --- the settlement --- */

static void outcome_line(const struct outcome *o, char *out, size_t size)
{
    char code[16] = "";
    if (o->code != 0) {
        snprintf(code, sizeof code, "%u ", o->code);
    }
    snprintf(out, size, "%s%s%s%u.%u.%u %s", o->host, o->host[0] != '\0' ? ": " : "",
             code, o->enhanced[0], o->enhanced[1], o->enhanced[2], o->text);
}

/* What those who look at the message later are told of this attempt. */
static void fill_attempt(struct settling *st)
{
    const struct job *job = &st->delivery->job;
    const struct outcome *shown = NULL;
    for (unsigned i = 0; i < job->recipient_count && shown == NULL; i++) {
        const struct outcome *o = &job->recipients[i].outcome;
        shown = o->class != OUTCOME_DELIVERED ? o : NULL;
    }
    outcome_line(shown != NULL ? shown : &job->recipients[0].outcome, st->outcome,
                 sizeof st->outcome);
    delivery_tls_summary(job, st->tls, sizeof st->tls);
    st->attempt = (struct queue_attempt){
        .at_ms = worker_now_ms(job->worker),
        .peer = job->peer,
        .tls = st->tls,
        .outcome = st->outcome,
        .delivered = job->recipient_count - st->deferred - st->failed,
        .deferred = st->deferred,
        .failed = st->failed,
    };
    st->s.attempt = &st->attempt;
}

/* The reports of recipient i that are made. */
static unsigned told_of(const struct settling *st, unsigned i)
{
    unsigned told = 0;
    for (unsigned kind = 0; kind < REPORT_KINDS; kind++) {
        told |= st->reports[kind] != NULL ? st->tell[i] & 1u << kind : 0;
    }
    return told;
}

/* Failed recipients stay when nobody can be told: the message is set aside, never
 * deleted. While others are still deferred all of them stay in the queue. */
static void fill_settlement(struct settling *st)
{
    const struct job *job = &st->delivery->job;
    bool keep_failed = false;
    st->s.keep_count = 0;
    for (unsigned i = 0; i < job->recipient_count; i++) {
        const struct job_recipient *r = &job->recipients[i];
        bool untold = tell_must_keep(st->delivery, i, told_of(st, i));
        if (!untold && r->outcome.class != OUTCOME_DEFERRED) {
            continue;
        }
        keep_failed = keep_failed || untold;
        if (st->s.keep_count == 0) { /* what the operator sees beside the entry */
            outcome_line(&r->outcome, st->last_error, sizeof st->last_error);
            st->s.last_error = st->last_error;
        }
        st->keep[st->s.keep_count++] = st->delivery->entry->recipients[i];
    }
    st->s.hold = keep_failed && st->deferred == 0;
    st->s.keep = st->keep;
    st->s.returned = st->delivery->entry->returned;
    st->s.entry_id = st->delivery->entry->id;
    st->s.number = st->delivery->parcel->message->number;
}

static void settling_free(struct settling **st)
{
    for (unsigned kind = 0; kind < REPORT_KINDS; kind++) {
        report_free(&(*st)->reports[kind]);
    }
    free((*st)->tell);
    free((*st)->keep);
    free(*st);
    *st = NULL;
}

/* The delivery is at its end, settled or left claimed for the next start. */
static void settling_end(struct settling *st)
{
    struct delivery *d = st->delivery;
    struct dispatch *dispatch = d->dispatch;
    settling_free(&d->settling);
    dispatch->settling--;
    dispatch_forget(d);
    dispatch_pump_soon(dispatch);
}

/* --- telling --- */

static void log_hold(const struct settling *st)
{
    const struct delivery *d = st->delivery;
    struct log_line line;
    log_begin(&line, d->job.worker->daemon->log, LOG_HOLD);
    log_str(&line, "id", d->job.message_id);
    log_str(&line, "channel", d->entry->channel);
    log_str(&line, "from", d->job.sender);
    log_int(&line, "recipients", st->s.keep_count);
    log_cstr(&line, "reason", st->why);
    log_cstr(&line, "error", st->last_error);
    log_end(&line);
}

static void log_trouble(const struct settling *st, const char *what, const char *reason)
{
    const struct delivery *d = st->delivery;
    struct log_line line;
    log_begin(&line, d->job.worker->daemon->log, LOG_ERROR);
    log_cstr(&line, "what", what);
    log_str(&line, "id", d->job.message_id);
    log_str(&line, "channel", d->entry->channel);
    log_cstr(&line, "reason", reason);
    log_end(&line);
}

static void log_no_copy(const struct settling *st, const char *why)
{
    log_trouble(st, "postmaster gets no copy of a notification", why);
}

/* --- asking the queue --- */

/* Not now: again in a few seconds. While stopping there is no later: the entry stays
 * claimed and is found again at the next start. */
static void put_off(struct settling *st)
{
    struct dispatch *dispatch = st->delivery->dispatch;
    if (dispatch->stopping) {
        settling_end(st);
        return;
    }
    st->delivery->next = NULL;
    *dispatch->unsettled_last = st->delivery;
    dispatch->unsettled_last = &st->delivery->next;
    dispatch_settle_later(dispatch);
}

static void on_trouble(struct settling *st, const char *what, const char *reason)
{
    if (st->errors++ % SETTLE_ERRORS_LOGGED == 0) {
        log_trouble(st, what, reason);
    }
    put_off(st);
}

static void on_settled(struct worker *w, const struct queue_result *r, void *arg)
{
    struct settling *st = arg;
    if (!r->ok) {
        on_trouble(st, "an outcome cannot be stored", r->reason);
        return;
    }
    if (st->s.hold) {
        log_hold(st);
    } else if (st->s.keep_count > 0) {
        dispatch_due_at(st->delivery->dispatch, st->s.next_try_ms);
    }
    for (unsigned kind = 0; kind < REPORT_KINDS; kind++) {
        if (st->reports[kind] != NULL) {
            struct queue_message *report = report_take(st->reports[kind]);
            report_log(st->reports[kind], report);
            counter_add(&w->counters.bounces, 1);
            dispatch_add(w, report);
        }
    }
    settling_end(st);
}

/* The reports become one chain, in the order of their kinds. */
static void reports_chain(struct settling *st)
{
    struct queue_message **link = &st->s.report;
    for (unsigned kind = 0; kind < REPORT_KINDS; kind++) {
        if (st->reports[kind] != NULL) {
            *link = report_message(st->reports[kind]);
            link = &(*link)->report;
        }
    }
    *link = NULL;
}

static void reports_write(struct settling *st);

static void on_report_written(struct report *r, int error, void *arg)
{
    struct settling *st = arg;
    (void)r;
    if (error == UV_ELOOP) {
        if (st->writing != REPORT_SHORTENED) {
            log_no_copy(st, "what it would tell of is such a copy itself");
        }
        report_free(&st->reports[st->writing]);
    } else if (error != 0) {
        on_trouble(st, "a notification cannot be stored", uv_strerror(error));
        return;
    }
    st->writing++;
    reports_write(st);
}

/* One after the other, then the settlement. */
static void reports_write(struct settling *st)
{
    struct worker *w = st->delivery->job.worker;
    while (st->writing < REPORT_KINDS && st->reports[st->writing] == NULL) {
        st->writing++;
    }
    if (st->writing < REPORT_KINDS) {
        report_write(st->reports[st->writing], on_report_written, st);
        return;
    }
    fill_settlement(st);
    reports_chain(st);
    queue_settle(w->daemon->queue, w, &st->s, on_settled, st);
}

void settle_retry(struct dispatch *d)
{
    struct delivery *list = d->unsettled;
    d->unsettled = NULL;
    d->unsettled_last = &d->unsettled;
    while (list != NULL) {
        struct delivery *next = list->next;
        reports_write(list->settling);
        list = next;
    }
}

/* Nobody is told: the report itself goes on. */
static void report_shorten(struct settling *st)
{
    struct delivery *d = st->delivery;
    memset(st->tell, 1 << REPORT_SHORTENED, d->job.recipient_count);
    st->reports[REPORT_SHORTENED] =
        report_new(d, REPORT_SHORTENED, st->tell, st->why, sizeof st->why);
    snprintf(st->why, sizeof st->why, "it is a notification that cannot be made 7-bit");
}

/* Makes those reports that can be routed. Where the sender cannot be reached, the
 * postmaster may have to know more: the plan is made anew. */
static void reports_make(struct settling *st)
{
    struct delivery *d = st->delivery;
    if (tell_shortens(d)) {
        report_shorten(st);
        return;
    }
    bool null_sender = report_address(d).len == 0, reachable = !null_sender;
    unsigned plan = tell_plan(d, st->warn, reachable, st->tell);
    for (unsigned kind = 0; kind < REPORT_COPY_FAILED; kind++) {
        if ((plan & 1u << kind) != 0) {
            st->reports[kind] = report_new(d, kind, st->tell, st->why, sizeof st->why);
            reachable = reachable && st->reports[kind] != NULL;
        }
    }
    for (unsigned kind = 0; !reachable && kind < REPORT_COPY_FAILED; kind++) {
        report_free(&st->reports[kind]); /* the plan they are of does not hold */
    }
    if (null_sender) {
        snprintf(st->why, sizeof st->why,
                 "it failed, and its null sender must not be told");
    }
    plan = tell_plan(d, st->warn, reachable, st->tell);
    for (unsigned kind = REPORT_COPY_FAILED; kind < REPORT_KINDS; kind++) {
        char why[sizeof st->why];
        if ((plan & 1u << kind) != 0) {
            st->reports[kind] = report_new(d, kind, st->tell, why, sizeof why);
            if (st->reports[kind] == NULL) {
                log_no_copy(st, why);
            }
        }
    }
}

void delivery_settle(struct delivery *d)
{
    struct settling *st = calloc(1, sizeof *st);
    check(st != NULL && d->settling == NULL);
    d->settling = st;
    d->dispatch->settling++;
    st->delivery = d;
    st->keep = calloc(d->job.recipient_count, sizeof *st->keep);
    st->tell = calloc(d->job.recipient_count, 1);
    check(st->keep != NULL && st->tell != NULL);
    judge(st);
    reports_make(st);
    fill_attempt(st);
    reports_write(st);
}
