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
    str *keep;
    unsigned failed, deferred;
    struct report *report;
    unsigned errors;
    char why[200]; /* nobody can be told: the reason */
    char last_error[OUTCOME_TEXT_MAX + 300];
};

/* --- what became of each recipient --- */

/* Deferred for too long is failed (RFC 5321 4.5.4.1; status 4.4.7 of RFC 3463). */
static void outcome_expire(struct outcome *o, int64_t give_up_ms)
{
    char last[OUTCOME_TEXT_MAX];
    memcpy(last, o->text, sizeof last);
    int64_t days = give_up_ms / (24 * 60 * 60 * 1000);
    long long number = days > 0 ? days : give_up_ms / 1000;
    const char *unit = days > 0 ? "days" : "seconds";
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

static void log_text(struct log_line *line, const char *key, const char *text)
{
    log_cstr(line, key, text[0] != '\0' ? text : NULL);
}

/* What was wanted and what it came to, in one word: "must+host>host", "may>clear". */
static void log_tls_summary(struct log_line *line, const struct job_tls *t)
{
    bool verify = strcmp(t->verify, "no") != 0;
    const char *got = t->active                     ? "tls"
                      : t->error[0] && !t->fallback ? "failed"
                                                    : "clear";
    if (t->active && strcmp(t->verified, "no") != 0) {
        got = t->verified;
    }
    log_fmt(line, "tls.summary", "%s%s%s>%s", t->level, verify ? "+" : "",
            verify ? t->verify : "", got);
}

static void log_tls(struct log_line *line, const struct job_tls *t)
{
    if (!t->wanted) {
        return;
    }
    log_tls_summary(line, t);
    log_cstr(line, "tls.active", t->active ? "yes" : "no");
    log_cstr(line, "tls.policy.level", t->level);
    log_cstr(line, "tls.policy.verify", t->verify);
    log_cstr(line, "tls.policy.source", t->source);
    log_cstr(line, "tls.fallback", t->fallback ? "yes" : NULL);
    if (t->active) {
        log_text(line, "tls.version", t->version);
        log_text(line, "tls.cipher", t->cipher);
        log_int(line, "tls.bits", t->bits);
        log_int(line, "tls.bits_alg", t->bits_alg);
        log_text(line, "tls.group", t->group);
        log_cstr(line, "tls.pq", t->pq ? "yes" : NULL);
        log_cstr(line, "tls.resumed", t->resumed ? "yes" : NULL);
        log_duration_ms(line, "tls.handshake_ms", t->handshake_ns);
        log_cstr(line, "tls.verified", strcmp(t->verified, "no") ? t->verified : "none");
        log_text(line, "tls.peer.subject", t->subject);
        log_text(line, "tls.peer.issuer", t->issuer);
        log_text(line, "tls.spki", t->spki);
    }
    log_text(line, "tls.sni", t->sni);
    log_text(line, "tls.error", t->error);
}

static void outcome_log(const struct delivery *d, const struct job_recipient *r,
                        int64_t now_ms)
{
    const struct job *job = &d->job;
    const struct outcome *o = &r->outcome;
    bool quiet = job->channel != NULL && !job->channel->opts.logging;
    if (quiet && o->class == OUTCOME_DELIVERED) {
        return;
    }
    struct log_line line;
    log_begin(&line, job->worker->daemon->log, LOG_DELIVER);
    log_str(&line, "id", job->message_id);
    log_str(&line, "channel", d->entry->channel);
    log_cstr(&line, "outcome", outcome_class_name(o->class));
    log_str(&line, "from", job->sender);
    log_str(&line, "to", r->address);
    if (job->host.len > 0) {
        log_str(&line, "host", job->host);
    }
    log_cstr(&line, "peer", job->peer[0] != '\0' ? job->peer : NULL);
    log_tls(&line, &job->tls);
    if (o->code != 0) {
        log_int(&line, "code", o->code);
    }
    log_fmt(&line, "status", "%u.%u.%u", o->enhanced[0], o->enhanced[1], o->enhanced[2]);
    log_cstr(&line, "text", o->text);
    log_int(&line, "attempts", (int64_t)job->attempts + 1);
    log_int(&line, "delay_ms", now_ms - d->parcel->message->created_ms);
    log_end(&line);
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

/* Decides about every recipient, once. */
static void judge(struct settling *st)
{
    struct delivery *d = st->delivery;
    const struct scheduler_policy *policy = &d->dispatch->policy;
    int64_t created_ms = d->parcel->message->created_ms;
    int64_t now_ms = worker_now_ms(d->job.worker);
    bool expired = scheduler_expired(policy, created_ms, now_ms);
    for (unsigned i = 0; i < d->job.recipient_count; i++) {
        struct job_recipient *r = &d->job.recipients[i];
        if (r->outcome.class == OUTCOME_DEFERRED && expired) {
            outcome_expire(&r->outcome, policy->give_up_ms);
        }
        st->deferred += r->outcome.class == OUTCOME_DEFERRED;
        st->failed += r->outcome.class == OUTCOME_FAILED;
        outcome_log(d, r, now_ms);
        outcome_count(&d->job.worker->counters, r->outcome.class);
    }
    st->s.next_try_ms = scheduler_next_try_ms(policy, d->job.attempts + 1, created_ms,
                                              now_ms, dispatch_random(d->dispatch));
}

/* --- the settlement --- */

/* What the operator sees beside the entry: the outcome of the first recipient kept. */
static void write_last_error(struct settling *st, const struct outcome *o)
{
    char code[16] = "";
    if (o->code != 0) {
        snprintf(code, sizeof code, "%u ", o->code);
    }
    snprintf(st->last_error, sizeof st->last_error, "%s%s%s%u.%u.%u %s", o->host,
             o->host[0] != '\0' ? ": " : "", code, o->enhanced[0], o->enhanced[1],
             o->enhanced[2], o->text);
    st->s.last_error = st->last_error;
}

/* Failed recipients stay when nobody can be told: the message is set aside, never
 * deleted. While others are still deferred all of them stay in the queue. */
static void fill_settlement(struct settling *st)
{
    const struct job *job = &st->delivery->job;
    bool keep_failed = st->failed > 0 && st->report == NULL;
    for (unsigned i = 0; i < job->recipient_count; i++) {
        const struct job_recipient *r = &job->recipients[i];
        bool keep = r->outcome.class == OUTCOME_DEFERRED ||
                    (r->outcome.class == OUTCOME_FAILED && keep_failed);
        if (!keep) {
            continue;
        }
        if (st->s.keep_count == 0) {
            write_last_error(st, &r->outcome);
        }
        st->keep[st->s.keep_count++] = r->address;
    }
    st->s.hold = keep_failed && st->deferred == 0;
    st->s.keep = st->keep;
    st->s.entry_id = st->delivery->entry->id;
    st->s.number = st->delivery->parcel->message->number;
}

static void settling_free(struct settling **st)
{
    report_free(&(*st)->report);
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

static void log_bounce(const struct settling *st, const struct queue_message *report)
{
    const struct delivery *d = st->delivery;
    struct log_line line;
    log_begin(&line, d->job.worker->daemon->log, LOG_BOUNCE);
    log_cstr(&line, "id", report->id);
    log_str(&line, "for", d->job.message_id);
    log_str(&line, "to", report->entries[0].recipients[0]);
    log_str(&line, "channel", report->entries[0].channel);
    log_int(&line, "recipients", st->failed);
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

/* --- asking the queue --- */

static void settle_step(struct settling *st);

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
    if (st->report != NULL) {
        struct queue_message *report = report_take(st->report);
        log_bounce(st, report);
        counter_add(&w->counters.bounces, 1);
        dispatch_add(w, report);
    }
    settling_end(st);
}

static void on_report_written(struct report *r, int error, void *arg)
{
    struct settling *st = arg;
    if (error != 0) {
        on_trouble(st, "a notification cannot be stored", uv_strerror(error));
        return;
    }
    st->s.report = report_message(r);
    struct worker *w = st->delivery->job.worker;
    queue_settle(w->daemon->queue, w, &st->s, on_settled, st);
}

static void settle_step(struct settling *st)
{
    struct worker *w = st->delivery->job.worker;
    if (st->report == NULL) {
        queue_settle(w->daemon->queue, w, &st->s, on_settled, st);
    } else if (st->s.report != NULL || report_allowed(st->delivery->dispatch)) {
        report_write(st->report, on_report_written, st);
    } else {
        put_off(st);
    }
}

void settle_retry(struct dispatch *d)
{
    struct delivery *list = d->unsettled;
    d->unsettled = NULL;
    d->unsettled_last = &d->unsettled;
    while (list != NULL) {
        struct delivery *next = list->next;
        settle_step(list->settling);
        list = next;
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
    check(st->keep != NULL);
    judge(st);
    if (st->failed > 0 && report_address(d).len == 0) {
        snprintf(st->why, sizeof st->why,
                 "it failed, and its null sender must not be told");
    } else if (st->failed > 0) {
        st->report = report_new(d, st->why, sizeof st->why);
    }
    fill_settlement(st);
    settle_step(st);
}
