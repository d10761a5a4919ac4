/* tcp_server: one inbound session: a stream, the server machine and the accept path
 * behind its questions. Channel switches happen here: by IP at accept, by TLS after the
 * handshake. The machine decides what is legal, enqueue what is taken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "channels/smtp_server.h"
#include "channels/stream.h"
#include "channels/tcp.h"
#include "router/enqueue.h"
#include "router/runtime.h"

enum {
    COMMAND_TIMEOUT_MS = 5 * 60 * 1000, /* RFC 5321 4.5.3.2.7 */
    DATA_TIMEOUT_MS = 5 * 60 * 1000,    /* for each DATA_STRIDE octets: a minimum rate */
    DATA_STRIDE = 16 * 1024,
    TLS_TIMEOUT_MS = 60 * 1000,
    CLOSE_LINGER_MS = 5000,
    OUTPUT_HIGH_WATER = 64 * 1024, /* unsent replies at which we stop reading */
    RECIPIENT_LIMIT = 1000,
    MESSAGE_SIZE_LIMIT = 100 * 1024 * 1024
};

struct tcp_session {
    struct worker_session link;
    struct worker *worker;
    struct runtime *runtime;
    struct stream *stream;
    struct smtp_server *machine;
    struct enqueue *txn;
    const struct channel *service_channel; /* where it began */
    const struct channel *channel;         /* the source channel now */
    bool trusted;                          /* the IP switch led here */
    bool implicit_tls;
    bool greeted; /* the 220 is on its way */
    bool waiting; /* an answer is outstanding */
    bool closing;
    size_t data_seen;       /* octets since the deadline was restarted */
    const char *end_reason; /* for `disconnect` */
    char name[24];
    char peer_ip[64], helo[256];
    char local_name[256]; /* policy.local_name: outlives a reload */
};

static void session_run(struct tcp_session *s, const char *data, size_t len);

/* --- log --- */

static void log_session(struct log_line *line, struct tcp_session *s,
                        enum log_event event)
{
    log_begin(line, s->worker->daemon->log, event);
    log_cstr(line, "session", s->name);
}

static void log_switch(struct tcp_session *s, const struct channel *from, const char *why,
                       struct span at)
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

static void log_tls(struct tcp_session *s, const char *error)
{
    struct log_line line;
    const struct stream_tls_info *tls = stream_tls(s->stream);
    log_session(&line, s, LOG_TLS);
    log_cstr(&line, "side", "server");
    log_str(&line, "channel", s->channel->name);
    log_cstr(&line, "peer", s->peer_ip);
    if (error) {
        log_cstr(&line, "error", error);
    } else if (tls) {
        log_cstr(&line, "version", tls->version);
        log_cstr(&line, "cipher", tls->cipher);
        if (tls->sni[0]) {
            log_cstr(&line, "sni", tls->sni);
        }
    }
    log_end(&line);
}

static void log_refusal(struct tcp_session *s)
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
    log_end(&line);
    arena_free(&a);
}

static void log_end_of_session(struct tcp_session *s)
{
    struct log_line line;
    const char *reason = smtp_server_close_reason(s->machine);
    log_session(&line, s, LOG_DISCONNECT);
    log_str(&line, "channel", s->channel->name);
    log_cstr(&line, "peer", s->peer_ip);
    if (s->end_reason) {
        reason = s->end_reason;
    }
    log_cstr(&line, "reason", reason ? reason : "closed");
    log_end(&line);
}

/* --- life --- */

static void session_close(struct tcp_session *s, const char *reason)
{
    if (s->closing) {
        return;
    }
    s->closing = true;
    s->end_reason = reason;
    if (s->txn) {
        enqueue_abort(&s->txn);
    }
    log_end_of_session(s);
    stream_close(s->stream, CLOSE_LINGER_MS);
}

static void session_flush(struct tcp_session *s)
{
    struct buf *out = smtp_server_out(s->machine);
    if (out->len > 0) {
        stream_write(s->stream, out->data, out->len);
    }
    buf_clear(out);
}

/* Tells the peer 421 with this text, then closes. */
static void session_end(struct tcp_session *s, const char *text, const char *reason)
{
    if (s->closing) {
        return;
    }
    if (!s->greeted) {
        session_close(s, reason);
        return;
    }
    smtp_server_shut(s->machine, text);
    session_flush(s);
    session_close(s, reason);
}

static void on_shut(struct worker *w, struct worker_session *link)
{
    struct tcp_session *s = (struct tcp_session *)link; /* link is the first member */
    (void)w;
    session_end(s, "4.3.2 service is shutting down", "shutdown");
}

static void on_closed(struct stream *stream, void *arg)
{
    struct tcp_session *s = arg;
    (void)stream;
    worker_session_remove(s->worker, &s->link);
    counter_add(&s->worker->counters.sessions_open, -1);
    smtp_server_free(&s->machine);
    runtime_unref(&s->runtime);
    free(s);
}

static void on_end(struct stream *stream, const char *reason, void *arg)
{
    struct tcp_session *s = arg;
    (void)stream;
    bool can_talk = s->greeted && smtp_server_ask(s->machine) != ASK_TLS;
    if (can_talk && strcmp(reason, "timeout") == 0) {
        session_end(s, "4.4.2 timeout: closing the connection", reason);
    } else {
        session_close(s, reason);
    }
}

/* --- policy and switches --- */

static struct smtp_server_policy policy_of(struct tcp_session *s)
{
    snprintf(s->local_name, sizeof s->local_name, "%.*s",
             STR_ARG(channel_local_name(s->runtime->snapshot, s->channel)));
    return (struct smtp_server_policy){
        .local_name = str_from(s->local_name),
        .tls = s->channel->opts.tls_server,
        .size_limit_bytes = MESSAGE_SIZE_LIMIT,
        .recipient_limit = RECIPIENT_LIMIT,
    };
}

static void switch_by_ip(struct tcp_session *s)
{
    struct span rule = SPAN_NONE;
    struct arena *a = arena_new();
    const struct channel *from = s->channel;
    s->channel =
        route_ip_switch(s->runtime->snapshot, from, str_from(s->peer_ip), a, &rule);
    if (s->channel != from) {
        s->trusted = true;
        log_switch(s, from, "ip", rule);
    }
    arena_free(&a);
}

/* Trust stays: it belongs to the address the session came from. */
static void switch_by_tls(struct tcp_session *s)
{
    const struct channel *from = s->channel;
    s->channel = route_tls_switch(from);
    if (s->channel != from) {
        log_switch(s, from, "tls", from->opts.tlsswitchchannel_at);
    }
}

static bool same_name(const struct channel *a, const struct channel *b)
{
    return a && b && str_ieq(a->name, b->name);
}

/* The TLS contexts are those of the channel that listens: a switch may have led to one
 * of another kind. */
static const struct tcp_state *tls_state(const struct runtime *r,
                                         const struct channel *service)
{
    return runtime_state(r, service);
}

/* False: the channel offers TLS, but nothing listens there any more, and so the
 * configuration needed no certificate. */
static bool can_offer(const struct runtime *r, const struct channel *service,
                      const struct channel *channel)
{
    return channel->opts.tls_server == TLS_LEVEL_NO || tls_state(r, service)->server;
}

/* Between two transactions the session moves to the configuration in force, so that one
 * message sees one configuration. If there its way here (service, IP switch, channel)
 * would be another one, it has to begin anew: false. */
static bool session_renew(struct tcp_session *s)
{
    struct runtime *now = s->worker->current;
    if (now == s->runtime) {
        return true;
    }
    const struct snapshot *snap = now->snapshot;
    const struct channel *service = snapshot_channel(snap, s->service_channel->name);
    const struct channel *channel = snapshot_channel(snap, s->channel->name);
    if (!service || !channel || service->type != CHANNEL_TCP ||
        !can_offer(now, service, channel)) {
        return false;
    }
    struct span rule;
    struct arena *a = arena_new();
    const struct channel *begin =
        route_ip_switch(snap, service, str_from(s->peer_ip), a, &rule);
    arena_free(&a);
    bool tls = smtp_server_is_tls(s->machine);
    if ((begin != service) != s->trusted ||
        !same_name(tls ? route_tls_switch(begin) : begin, channel)) {
        return false;
    }
    runtime_unref(&s->runtime);
    s->runtime = runtime_ref(now);
    s->service_channel = service;
    s->channel = channel;
    struct smtp_server_policy policy = policy_of(s);
    smtp_server_set_policy(s->machine, &policy);
    return true;
}

/* --- answers to the machine's questions; true: answered at once --- */

static void answer_outcome(struct tcp_session *s, const struct outcome *o)
{
    smtp_server_answer_command(s->machine, o->code, o->enhanced[0], o->enhanced[1],
                               o->enhanced[2], o->text);
}

static struct enqueue_session session_facts(struct tcp_session *s)
{
    bool esmtp = false;
    str helo = smtp_server_helo(s->machine, &esmtp);
    const struct stream_tls_info *tls = stream_tls(s->stream);
    snprintf(s->helo, sizeof s->helo, "%.*s", STR_ARG(helo));
    return (struct enqueue_session){
        .worker = s->worker,
        .runtime = s->runtime,
        .source = s->channel,
        .trusted = s->trusted,
        .session = str_from(s->name),
        .peer_ip = str_from(s->peer_ip),
        .helo = str_from(s->helo),
        .esmtp = esmtp,
        .tls = tls != NULL,
        .tls_version = tls ? str_from(tls->version) : STR(""),
        .tls_cipher = tls ? str_from(tls->cipher) : STR(""),
    };
}

static bool answer_sender(struct tcp_session *s)
{
    if (s->txn) {
        enqueue_abort(&s->txn);
    }
    struct enqueue_session facts = session_facts(s);
    s->txn = enqueue_begin(&facts, &smtp_server_txn(s->machine)->sender);
    smtp_server_answer_command(s->machine, 250, 2, 1, 0, "sender ok");
    return true;
}

static bool answer_recipient(struct tcp_session *s)
{
    struct outcome o;
    outcome_init(&o);
    if (enqueue_recipient(s->txn, &smtp_server_txn(s->machine)->recipient, &o)) {
        smtp_server_answer_command(s->machine, 250, 2, 1, 5, "recipient ok");
    } else {
        counter_add(&s->worker->counters.recipients_refused, 1);
        answer_outcome(s, &o);
        log_refusal(s); /* now: a pipelined RCPT behind it would take its place */
    }
    return true;
}

static void body_stored(struct tcp_session *s, const struct outcome *o)
{
    bool ok = o->class == OUTCOME_DELIVERED;
    if (!ok) {
        enqueue_abort(&s->txn);
        counter_add(&s->worker->counters.messages_refused, 1);
    }
    smtp_server_answer_body(s->machine, ok, o->code, o->enhanced[0], o->enhanced[1],
                            o->enhanced[2], o->text);
}

static void on_body_stored(struct enqueue *e, const struct outcome *o, void *arg)
{
    struct tcp_session *s = arg;
    (void)e;
    s->waiting = false;
    body_stored(s, o);
    session_run(s, "", 0);
}

static bool answer_body(struct tcp_session *s)
{
    struct outcome o;
    outcome_init(&o);
    if (!enqueue_body(s->txn, smtp_server_body(s->machine), on_body_stored, s, &o)) {
        return false;
    }
    body_stored(s, &o);
    return true;
}

static void on_committed(struct enqueue *e, const struct outcome *o, void *arg)
{
    struct tcp_session *s = arg;
    s->waiting = false;
    if (o->class == OUTCOME_DELIVERED) {
        char text[64];
        snprintf(text, sizeof text, "queued as %s", enqueue_id(e));
        counter_add(&s->worker->counters.messages_in, 1);
        smtp_server_answer_command(s->machine, 250, 2, 0, 0, text);
    } else {
        counter_add(&s->worker->counters.messages_refused, 1);
        answer_outcome(s, o);
    }
    enqueue_abort(&s->txn);
    session_run(s, "", 0);
}

static bool answer_tls(struct tcp_session *s)
{
    struct tls_context *tls = tls_state(s->runtime, s->service_channel)->server;
    session_flush(s);
    stream_deadline(s->stream, TLS_TIMEOUT_MS);
    check(tls); /* check refuses a channel that offers TLS without one */
    stream_start_tls(s->stream, tls, true, STR(""));
    return false;
}

static bool session_answer(struct tcp_session *s)
{
    switch (smtp_server_ask(s->machine)) {
    case ASK_SENDER:
        return answer_sender(s);
    case ASK_RECIPIENT:
        return answer_recipient(s);
    case ASK_DATA:
        s->data_seen = 0;
        smtp_server_answer_command(s->machine, 354, 0, 0, 0,
                                   "end the message with <CRLF>.<CRLF>");
        return true;
    case ASK_BODY:
        return answer_body(s);
    case ASK_COMMIT:
        enqueue_commit(s->txn, on_committed, s);
        return false;
    case ASK_TLS:
        return answer_tls(s);
    case ASK_NONE:
        break;
    }
    check(!"the machine waits without a question");
    return false;
}

/* --- the loop --- */

/* The command deadline restarts with every reply, in DATA with every DATA_STRIDE
 * octets: a peer that drips octets does not keep a session for ever. */
static void restart_deadline(struct tcp_session *s, bool replied)
{
    bool data = smtp_server_in_data(s->machine);
    if (!replied && !(data && s->data_seen >= DATA_STRIDE)) {
        return;
    }
    s->data_seen = 0;
    stream_deadline(s->stream, data ? DATA_TIMEOUT_MS : COMMAND_TIMEOUT_MS);
}

static void session_idle(struct tcp_session *s)
{
    if (s->txn) {
        enqueue_abort(&s->txn);
    }
    if (!session_renew(s)) {
        session_end(s, "4.3.2 configuration changed, please connect again", "reload");
    }
}

static void session_run(struct tcp_session *s, const char *data, size_t len)
{
    bool replied = false;
    for (;;) {
        enum smtp_step step = smtp_server_feed(s->machine, data, len);
        log_refusal(s);
        data = "";
        len = 0;
        replied = replied || smtp_server_out(s->machine)->len > 0;
        if (step == STEP_WAIT && session_answer(s)) {
            continue;
        }
        session_flush(s);
        if (step == STEP_WAIT) {
            s->waiting = true;
            stream_pause(s->stream);
            return;
        }
        if (step == STEP_CLOSE) {
            session_close(s, NULL);
            return;
        }
        break;
    }
    restart_deadline(s, replied);
    if (smtp_server_idle(s->machine)) {
        session_idle(s);
    }
    if (s->closing) {
        return;
    }
    if (stream_pending(s->stream) > OUTPUT_HIGH_WATER) {
        stream_pause(s->stream);
    } else {
        stream_resume(s->stream);
    }
}

static void on_data(struct stream *stream, const char *data, size_t len, void *arg)
{
    struct tcp_session *s = arg;
    (void)stream;
    s->data_seen += len;
    if (!s->closing) {
        session_run(s, data, len);
    }
}

static void on_drained(struct stream *stream, void *arg)
{
    struct tcp_session *s = arg;
    if (!s->closing && !s->waiting) {
        stream_resume(stream);
    }
}

static void session_greet(struct tcp_session *s)
{
    s->greeted = true;
    smtp_server_greet(s->machine);
    session_run(s, "", 0);
}

static void on_tls(struct stream *stream, bool ok, const char *error, void *arg)
{
    struct tcp_session *s = arg;
    (void)stream;
    s->waiting = false;
    log_tls(s, ok ? NULL : error);
    if (!ok) {
        counter_add(&s->worker->counters.tls_in_failed, 1);
        session_close(s, "tls-failed");
        return;
    }
    counter_add(&s->worker->counters.tls_in, 1);
    if (s->txn) {
        enqueue_abort(&s->txn);
    }
    switch_by_tls(s);
    struct smtp_server_policy policy = policy_of(s);
    if (!s->greeted) {
        smtp_server_set_policy(s->machine, &policy);
        smtp_server_tls_implicit(s->machine);
        session_greet(s);
        return;
    }
    smtp_server_tls_started(s->machine, &policy);
    stream_deadline(s->stream, COMMAND_TIMEOUT_MS);
    session_run(s, "", 0);
}

static const struct stream_events session_events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_tls = on_tls,
    .on_closed = on_closed,
};

static void log_connect(struct tcp_session *s, const struct service *service)
{
    struct log_line line;
    log_session(&line, s, LOG_CONNECT);
    log_str(&line, "service", service->name);
    log_str(&line, "channel", s->channel->name);
    log_cstr(&line, "peer", s->peer_ip);
    log_int(&line, "port", stream_local_port(s->stream));
    log_end(&line);
}

void tcp_server_accept(struct worker *w, const struct service *service, int fd)
{
    struct tcp_session *s = calloc(1, sizeof *s);
    check(s);
    s->worker = w;
    s->stream = stream_accept(w, fd, &session_events, s);
    if (!s->stream) {
        free(s);
        return;
    }
    s->runtime = runtime_ref(w->current);
    s->service_channel = s->channel = service->channel;
    s->implicit_tls = service->implicit_tls;
    s->link.shut = on_shut;
    worker_session_add(w, &s->link);
    counter_add(&w->counters.sessions_open, 1);
    counter_add(&w->counters.sessions_total, 1);
    snprintf(s->name, sizeof s->name, "%u.%lx", w->index,
             atomic_fetch_add(&w->daemon->session_serial, 1));
    snprintf(s->peer_ip, sizeof s->peer_ip, "%.*s", STR_ARG(stream_peer_ip(s->stream)));
    log_connect(s, service);
    switch_by_ip(s);
    struct smtp_server_policy policy = policy_of(s);
    s->machine = smtp_server_new(&policy);
    if (!s->implicit_tls) {
        session_greet(s);
        return;
    }
    s->waiting = true;
    answer_tls(s);
}
