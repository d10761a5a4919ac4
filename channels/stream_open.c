/* stream_open: streams on accepted sockets and to other hosts, and their addresses. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "channels/stream_private.h"

/* Prints an address without the IPv6 dress of IPv4 ("::ffff:192.0.2.1"): rules about
 * clients are written in IPv4. */
static bool address_print(const struct sockaddr_storage *from, char *ip, unsigned *port)
{
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
        *port = ntohs(v4->sin_port);
        return inet_ntop(AF_INET, &v4->sin_addr, ip, INET6_ADDRSTRLEN) != NULL;
    }
    if (from->ss_family != AF_INET6) {
        return false;
    }
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;
    *port = ntohs(v6->sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        return inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], ip, INET6_ADDRSTRLEN) !=
               NULL;
    }
    return inet_ntop(AF_INET6, &v6->sin6_addr, ip, INET6_ADDRSTRLEN) != NULL;
}

static bool stream_note_addresses(struct stream *s)
{
    if (s->is_pipe) {
        return true; /* there are none */
    }
    struct sockaddr_storage at = {0};
    int len = sizeof at;
    if (uv_tcp_getpeername(&s->uv.tcp, (struct sockaddr *)&at, &len) != 0 ||
        !address_print(&at, s->peer_ip, &s->peer_port)) {
        return false;
    }
    len = sizeof at;
    return uv_tcp_getsockname(&s->uv.tcp, (struct sockaddr *)&at, &len) == 0 &&
           address_print(&at, s->local_ip, &s->local_port);
}

static struct stream *stream_new(struct worker *w, bool is_pipe,
                                 const struct stream_events *ev, void *arg)
{
    struct stream *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->worker = w;
    s->ev = *ev;
    s->arg = arg;
    buf_init(&s->out, STREAM_PENDING_MAX);
    buf_init(&s->wire, STREAM_PENDING_MAX);
    buf_init(&s->sending, STREAM_PENDING_MAX);
    buf_init(&s->plain, STREAM_PENDING_MAX);
    /* Without a family no socket is made yet: none of these can fail. */
    s->is_pipe = is_pipe;
    check((is_pipe ? uv_pipe_init(&w->loop, &s->uv.pipe, 0)
                   : uv_tcp_init(&w->loop, &s->uv.tcp)) == 0);
    check(uv_timer_init(&w->loop, &s->timer) == 0);
    check(uv_idle_init(&w->loop, &s->turn) == 0);
    s->uv.stream.data = s->timer.data = s->turn.data = s;
    s->handles_open = 3;
    return s;
}

/* Nobody has seen it yet: goes without a word. */
static void stream_discard(struct stream *s)
{
    s->silent = true;
    s->closing = true;
    stream_finish(s);
}

struct stream *stream_accept(struct worker *w, int fd, const struct stream_events *ev,
                             void *arg)
{
    struct stream *s = stream_new(w, false, ev, arg);
    if (s == NULL) {
        close(fd);
        return NULL;
    }
    s->paused = true;
    if (uv_tcp_open(&s->uv.tcp, fd) != 0) {
        close(fd);
        stream_discard(s);
        return NULL;
    }
    if (!stream_note_addresses(s)) {
        stream_discard(s); /* gone before we looked */
        return NULL;
    }
    uv_tcp_nodelay(&s->uv.tcp, 1);
    return s;
}

static void on_connect(uv_connect_t *req, int status)
{
    struct stream *s = req->data;
    s->connecting = false;
    if (s->closing || s->ended) {
        return;
    }
    uv_timer_stop(&s->timer);
    if (status == 0 && stream_note_addresses(s)) {
        if (!s->is_pipe) {
            uv_tcp_nodelay(&s->uv.tcp, 1);
        }
        s->ev.on_connected(s, s->arg);
        stream_schedule(s); /* what was written meanwhile; begin to read */
        return;
    }
    s->broken = true;
    s->read_over = true;
    s->end_reason = status != 0 ? stream_reason(status) : "reset";
    s->end_at_once = true;
    stream_deliver(s);
}

/* Binds the source address if one is wanted, then begins to connect. */
static int stream_connect_begin(struct stream *s, const struct sockaddr *to, str bind_ip)
{
    s->connect_req.data = s;
    if (s->is_pipe) { /* fails, if it does, in the callback */
        uv_pipe_connect(&s->connect_req, &s->uv.pipe,
                        ((const struct sockaddr_un *)to)->sun_path, on_connect);
        return 0;
    }
    if (!str_empty(bind_ip)) {
        char ip[INET6_ADDRSTRLEN + 16];
        struct sockaddr_storage from = {0};
        if (bind_ip.len >= sizeof ip) {
            return UV_EINVAL;
        }
        snprintf(ip, sizeof ip, "%.*s", STR_ARG(bind_ip));
        int err = to->sa_family == AF_INET6
                      ? uv_ip6_addr(ip, 0, (struct sockaddr_in6 *)&from)
                      : uv_ip4_addr(ip, 0, (struct sockaddr_in *)&from);
        if (err != 0) {
            return UV_EAFNOSUPPORT; /* no address of the other's family */
        }
        err = uv_tcp_bind(&s->uv.tcp, (const struct sockaddr *)&from, 0);
        if (err != 0) {
            return err;
        }
    }
    return uv_tcp_connect(&s->connect_req, &s->uv.tcp, to, on_connect);
}

struct stream *stream_connect(struct worker *w, const struct sockaddr *to, str bind_ip,
                              unsigned timeout_ms, const struct stream_events *ev,
                              void *arg, int *error)
{
    struct stream *s = stream_new(w, to->sa_family == AF_UNIX, ev, arg);
    if (s == NULL) {
        *error = UV_ENOMEM;
        return NULL;
    }
    *error = stream_connect_begin(s, to, bind_ip);
    if (*error != 0) {
        stream_discard(s);
        return NULL;
    }
    s->connecting = true;
    if (timeout_ms > 0) {
        uv_timer_start(&s->timer, stream_on_timer, timeout_ms, 0);
    }
    return s;
}

str stream_peer_ip(const struct stream *s)
{
    return str_from(s->peer_ip);
}

unsigned stream_peer_port(const struct stream *s)
{
    return s->peer_port;
}

str stream_local_ip(const struct stream *s)
{
    return str_from(s->local_ip);
}

unsigned stream_local_port(const struct stream *s)
{
    return s->local_port;
}
