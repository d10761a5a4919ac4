/* stream: the bytes of a connection. Those out go `out` (plain, waiting for TLS) ->
 * `wire` (as sent) -> the kernel; what one turn of the loop writes leaves in one piece.
 * Bytes in are handed on as they come, or kept in `plain` while the owner pauses under
 * TLS. Two timers never run at once: the owner's deadline, then the time to linger. How a
 * stream comes to be is in stream_open.c. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "channels/stream_private.h"
#include "channels/tls.h"

enum {
    STREAM_READ_BYTES = 64 * 1024,
    STREAM_FLUSH_BYTES = 64 * 1024,  /* more than this is not kept for the turn */
    STREAM_ANSWERS_MAX = 512 * 1024, /* above what a decent owner lets pend */
    STREAM_KEEP_BYTES = 1024,        /* buffer that an idle stream may keep */
    STREAM_DRAIN_MS = 1000           /* wait for the peer's end after ours */
};

static void stream_flush(struct stream *s);
static void stream_close_step(struct stream *s);

/* --- small things --- */

const char *stream_reason(int code)
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

void stream_deliver(struct stream *s)
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
            s->end_reason = stream_reason(err);
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
                                 : stream_reason(code));
    } else if (s->end_reason == NULL) {
        s->end_reason = stream_reason(code);
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
        stream_tls_failed(s, stream_reason(code));
    } else if (!s->reading && s->end_reason == NULL) {
        s->end_reason = stream_reason(code);
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

void stream_schedule(struct stream *s)
{
    if (!s->finished) {
        uv_idle_start(&s->turn, on_turn);
    }
}

void stream_on_timer(uv_timer_t *t)
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
        uv_timer_start(&s->timer, stream_on_timer, ms, 0);
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

void stream_finish(struct stream *s)
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
    uv_timer_start(&s->timer, stream_on_timer,
                   left < STREAM_DRAIN_MS ? left : STREAM_DRAIN_MS, 0);
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
    uv_timer_start(&s->timer, stream_on_timer, linger_ms, 0);
    stream_schedule(s);
}
