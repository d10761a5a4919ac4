/* tcp_server: one inbound session: a stream, the server machine and the accept path
 * behind its questions. It is here when the channel is switched: by address, or else by
 * name, before the greeting, by TLS after the handshake; tcp_switch.c knows how. The
 * machine decides what is legal, enqueue what is taken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "channels/tcp_session.h"

enum {
    /* Unless the channel's option file says something else. */
    COMMAND_TIMEOUT_MS = 5 * 60 * 1000, /* RFC 5321 4.5.3.2.7 */
    DATA_TIMEOUT_MS = 5 * 60 * 1000,    /* for each DATA_STRIDE octets: a minimum rate */
    DATA_STRIDE = 16 * 1024,
    TLS_TIMEOUT_MS = 60 * 1000,
    CLOSE_LINGER_MS = 5000,
    OUTPUT_HIGH_WATER = 64 * 1024, /* unsent replies at which we stop reading */
    TURN_MS = 5, /* of work for one command; more is waited for as long */
    TURN_WAIT_MAX_MS = 1000
};

static void session_run(struct tcp_session *s, const char *data, size_t len);
static bool session_delay(struct tcp_session *s);

/* --- life --- */

static void session_close(struct tcp_session *s, const char *reason)
{
    if (s->closing) {
        return;
    }
    s->closing = true;
    s->end_reason = reason;
    tcp_ident_free(&s->ident);
    tcp_delay_free(&s->delay);
    if (s->txn) {
        enqueue_abort(&s->txn);
    }
    session_log_end(s);
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

static void session_shut(struct tcp_session *s)
{
    session_end(s, "4.3.2 service is shutting down", "shutdown");
}

/* A client whose message is being stored is told what became of it first: else it would
 * send again what is ours. */
static void on_shut(struct worker *w, struct worker_session *link)
{
    struct tcp_session *s = (struct tcp_session *)link; /* link is the first member */
    (void)w;
    if (!s->closing && s->greeted && smtp_server_ask(s->machine) == ASK_COMMIT) {
        s->shut_later = true;
    } else {
        session_shut(s);
    }
}

static void on_closed(struct stream *stream, void *arg)
{
    struct tcp_session *s = arg;
    (void)stream;
    worker_session_remove(s->worker, &s->link);
    counter_add(&s->worker->counters.sessions_open, -1);
    smtp_server_free(&s->machine);
    tcp_ident_free(&s->ident);
    tls_context_unref(&s->tls);
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
    const struct tls_facts *tls = stream_tls(s->stream);
    snprintf(s->helo, sizeof s->helo, "%.*s", STR_ARG(helo));
    return (struct enqueue_session){
        .worker = s->worker,
        .runtime = s->runtime,
        .source = s->channel,
        .trusted = s->trusted,
        .session = str_from(s->name),
        .peer_ip = str_from(s->peer_ip),
        .peer_port = stream_peer_port(s->stream),
        .server_ip = stream_local_ip(s->stream),
        .server_port = stream_local_port(s->stream),
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
    if (!session_name_known(s)) {
        s->sender_waits = true;
        return false;
    }
    struct enqueue_session facts = session_facts(s);
    facts.declared_size = smtp_server_txn(s->machine)->declared_size;
    facts.ret = smtp_server_txn(s->machine)->ret;
    facts.envid = smtp_server_txn(s->machine)->envid;
    session_name_facts(s, &facts);
    s->txn = enqueue_begin(&facts, &smtp_server_txn(s->machine)->sender);
    struct outcome o;
    bool taken = enqueue_sender(s->txn, &o);
    s->delay_ms = enqueue_delay_ms(s->txn);
    if (taken) {
        smtp_server_answer_command(s->machine, 250, 2, 1, 0, "sender ok");
    } else {
        enqueue_abort(&s->txn);
        answer_outcome(s, &o);
        session_log_refusal(s);
    }
    return true;
}

/* A large list is much work. The others on this worker get as much time before the client
 * that asked gets its answer, and can ask for the next one. */
static unsigned turn_wait_ms(uint64_t began_ns)
{
    uint64_t ms = (uv_hrtime() - began_ns) / 1000000;
    return ms < TURN_MS ? 0 : ms > TURN_WAIT_MAX_MS ? TURN_WAIT_MAX_MS : (unsigned)ms;
}

static bool answer_recipient(struct tcp_session *s)
{
    struct outcome o;
    uint64_t began = uv_hrtime();
    const struct smtp_server_txn *asked = smtp_server_txn(s->machine);
    outcome_init(&o);
    if (enqueue_recipient(s->txn, &asked->recipient, &asked->request, &o)) {
        smtp_server_answer_command(s->machine, 250, 2, 1, 5, "recipient ok");
    } else {
        counter_add(&s->worker->counters.recipients_refused, 1);
        answer_outcome(s, &o);
        session_log_refusal(s); /* now: a pipelined RCPT behind it would take its place */
    }
    unsigned asked_ms = enqueue_delay_ms(s->txn), wait_ms = turn_wait_ms(began);
    s->delay_ms = asked_ms > wait_ms ? asked_ms : wait_ms;
    return true;
}

static bool answer_data(struct tcp_session *s)
{
    struct outcome o;
    bool go_on = enqueue_data(s->txn, &o);
    s->data_seen = 0;
    s->delay_ms = enqueue_delay_ms(s->txn);
    if (go_on) {
        smtp_server_answer_command(s->machine, 354, 0, 0, 0,
                                   "end the message with <CRLF>.<CRLF>");
    } else {
        answer_outcome(s, &o);
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
    s->delay_ms = enqueue_delay_ms(e);
    enqueue_abort(&s->txn);
    if (s->shut_later) {
        session_shut(s);
    } else if (!session_delay(s)) {
        session_run(s, "", 0);
    }
}

static bool answer_tls(struct tcp_session *s)
{
    struct tls_context *tls =
        session_tls_context(s->runtime, s->service_channel, s->channel);
    session_flush(s);
    stream_deadline(s->stream, TLS_TIMEOUT_MS);
    check(tls); /* check refuses a channel that offers TLS without one */
    bool ask = s->channel->tls_server.peer != TLS_PEER_NO;
    struct tls_wish wish = {.verify = ask ? TLS_VERIFY_CA : TLS_VERIFY_NO};
    stream_start_tls(s->stream, tls, &wish);
    s->tls = tls;
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
        return answer_data(s);
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

/* How long the client has for what is next. */
static unsigned session_timeout_ms(const struct tcp_session *s)
{
    const struct tcp_options *o = &s->channel->tcp;
    if (smtp_server_in_data(s->machine)) {
        return o->data_receive_ms > 0 ? o->data_receive_ms : DATA_TIMEOUT_MS;
    }
    return o->command_receive_ms > 0 ? o->command_receive_ms : COMMAND_TIMEOUT_MS;
}

/* The command deadline restarts with every reply, in DATA with every DATA_STRIDE
 * octets: a peer that drips octets does not keep a session for ever. */
static void restart_deadline(struct tcp_session *s, bool replied)
{
    bool data = smtp_server_in_data(s->machine);
    if (!replied && !(data && s->data_seen >= DATA_STRIDE)) {
        return;
    }
    s->data_seen = 0;
    stream_deadline(s->stream, session_timeout_ms(s));
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
        session_log_refusal(s);
        data = "";
        len = 0;
        replied = replied || smtp_server_out(s->machine)->len > 0;
        session_flush(s); /* the answers before this one are not to wait with it */
        if (step == STEP_WAIT && session_answer(s)) {
            if (session_delay(s)) {
                return;
            }
            continue;
        }
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

static void on_delay_over(void *arg)
{
    struct tcp_session *s = arg;
    tcp_delay_free(&s->delay);
    s->waiting = false;
    session_run(s, "", 0);
}

/* Keeps the answer just given back for a while, if an access table wants that ($D). True:
 * it does; on_delay_over() goes on. */
static bool session_delay(struct tcp_session *s)
{
    unsigned ms = s->delay_ms;
    s->delay_ms = 0;
    if (ms == 0 || s->closing) {
        return false;
    }
    s->waiting = true;
    stream_pause(s->stream);
    stream_deadline(s->stream, COMMAND_TIMEOUT_MS); /* it is not the client that waits */
    s->delay = tcp_delay_new(s->worker, ms, on_delay_over, s);
    return true;
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
    session_log_tls(s, ok ? NULL : error);
    if (!ok) {
        counter_add(&s->worker->counters.tls_in_failed, 1);
        session_close(s, "tls-failed");
        return;
    }
    counter_add(&s->worker->counters.tls_in, 1);
    if (s->txn) {
        enqueue_abort(&s->txn);
    }
    bool verified = stream_tls(s->stream)->verified == TLS_VERIFY_CA;
    s->verified_by = verified ? s->channel->tls_server.profile : NULL;
    if (!session_let_in_tls(s)) {
        session_close(s, "tls-access");
        return;
    }
    session_name_known(s); /* asked now, it is there when a message comes */
    struct smtp_server_policy policy = session_policy(s);
    if (!s->greeted) {
        smtp_server_set_policy(s->machine, &policy);
        smtp_server_tls_implicit(s->machine);
        session_greet(s);
        return;
    }
    smtp_server_tls_started(s->machine, &policy);
    stream_deadline(s->stream, session_timeout_ms(s));
    session_run(s, "", 0);
}

static const struct stream_events session_events = {
    .on_data = on_data,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_tls = on_tls,
    .on_closed = on_closed,
};

/* The session has its channel. */
static void session_begin(struct tcp_session *s)
{
    struct smtp_server_policy policy = session_policy(s);
    s->machine = smtp_server_new(&policy);
    session_name_known(s);
    if (!s->implicit_tls) {
        session_greet(s);
        return;
    }
    s->waiting = true;
    answer_tls(s);
}

static void on_ident(void *arg)
{
    struct tcp_session *s = arg;
    session_log_ident(s);
    if (!s->machine) {
        session_switch_by_name(s);
        session_begin(s);
    } else if (s->sender_waits) {
        s->sender_waits = s->waiting = false;
        if (!answer_sender(s)) { /* more is wanted of it by now */
            s->waiting = true;
            return;
        }
        if (!session_delay(s)) {
            session_run(s, "", 0);
        }
    }
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
    if (!session_let_in(s, service)) {
        session_close(s, "port-access");
        return;
    }
    s->ident = tcp_ident_new(w, str_from(s->peer_ip), on_ident, s);
    session_switch_by_ip(s);
    if (session_name_counts(s)) {
        if (!tcp_ident_want(s->ident, s->runtime, s->channel, true)) {
            return; /* on_ident() goes on */
        }
        session_switch_by_name(s);
    }
    session_begin(s);
}
