/* tcp_access: PORT_ACCESS, which is asked for each connection before anything is sent;
 * see tcp_session.h. */
#include <stdio.h>

#include "base/buf.h"
#include "channels/tcp_session.h"
#include "router/admission.h"

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

/* Over TLS the client could not read it: it is only told to the log. */
static void refuse(struct tcp_session *s, const struct access_verdict *v)
{
    struct buf reply;
    put_reply(&reply, v);
    session_log_not_let_in(s, str_trim(buf_slice(&reply)));
    if (!s->implicit_tls) {
        stream_write(s->stream, reply.data, reply.len);
    }
    buf_free(&reply);
}

bool session_let_in(struct tcp_session *s, const struct service *service)
{
    struct access_verdict v;
    struct arena *a = arena_new();
    struct access_peer peer = {.server_ip = stream_local_ip(s->stream),
                               .server_port = stream_local_port(s->stream),
                               .client_ip = str_from(s->peer_ip),
                               .client_port = stream_peer_port(s->stream)};
    struct access_question q = {
        .snapshot = s->runtime->snapshot, .table = ACCESS_PORT, .peer = &peer};
    access_ask(&q, a, &v);
    session_log_connect(s, service, v.connection_note);
    struct admission_place place = {.log = s->worker->daemon->log,
                                    .snapshot = s->runtime->snapshot,
                                    .session = str_from(s->name),
                                    .channel = s->channel->name,
                                    .peer = str_from(s->peer_ip)};
    admission_log(&place, &v);
    bool in = v.answer != ACCESS_REJECT && v.answer != ACCESS_FAULT;
    if (!in) {
        counter_add(&s->worker->counters.sessions_refused, 1);
        refuse(s, &v);
    }
    arena_free(&a);
    return in;
}
