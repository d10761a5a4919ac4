/* tcp_delivery_log: what a delivery tells the log and its job; see tcp_delivery.h. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "channels/tcp_delivery.h"
#include "channels/tls_log.h"

void delivery_address_text(const struct tcp_delivery *d, char *out)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&d->address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&d->address;
    bool six = d->address.ss_family == AF_INET6;
    out[0] = '\0';
    if (d->address.ss_family == AF_UNIX) {
        return;
    }
    inet_ntop(d->address.ss_family,
              six ? (const void *)&v6->sin6_addr : (const void *)&v4->sin_addr, out,
              INET6_ADDRSTRLEN);
}

static void peer_text(const struct tcp_delivery *d, char *out, size_t size)
{
    char ip[INET6_ADDRSTRLEN];
    delivery_address_text(d, ip);
    if (d->address.ss_family == AF_UNIX) {
        snprintf(out, size, "unix:%.*s", SOCKET_PATH_MAX,
                 ((const struct sockaddr_un *)&d->address)->sun_path);
    } else if (d->name[0]) {
        snprintf(out, size, "%.60s[%s]:%u", d->name, ip, d->channel->opts.port);
    } else {
        snprintf(out, size, "[%s]:%u", ip, d->channel->opts.port);
    }
}

static void log_peer(struct tcp_delivery *d, struct log_line *line, enum log_event event)
{
    char peer[128];
    peer_text(d, peer, sizeof peer);
    log_begin(line, d->worker->daemon->log, event);
    if (d->job) {
        log_str(line, "id", d->job->message_id);
    }
    log_str(line, "channel", d->channel->name);
    log_cstr(line, "peer", peer);
}

void delivery_log_attempt(struct tcp_delivery *d, const struct outcome *o)
{
    struct log_line line;
    log_peer(d, &line, LOG_ATTEMPT);
    if (o->code) {
        log_int(&line, "code", o->code);
    }
    log_fmt(&line, "status", "%u.%u.%u", o->enhanced[0], o->enhanced[1], o->enhanced[2]);
    log_cstr(&line, "text", o->text);
    log_end(&line);
}

void delivery_log_tls(struct tcp_delivery *d, const char *error)
{
    struct log_line line;
    const struct tls_facts *tls = stream_tls(d->stream);
    log_peer(d, &line, LOG_TLS);
    log_cstr(&line, "side", "client");
    log_cstr(&line, "groups", d->other_groups ? "retry" : NULL);
    if (error) {
        log_cstr(&line, "error", error);
    } else if (tls) {
        tls_log_facts(&line, tls);
        log_cstr(&line, "verified", d->tls.verified);
        log_cstr(&line, "unverified", tls->verify_error[0] ? tls->verify_error : NULL);
    }
    log_end(&line);
}

void delivery_log_injection(struct tcp_delivery *d)
{
    struct log_line line;
    log_peer(d, &line, LOG_INJECTION);
    log_end(&line);
    counter_add(&d->worker->counters.tls_out_injected, 1);
}

void delivery_log_policy_fault(struct tcp_delivery *d)
{
    struct log_line line;
    const struct snapshot *s = d->runtime->snapshot;
    log_peer(d, &line, LOG_ERROR);
    log_cstr(&line, "what", "TLS policy");
    log_cstr(&line, "table", TLS_CLIENT_POLICY);
    log_str(&line, "reason", d->wanted.fault);
    log_str(&line, "rule", snapshot_where(d->arena, s, d->wanted.fault_at));
    log_str(&line, "domain", d->job->host);
    log_end(&line);
}

void delivery_log_stripped(struct tcp_delivery *d, const struct outcome *o)
{
    struct log_line line;
    log_peer(d, &line, LOG_STRIPPED);
    log_cstr(&line, "reason", o->text);
    log_end(&line);
    counter_add(&d->worker->counters.tls_stripped, 1);
}

void delivery_log_downgrade(struct tcp_delivery *d, const char *why)
{
    struct log_line line;
    log_peer(d, &line, LOG_DOWNGRADE);
    log_cstr(&line, "reason", why);
    log_end(&line);
    counter_add(&d->worker->counters.tls_downgrades, 1);
    snprintf(d->tls.error, sizeof d->tls.error, "%.255s", why);
}

/* --- for the job --- */

void delivery_tls_begin(struct tcp_delivery *d)
{
    const struct tls_policy *p = &d->wanted.policy;
    char error[sizeof d->tls.error];
    snprintf(error, sizeof error, "%s", d->clear ? d->tls.error : "");
    d->tls = (struct job_tls){
        .wanted = true,
        .level = tls_level_name(p->level),
        .verify = tls_verify_name(p->verify),
        .source = d->wanted.mapped[TLS_FIELD_LEVEL] ? "mapping"
                  : p->level_at.source == 0         ? "built-in"
                  : channel_wrote(d->runtime->snapshot, d->channel, p->level_at)
                      ? "keyword"
                      : "defaults",
        .verified = tls_verify_name(TLS_VERIFY_NO),
        .fallback = d->clear,
    };
    snprintf(d->tls.error, sizeof d->tls.error, "%s", error);
}

void delivery_tls_note(struct tcp_delivery *d, const char *error)
{
    const struct tls_facts *f = stream_tls_attempt(d->stream);
    struct job_tls *t = &d->tls;
    if (error) {
        snprintf(t->error, sizeof t->error, "%.255s", error);
    }
    if (!f) {
        return;
    }
    t->active = !error;
    t->resumed = f->resumed;
    t->pq = f->pq;
    t->verified = tls_verify_name(f->verified);
    t->bits = f->bits;
    t->bits_alg = f->bits_alg;
    t->handshake_ns = f->handshake_ns;
    memcpy(t->version, f->version, sizeof t->version);
    memcpy(t->cipher, f->cipher, sizeof t->cipher);
    memcpy(t->group, f->group, sizeof t->group);
    memcpy(t->sni, f->sni, sizeof t->sni);
    snprintf(t->subject, sizeof t->subject, "%.255s", f->subject);
    snprintf(t->issuer, sizeof t->issuer, "%.255s", f->issuer);
    memcpy(t->spki, f->spki, sizeof t->spki);
    if (!error) {
        memcpy(t->error, f->verify_error, sizeof t->error);
    }
}

void delivery_tls_failed(struct tcp_delivery *d)
{
    const char *why = smtp_client_host_outcome(d->machine)->text;
    d->tls.active = false;
    snprintf(d->tls.error, sizeof d->tls.error, "%.255s", why);
}

void delivery_note_connection(const struct tcp_delivery *d, struct job *job)
{
    peer_text(d, job->peer, sizeof job->peer);
    job->tls = d->tls;
    job->reused = d->messages > 1 ? d->messages - 1 : 0;
}

void delivery_note_speaker(const struct tcp_delivery *d, struct outcome *o)
{
    char ip[INET6_ADDRSTRLEN];
    if (o->code == 0) {
        return; /* our own words */
    }
    delivery_address_text(d, ip);
    if (d->address.ss_family == AF_UNIX) { /* it is a host of reports, too */
        str here = channel_local_name(d->runtime->snapshot, d->channel);
        snprintf(o->host, sizeof o->host, "%.*s", STR_ARG(here));
    } else if (d->name[0]) {
        snprintf(o->host, sizeof o->host, "%s", d->name);
    } else {
        snprintf(o->host, sizeof o->host, "[%s]", ip);
    }
}
