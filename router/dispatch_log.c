/* dispatch_log: what the log says of one recipient of a delivery. */
#include <stdio.h>
#include <string.h>

#include "router/dispatch_state.h"

static void log_text(struct log_line *line, const char *key, const char *text)
{
    log_cstr(line, key, text[0] != '\0' ? text : NULL);
}

void delivery_tls_summary(const struct job *job, char *out, size_t size)
{
    const struct job_tls *t = &job->tls;
    if (!t->wanted) {
        out[0] = '\0';
        return;
    }
    bool verify = strcmp(t->verify, "no") != 0;
    bool failed = (t->error[0] && !t->fallback) || strcmp(t->level, "must") == 0;
    const char *got = t->active ? "tls" : failed ? "failed" : "clear";
    if (t->active && strcmp(t->verified, "no") != 0) {
        got = t->verified;
    }
    snprintf(out, size, "%s%s%s>%s", t->level, verify ? "+" : "", verify ? t->verify : "",
             got);
}

static void log_tls(struct log_line *line, const struct job *job)
{
    const struct job_tls *t = &job->tls;
    char summary[DELIVERY_TLS_MAX];
    if (!t->wanted) {
        return;
    }
    delivery_tls_summary(job, summary, sizeof summary);
    log_cstr(line, "tls.summary", summary);
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

void delivery_log(const struct delivery *d, const struct job_recipient *r, int64_t now_ms)
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
    if (job->reused > 0) {
        log_int(&line, "reused", job->reused);
    }
    log_tls(&line, job);
    if (o->code != 0) {
        log_int(&line, "code", o->code);
    }
    log_fmt(&line, "status", "%u.%u.%u", o->enhanced[0], o->enhanced[1], o->enhanced[2]);
    log_cstr(&line, "text", o->text);
    log_int(&line, "attempts", (int64_t)job->attempts + 1);
    log_int(&line, "delay_ms", now_ms - d->parcel->message->created_ms);
    log_end(&line);
}
