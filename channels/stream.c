/* stream: TCP, or a Unix socket, on one worker. Bytes out go `out` (plain, waiting for TLS) -> `wire`
 * (as sent) -> the kernel; what one turn of the loop writes leaves in one piece. Bytes
 * in are handed on as they come, or kept in `plain` while the owner pauses under TLS.
 * Two timers never run at once: the owner's deadline, then the time to linger. */
#include "channels/stream.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/check.h"
#include "channels/tls.h"

enum {
    STREAM_READ_BYTES = 64 * 1024,
    STREAM_FLUSH_BYTES = 64 * 1024,        /* more than this is not kept for the turn */
    STREAM_PENDING_MAX = 64 * 1024 * 1024, /* an owner that ignores stream_pending() */
    STREAM_ANSWERS_MAX = 512 * 1024,       /* above what a decent owner lets pend */
    STREAM_KEEP_BYTES = 1024,              /* buffer that an idle stream may keep */
    STREAM_DRAIN_MS = 1000                 /* wait for the peer's end after ours */
};

enum stream_tls_state { STREAM_CLEAR, STREAM_HANDSHAKE, STREAM_TLS, STREAM_TLS_FAILED };

struct stream {
    struct worker *worker;
    struct stream_events ev;
    void *arg;

    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe; /* a Unix socket */
    } uv;
    bool is_pipe;
    uv_timer_t timer;
    uv_idle_t turn; /* on while something is to be done in the next turn of the loop */
    unsigned handles_open;
    uv_connect_t connect_req;
    uv_write_t write_req;
    uv_shutdown_t shutdown_req;

    struct buf out;     /* plain bytes to be encrypted once TLS is established */
    struct buf wire;    /* bytes to be sent as they are */
    struct buf sending; /* lent to write_req */
    struct buf plain;   /* decrypted, not yet given to the owner */

    enum stream_tls_state tls;
    bool tls_was_established;
    struct tls_filter *filter;

    bool connecting, reading, paused;
    bool writing;     /* write_req is in use */
    bool broken;      /* nothing can be sent any more */
    bool read_over;   /* the peer's side has ended */
    bool drain_due;   /* on_drained is owed when nothing is pending */
    bool tls_due;     /* on_tls(false) is owed */
    bool ended;       /* on_end was called */
    bool end_at_once; /* tell the end even to an owner that paused */
    bool closing, shut_sent, finished, silent;
    const char *end_reason; /* owed or told; NULL: none */
    char reason_text[288];

    char peer_ip[INET6_ADDRSTRLEN], local_ip[INET6_ADDRSTRLEN];
    unsigned peer_port, local_port;
};

static void stream_flush(struct stream *s);
static void stream_finish(struct stream *s);
static void stream_close_step(struct stream *s);

/* --- small things --- */

static const char *reason_of(int code)
{
    switch (code) {
    case UV_EOF:
        return "eof";
    case UV_ECONNRESET:
    case UV_EPIPE:
        return "reset";
    case UV_ETIMEDOUT:
        return "timeout";
    default:
        return uv_strerror(code);
    }
}

/* Something is to be done that must not happen inside the present call. */
static void stream_schedule(struct stream *s);

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

/* Empties a buffer; keeps only what an idle session may hold. */
static void buf_drop(struct buf *b)
{
    if (b->cap > STREAM_KEEP_BYTES) {
        buf_free(b);
    } else {
        buf_clear(b);
    }
}

size_t stream_pending(const struct stream *s)
{
    return s->out.len + s->wire.len + s->sending.len;
}

/* --- what the owner is told --- */

static void stream_tell_tls_failure(struct stream *s)
{
    s->tls_due = false;
    s->ended = true; /* the owner has heard of the end with this */
    uv_timer_stop(&s->timer);
    if (s->ev.on_tls != NULL) {
        s->ev.on_tls(s, false, s->end_reason, s->arg);
    }
}

static void stream_tell_data(struct stream *s)
{
    struct buf taken = s->plain;
    buf_init(&s->plain, STREAM_PENDING_MAX);
    s->ev.on_data(s, taken.data, taken.len, s->arg);
    buf_free(&taken);
}

static void stream_tell_end(struct stream *s)
{
    s->ended = true;
    uv_timer_stop(&s->timer);
    s->ev.on_end(s, s->end_reason, s->arg);
}

static void stream_tell_drained(struct stream *s)
{
    if (s->drain_due && !s->closing && !s->broken && stream_pending(s) == 0) {
        s->drain_due = false;
        if (s->ev.on_drained != NULL) {
            s->ev.on_drained(s, s->arg);
        }
    }
}

/* Tells what is owed, in order. Only from the loop. */
static void stream_deliver(struct stream *s)
{
    if (s->tls_due && !s->closing) {
        stream_tell_tls_failure(s);
    }
    while (s->plain.len > 0 && !s->paused && !s->closing && !s->ended) {
        stream_tell_data(s);
    }
    bool may_end = s->end_at_once || (!s->paused && s->plain.len == 0);
    if (s->end_reason != NULL && !s->ended && !s->closing && may_end) {
        stream_tell_end(s);
    }
}

/* --- reading --- */

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *out)
{
    (void)h;
    (void)suggested;
    /* Freed when the bytes have been handed on: idle streams hold nothing. */
    char *at = malloc(STREAM_READ_BYTES);
    *out = uv_buf_init(at, at != NULL ? STREAM_READ_BYTES : 0);
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b);

/* Decides whether bytes are wanted now, and sees to it. */
static void stream_update_reading(struct stream *s)
{
    bool want = !s->connecting && !s->read_over && !s->finished;
    if (s->closing) {
        want = want && s->shut_sent;
    } else if (s->tls != STREAM_HANDSHAKE) {
        want = want && !s->paused && s->end_reason == NULL && s->plain.len == 0;
    }
    /* TLS answers by itself (KeyUpdate, refused renegotiation): a peer that does not read
     * the answers does not get more of them. */
    want = want && (s->tls == STREAM_CLEAR || stream_pending(s) < STREAM_ANSWERS_MAX);
    if (want && !s->reading) {
        int err = uv_read_start(&s->uv.stream, on_alloc, on_read);
        s->reading = err == 0;
        if (err != 0 && !s->closing && s->end_reason == NULL) {
            s->end_reason = reason_of(err);
            s->end_at_once = true;
            stream_schedule(s);
        }
    } else if (!want && s->reading) {
        uv_read_stop(&s->uv.stream);
        s->reading = false;
    }
}

/* The handshake or session is beyond repair; the alert, if any, is in `wire`. */
static void stream_tls_failed(struct stream *s, const char *reason)
{
    if (s->tls == STREAM_HANDSHAKE) {
        s->tls_due = true;
        snprintf(s->reason_text, sizeof s->reason_text, "%s", reason);
    } else {
        snprintf(s->reason_text, sizeof s->reason_text, "tls: %s", reason);
        s->end_at_once = true;
    }
    s->tls = STREAM_TLS_FAILED;
    s->end_reason = s->reason_text;
    buf_free(&s->out); /* never in clear */
}

static void stream_tls_established(struct stream *s)
{
    s->tls = STREAM_TLS;
    s->tls_was_established = true;
    if (s->ev.on_tls != NULL) {
        s->ev.on_tls(s, true, NULL, s->arg);
    }
}

static void stream_receive_tls(struct stream *s, const char *data, size_t len)
{
    enum tls_step step = tls_filter_in(s->filter, data, len, &s->wire, &s->plain);
    if (step == TLS_STEP_DONE) {
        stream_tls_established(s);
        if (s->closing) {
            return;
        }
        step = tls_filter_in(s->filter, NULL, 0, &s->wire, &s->plain);
    }
    if (step == TLS_STEP_FAILED) {
        stream_tls_failed(s, tls_filter_error(s->filter));
    } else if (step == TLS_STEP_CLOSED) {
        s->read_over = true;
        s->end_reason = "eof";
    }
    if (s->wire.len > 0 || s->out.len > 0) {
        stream_schedule(s);
    }
    stream_deliver(s);
}

static void stream_receive(struct stream *s, const char *data, size_t len)
{
    if (s->closing) {
        return; /* lingering: what still comes is thrown away */
    }
    if (s->tls == STREAM_CLEAR) {
        s->ev.on_data(s, data, len, s->arg);
    } else if (s->tls != STREAM_TLS_FAILED) {
        stream_receive_tls(s, data, len);
    }
}

static void stream_read_ended(struct stream *s, int code)
{
    s->read_over = true;
    s->broken = s->broken || code != UV_EOF;
    if (s->closing) {
        stream_close_step(s);
    } else if (s->tls == STREAM_HANDSHAKE) {
        stream_tls_failed(s, code == UV_EOF
                                 ? "the peer closed the connection during the handshake"
                                 : reason_of(code));
    } else if (s->end_reason == NULL) {
        s->end_reason = reason_of(code);
        s->end_at_once = code != UV_EOF;
    }
    stream_deliver(s);
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
    struct stream *s = h->data;
    if (n > 0) {
        stream_receive(s, b->base, (size_t)n);
    } else if (n < 0) {
        stream_read_ended(s, (int)n);
    }
    stream_update_reading(s);
    free(b->base);
}

/* --- writing --- */

/* Sending failed. What the peer said last may still be on its way in ("421 ..."), so
 * while reading goes on it is the reading that finds the end. */
static void stream_broken(struct stream *s, int code)
{
    s->broken = true;
    buf_free(&s->out);
    buf_free(&s->wire);
    if (s->tls == STREAM_HANDSHAKE && !s->reading) {
        stream_tls_failed(s, reason_of(code));
    } else if (!s->reading && s->end_reason == NULL) {
        s->end_reason = reason_of(code);
        s->end_at_once = true;
    }
    stream_schedule(s);
}

static void on_written(uv_write_t *req, int status)
{
    struct stream *s = req->data;
    s->writing = false;
    buf_free(&s->sending);
    if (s->finished) {
        return;
    }
    if (status < 0) {
        stream_broken(s, status);
        return;
    }
    stream_flush(s);
    if (s->closing) {
        stream_close_step(s);
    } else {
        stream_tell_drained(s);
        stream_update_reading(s);
    }
}

/* Leaves what the kernel did not take at once to libuv. */
static void stream_write_rest(struct stream *s, size_t taken)
{
    s->sending = s->wire;
    buf_init(&s->wire, STREAM_PENDING_MAX);
    uv_buf_t rest =
        uv_buf_init(s->sending.data + taken, (unsigned)(s->sending.len - taken));
    s->write_req.data = s;
    int err = uv_write(&s->write_req, &s->uv.stream, &rest, 1, on_written);
    if (err != 0) {
        buf_free(&s->sending);
        stream_broken(s, err);
        return;
    }
    s->writing = true;
}

static void stream_encrypt(struct stream *s)
{
    if (s->tls != STREAM_TLS || s->out.len == 0) {
        return;
    }
    enum tls_step step = tls_filter_out(s->filter, s->out.data, s->out.len, &s->wire);
    buf_drop(&s->out);
    if (step == TLS_STEP_FAILED) {
        stream_tls_failed(s, tls_filter_error(s->filter));
        stream_schedule(s);
    }
}

/* Gives the kernel as much as it takes. */
static void stream_flush(struct stream *s)
{
    if (s->writing || s->broken || s->connecting || s->finished) {
        return;
    }
    stream_encrypt(s);
    if (s->wire.len == 0) {
        return;
    }
    uv_buf_t all = uv_buf_init(s->wire.data, (unsigned)s->wire.len);
    int n = uv_try_write(&s->uv.stream, &all, 1);
    if (n < 0 && n != UV_EAGAIN && n != UV_ENOBUFS) {
        stream_broken(s, n);
    } else if (n >= 0 && (size_t)n == s->wire.len) {
        buf_drop(&s->wire);
    } else {
        stream_write_rest(s, n < 0 ? 0 : (size_t)n);
    }
}

void stream_write(struct stream *s, const char *data, size_t len)
{
    if (s->broken || s->closing || s->tls == STREAM_TLS_FAILED || len == 0) {
        return;
    }
    struct buf *to = s->tls == STREAM_CLEAR ? &s->wire : &s->out;
    if (!buf_append(to, data, len)) {
        s->end_reason = "the peer does not read what is sent";
        s->end_at_once = true;
        stream_broken(s, UV_ENOBUFS);
        return;
    }
    s->drain_due = true;
    if (to->len >= STREAM_FLUSH_BYTES) {
        stream_flush(s);
    }
    stream_schedule(s);
}

/* --- the turn of the loop --- */

static void on_turn(uv_idle_t *h)
{
    struct stream *s = h->data;
    uv_idle_stop(h);
    stream_flush(s);
    if (s->closing) {
        stream_close_step(s);
        return;
    }
    stream_deliver(s);
    stream_tell_drained(s);
    stream_update_reading(s);
}

static void stream_schedule(struct stream *s)
{
    if (!s->finished) {
        uv_idle_start(&s->turn, on_turn);
    }
}

static void on_timer(uv_timer_t *t)
{
    struct stream *s = t->data;
    if (s->closing) {
        stream_finish(s);
        return;
    }
    if (s->tls == STREAM_HANDSHAKE) {
        stream_tls_failed(s, "timeout");
    } else if (s->end_reason == NULL || !s->ended) {
        s->end_reason = "timeout";
        s->end_at_once = true;
    }
    stream_deliver(s);
    stream_update_reading(s);
}

void stream_deadline(struct stream *s, unsigned ms)
{
    if (s->closing) {
        return;
    }
    if (ms == 0) {
        uv_timer_stop(&s->timer);
    } else {
        uv_timer_start(&s->timer, on_timer, ms, 0);
    }
}

void stream_pause(struct stream *s)
{
    s->paused = true;
    stream_update_reading(s);
}

void stream_resume(struct stream *s)
{
    s->paused = false;
    if (s->plain.len > 0 || s->end_reason != NULL) {
        stream_schedule(s);
    }
    stream_update_reading(s);
}

/* --- TLS --- */

void stream_start_tls(struct stream *s, struct tls_context *ctx,
                      const struct tls_wish *wish)
{
    check(s->tls == STREAM_CLEAR && !s->connecting);
    if (s->closing) {
        return;
    }
    buf_free(&s->plain);
    s->tls = STREAM_HANDSHAKE;
    s->filter = tls_filter_new(ctx, wish);
    if (s->end_reason != NULL || s->broken) {
        stream_tls_failed(s, s->end_reason != NULL ? s->end_reason : "reset");
    } else if (!tls_context_is_server(ctx) &&
               tls_filter_in(s->filter, NULL, 0, &s->wire, &s->plain) ==
                   TLS_STEP_FAILED) {
        stream_tls_failed(s, tls_filter_error(s->filter));
    }
    stream_schedule(s);
}

const struct tls_facts *stream_tls(const struct stream *s)
{
    return s->tls_was_established ? tls_filter_facts(s->filter) : NULL;
}

const struct tls_facts *stream_tls_attempt(const struct stream *s)
{
    return s->filter != NULL ? tls_filter_facts(s->filter) : NULL;
}

/* --- closing --- */

static void stream_free(struct stream *s)
{
    if (!s->silent) {
        s->ev.on_closed(s, s->arg);
    }
    tls_filter_free(&s->filter);
    buf_free(&s->out);
    buf_free(&s->wire);
    buf_free(&s->sending);
    buf_free(&s->plain);
    free(s);
}

static void on_handle_closed(uv_handle_t *h)
{
    struct stream *s = h->data;
    if (--s->handles_open == 0) {
        stream_free(s);
    }
}

static void stream_finish(struct stream *s)
{
    if (s->finished) {
        return;
    }
    s->finished = true;
    uv_close((uv_handle_t *)&s->uv.stream, on_handle_closed);
    uv_close((uv_handle_t *)&s->timer, on_handle_closed);
    uv_close((uv_handle_t *)&s->turn, on_handle_closed);
}

static void on_shutdown(uv_shutdown_t *req, int status)
{
    struct stream *s = req->data;
    if (s->finished) {
        return;
    }
    if (status < 0 || s->read_over) {
        stream_finish(s);
        return;
    }
    /* Closing with unread bytes would reset the connection and could take our last
     * reply from the peer: read its rest until it ends too, for a moment. */
    uint64_t left = uv_timer_get_due_in(&s->timer);
    uv_timer_start(&s->timer, on_timer, left < STREAM_DRAIN_MS ? left : STREAM_DRAIN_MS,
                   0);
    stream_update_reading(s);
    if (!s->reading) {
        stream_finish(s);
    }
}

/* Goes on with closing as far as it can now. */
static void stream_close_step(struct stream *s)
{
    if (s->broken || (s->shut_sent && s->read_over)) {
        stream_finish(s);
        return;
    }
    if (s->shut_sent || s->writing || s->wire.len > 0) {
        return;
    }
    s->shut_sent = true;
    s->shutdown_req.data = s;
    if (uv_shutdown(&s->shutdown_req, &s->uv.stream, on_shutdown) != 0) {
        stream_finish(s);
    }
}

void stream_close(struct stream *s, unsigned linger_ms)
{
    if (s->closing) {
        return;
    }
    stream_encrypt(s);
    if (s->tls == STREAM_TLS && !s->broken) {
        tls_filter_shut(s->filter, &s->wire);
    }
    s->closing = true;
    buf_free(&s->plain);
    buf_free(&s->out); /* not encrypted by now: never in clear */
    stream_flush(s);
    stream_update_reading(s);
    if (s->connecting || s->broken || linger_ms == 0) {
        stream_finish(s);
        return;
    }
    uv_timer_start(&s->timer, on_timer, linger_ms, 0);
    stream_schedule(s);
}

/* --- making one --- */

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
    s->end_reason = status != 0 ? reason_of(status) : "reset";
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
        uv_timer_start(&s->timer, on_timer, timeout_ms, 0);
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
