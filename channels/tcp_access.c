/* tcp_access: is a session let in? PORT_ACCESS is asked for each connection before
 * anything is sent, TLS_ACCESS and TLS_PEER_ACCESS after each handshake, where they can
 * switch the channel, too; see tcp_session.h. */
#include <stdio.h>

#include "base/buf.h"
#include "channels/tcp_session.h"
#include "channels/tls.h"
#include "router/admission.h"
#include "tables/tls_access.h"

enum { REPLY_LINES_MAX = 20, REPLY_LINE_MAX = 400, REPLY_MAX = 16 * 1024 };

/* One line of the refusal; what does not belong into a reply becomes '?'. */
static void put_line(struct buf *out, const struct access_verdict *v, str text, bool more)
{
    buf_printf(out, "%u%c%u.%u.%u ", v->code, more ? '-' : ' ', v->status[0],
               v->status[1], v->status[2]);
    for (size_t i = 0; i < text.len && i < REPLY_LINE_MAX; i++) {
        char c = text.ptr[i];
        buf_putc(out, c >= ' ' && c <= '~' ? c : '?');
    }
    buf_puts(out, "\r\n");
}

static void put_reply(struct buf *out, const struct access_verdict *v)
{
    str rest = v->text, line;
    buf_init(out, REPLY_MAX);
    for (unsigned n = 1; str_split(&rest, '\n', &line); n++) {
        bool more = rest.ptr != NULL && n < REPLY_LINES_MAX;
        put_line(out, v, str_trim(line), more);
        if (!more) {
            break;
        }
    }
}

/* Before TLS from the first byte has begun the client could not read it: it is only told
 * to the log. */
static void refuse(struct tcp_session *s, const struct access_verdict *v, bool readable)
{
    struct buf reply;
    put_reply(&reply, v);
    session_log_not_let_in(s, str_trim(buf_slice(&reply)));
    if (readable) {
        stream_write(s->stream, reply.data, reply.len);
    }
    buf_free(&reply);
}

static struct access_peer peer_of(const struct tcp_session *s)
{
    return (struct access_peer){.server_ip = stream_local_ip(s->stream),
                                .server_port = stream_local_port(s->stream),
                                .client_ip = str_from(s->peer_ip),
                                .client_port = stream_peer_port(s->stream)};
}

static void log_verdict(const struct tcp_session *s, const struct access_verdict *v)
{
    struct admission_place place = {.log = s->worker->daemon->log,
                                    .snapshot = s->runtime->snapshot,
                                    .session = str_from(s->name),
                                    .channel = s->channel->name,
                                    .peer = str_from(s->peer_ip)};
    admission_log(&place, v);
}

bool session_let_in(struct tcp_session *s, const struct service *service)
{
    struct access_verdict v;
    struct arena *a = arena_new();
    struct access_peer peer = peer_of(s);
    struct access_question q = {
        .snapshot = s->runtime->snapshot, .table = ACCESS_PORT, .peer = &peer};
    access_ask(&q, a, &v);
    session_log_connect(s, service, v.connection_note);
    log_verdict(s, &v);
    bool in = v.answer != ACCESS_REJECT && v.answer != ACCESS_FAULT;
    if (!in) {
        counter_add(&s->worker->counters.sessions_refused, 1);
        refuse(s, &v, !s->implicit_tls);
    }
    arena_free(&a);
    return in;
}

/* --- after a handshake --- */

static void ask_tls(const struct tcp_session *s, const struct snapshot *snap,
                    const struct channel *from, struct arena *a,
                    struct tls_access_answer *out)
{
    const struct tls_facts *f = stream_tls(s->stream);
    struct access_peer peer = peer_of(s);
    struct access_tls tls = {.group = str_from(f->group),
                             .sni = str_from(f->sni),
                             .verified = f->verified == TLS_VERIFY_CA,
                             .subject = str_from(f->subject),
                             .issuer = str_from(f->issuer),
                             .spki = str_from(f->spki),
                             .names_cut = f->names_cut};
    peer.tls = true;
    peer.tls_version = str_from(f->version);
    peer.tls_cipher = str_from(f->cipher);
    struct access_question q = {
        .snapshot = snap, .peer = &peer, .source = from, .tls = &tls};
    tls_access_ask(&q, a, out);
}

const struct channel *session_tls_channel(const struct tcp_session *s,
                                          const struct snapshot *snap,
                                          const struct channel *from)
{
    struct tls_access_answer answer;
    struct arena *a = arena_new();
    ask_tls(s, snap, from, a, &answer);
    arena_free(&a); /* the channel is the snapshot's */
    return answer.to;
}

/* Trust stays: it belongs to the address the session came from. */
bool session_let_in_tls(struct tcp_session *s)
{
    struct tls_access_answer answer;
    struct arena *a = arena_new();
    const struct channel *from = s->channel;
    ask_tls(s, s->runtime->snapshot, from, a, &answer);
    log_verdict(s, &answer.access);
    log_verdict(s, &answer.peer_access);
    if (answer.refusal != NULL) {
        counter_add(&s->worker->counters.tls_in_refused, 1);
        refuse(s, answer.refusal, true);
    } else if (answer.to != from) {
        s->channel = answer.to;
        session_log_switch(s, from, tls_switch_name(answer.by), answer.at);
    }
    arena_free(&a);
    return answer.refusal == NULL;
}
