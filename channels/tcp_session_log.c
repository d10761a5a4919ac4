/* tcp_session_log: what a session tells the log; see tcp_session.h. */
#include <string.h>

#include "channels/tcp_session.h"
#include "channels/tls_log.h"

static void log_session(struct log_line *line, struct tcp_session *s,
                        enum log_event event)
{
    log_begin(line, s->worker->daemon->log, event);
    log_cstr(line, "session", s->name);
}

void session_log_switch(struct tcp_session *s, const struct channel *from,
                        const char *why, struct span at)
{
    struct log_line line;
    struct arena *a = arena_new();
    log_session(&line, s, LOG_SWITCH);
    log_str(&line, "from", from->name);
    log_str(&line, "to", s->channel->name);
    log_cstr(&line, "by", why);
    log_str(&line, "rule", snapshot_where(a, s->runtime->snapshot, at));
    log_end(&line);
    arena_free(&a);
}

void session_log_ident(struct tcp_session *s)
{
    struct log_line line;
    const char *name = tcp_ident_name(s->ident);
    log_session(&line, s, LOG_IDENT);
    log_cstr(&line, "peer", s->peer_ip);
    if (name[0]) {
        log_cstr(&line, "name", name);
    }
    if (name[0] && tcp_ident_known(s->ident, true)) {
        log_cstr(&line, "confirmed", tcp_ident_confirmed(s->ident) ? "yes" : "no");
    }
    if (tcp_ident_trouble(s->ident)[0]) {
        log_cstr(&line, "reason", tcp_ident_trouble(s->ident));
    }
    log_end(&line);
}

/* Of the client, where one was asked for. */
static void log_peer_certificate(struct log_line *line, const struct tcp_session *s,
                                 const struct tls_facts *tls)
{
    if (s->channel->tls_server.peer == TLS_PEER_NO) {
        return;
    }
    log_cstr(line, "verified", tls->verified == TLS_VERIFY_CA ? "ca" : "no");
    log_cstr(line, "unverified", tls->verify_error[0] ? tls->verify_error : NULL);
    if (tls->subject[0]) {
        log_cstr(line, "subject", tls->subject);
        log_cstr(line, "issuer", tls->issuer);
        log_cstr(line, "spki", tls->spki);
    }
}

void session_log_tls(struct tcp_session *s, const char *error)
{
    struct log_line line;
    const struct tls_facts *tls = stream_tls(s->stream);
    log_session(&line, s, LOG_TLS);
    log_cstr(&line, "side", "server");
    log_str(&line, "channel", s->channel->name);
    log_cstr(&line, "peer", s->peer_ip);
    if (smtp_server_injected(s->machine) > 0) {
        log_int(&line, "ignored", (int64_t)smtp_server_injected(s->machine));
    }
    if (error) {
        log_cstr(&line, "error", error);
    } else if (tls) {
        tls_log_facts(&line, tls);
        log_cstr(&line, "sni", tls->sni[0] ? tls->sni : NULL);
        log_peer_certificate(&line, s, tls);
    }
    log_end(&line);
}

void session_log_refusal(struct tcp_session *s)
{
    str reply = smtp_server_take_refusal(s->machine);
    if (str_empty(reply)) {
        return;
    }
    struct log_line line;
    const struct smtp_server_txn *txn = smtp_server_txn(s->machine);
    struct arena *a = arena_new();
    log_session(&line, s, LOG_REFUSE);
    log_str(&line, "channel", s->channel->name);
    log_cstr(&line, "peer", s->peer_ip);
    if (!smtp_server_idle(s->machine)) {
        log_str(&line, "from", address_print(a, &txn->sender));
        const struct address *to = smtp_server_refused_recipient(s->machine);
        if (to != NULL) {
            log_str(&line, "to", address_print(a, to));
        }
    }
    log_str(&line, "reply", reply);
    if (smtp_server_refusal_keyword(s->machine) != NULL) {
        log_cstr(&line, "limit", smtp_server_refusal_keyword(s->machine));
    }
    log_end(&line);
    arena_free(&a);
}

void session_log_end(struct tcp_session *s)
{
    struct log_line line;
    const char *reason = s->machine ? smtp_server_close_reason(s->machine) : NULL;
    bool injected = (reason && strcmp(reason, "starttls-injection") == 0) ||
                    (s->machine && smtp_server_injected(s->machine) > 0);
    counter_add(&s->worker->counters.tls_in_injected, injected);
    log_session(&line, s, LOG_DISCONNECT);
    log_str(&line, "channel", s->channel->name);
    log_cstr(&line, "peer", s->peer_ip);
    if (s->end_reason) {
        reason = s->end_reason;
    }
    log_cstr(&line, "reason", reason ? reason : "closed");
    log_end(&line);
}

void session_log_not_let_in(struct tcp_session *s, str reply)
{
    struct log_line line;
    log_session(&line, s, LOG_REFUSE);
    log_str(&line, "channel", s->channel->name);
    log_cstr(&line, "peer", s->peer_ip);
    log_str(&line, "reply", reply);
    log_end(&line);
}

void session_log_connect(struct tcp_session *s, const struct service *service, str note)
{
    struct log_line line;
    log_session(&line, s, LOG_CONNECT);
    log_str(&line, "service", service->name);
    log_str(&line, "channel", s->channel->name);
    log_cstr(&line, "peer", s->peer_ip);
    log_int(&line, "port", stream_local_port(s->stream));
    if (note.len > 0) {
        log_str(&line, "note", note);
    }
    log_end(&line);
}
