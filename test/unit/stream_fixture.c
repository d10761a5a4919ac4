/* stream_fixture: see the header. */
#include "test/unit/stream_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void end_send_more(struct end *e)
{
    static const char block[8192];
    e->inside = true;
    while (e->to_send > 0 && stream_pending(e->stream) < HIGH_WATER) {
        size_t n = e->to_send < sizeof block ? e->to_send : sizeof block;
        stream_write(e->stream, block, n);
        e->to_send -= n;
    }
    e->inside = false;
    size_t pending = stream_pending(e->stream);
    e->pending_peak = pending > e->pending_peak ? pending : e->pending_peak;
}

static void on_data(struct stream *s, const char *data, size_t len, void *arg)
{
    struct end *e = arg;
    assert_false(e->inside);
    assert_ptr_equal(s, e->stream);
    assert_false(e->ended);
    assert_true(len > 0);
    if (e->count_only) {
        e->counted += len;
    } else {
        assert_true(buf_append(&e->got, data, len));
    }
    if (e->echo) {
        e->inside = true;
        stream_write(s, data, len);
        e->inside = false;
        if (stream_pending(s) > HIGH_WATER) {
            stream_pause(s);
        }
        size_t pending = stream_pending(s);
        e->pending_peak = pending > e->pending_peak ? pending : e->pending_peak;
    }
    if (e->pause_each) {
        stream_pause(s);
    }
}

static void on_end(struct stream *s, const char *reason, void *arg)
{
    struct end *e = arg;
    assert_false(e->inside);
    assert_false(e->ended);
    assert_false(e->tls_failed);
    e->ended = true;
    snprintf(e->reason, sizeof e->reason, "%s", reason);
    if (e->close_on_end) {
        stream_close(s, 1000);
    }
}

static void on_drained(struct stream *s, void *arg)
{
    struct end *e = arg;
    assert_false(e->inside);
    assert_int_equal(stream_pending(s), 0);
    e->drained++;
    if (e->to_send > 0) {
        end_send_more(e);
    }
    if (e->echo) {
        stream_resume(s);
    }
}

static void on_connected(struct stream *s, void *arg)
{
    struct end *e = arg;
    assert_false(e->inside);
    assert_ptr_equal(s, e->stream);
    e->connected = true;
}

static void on_tls(struct stream *s, bool ok, const char *error, void *arg)
{
    struct end *e = arg;
    assert_false(e->inside);
    assert_false(e->tls_ok || e->tls_failed);
    e->tls_ok = ok;
    e->tls_failed = !ok;
    assert_int_equal(ok, stream_tls(s) != NULL);
    assert_int_equal(ok, error == NULL);
    snprintf(e->tls_error, sizeof e->tls_error, "%s", ok ? "" : error);
}

static void on_closed(struct stream *s, void *arg)
{
    struct end *e = arg;
    assert_false(e->inside);
    assert_ptr_equal(s, e->stream);
    e->closed = true;
    e->stream = NULL;
}

const struct stream_events end_events = {
    on_data, on_end, on_drained, on_connected, on_tls, on_closed,
};

static void on_tick(uv_timer_t *t)
{
    (void)t; /* only wakes the loop, so that waiting can time out */
}

int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    *state = w;
    if (w == NULL || worker_init(&w->worker, NULL, 0) != 0 ||
        !tls_fixture_init(&w->tls)) {
        return -1;
    }
    w->raw = -1;
    uv_timer_init(&w->worker.loop, &w->tick);
    uv_timer_start(&w->tick, on_tick, 5, 5);
    w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof w->at;
    w->at.sin_family = AF_INET;
    w->at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return bind(w->listener, (struct sockaddr *)&w->at, len) == 0 &&
                   listen(w->listener, 8) == 0 &&
                   getsockname(w->listener, (struct sockaddr *)&w->at, &len) == 0
               ? 0
               : -1;
}

int world_teardown(void **state)
{
    struct world *w = *state;
    uv_close((uv_handle_t *)&w->tick, NULL);
    uv_run(&w->worker.loop, UV_RUN_NOWAIT);
    if (w->raw >= 0) {
        close(w->raw);
    }
    close(w->listener);
    bool clean = worker_free(&w->worker); /* false: a stream was left open */
    tls_fixture_free(&w->tls);
    free(w);
    return clean ? 0 : -1;
}

void turn_for(struct world *w, unsigned ms)
{
    uint64_t until_ms = uv_hrtime() / 1000000 + ms;
    while (uv_hrtime() / 1000000 < until_ms) {
        uv_run(&w->worker.loop, UV_RUN_ONCE);
    }
}

void end_init(struct end *e, struct world *w)
{
    *e = (struct end){.world = w};
    buf_init(&e->got, 64 * 1024 * 1024);
}

void end_connect(struct end *e)
{
    int error = 0;
    e->inside = true;
    e->stream = stream_connect(&e->world->worker, (struct sockaddr *)&e->world->at,
                               STR(""), 10000, &end_events, e, &error);
    e->inside = false;
    assert_non_null(e->stream);
    assert_int_equal(error, 0);
}

void end_accept(struct end *e)
{
    int fd = accept(e->world->listener, NULL, NULL);
    assert_true(fd >= 0);
    e->inside = true;
    e->stream = stream_accept(&e->world->worker, fd, &end_events, e);
    e->inside = false;
    assert_non_null(e->stream);
}

void ends_join(struct world *w, struct end *client, struct end *server)
{
    end_init(client, w);
    end_init(server, w);
    end_connect(client);
    wait_for(w, client->connected);
    end_accept(server);
    stream_resume(client->stream);
    stream_resume(server->stream);
}

void end_start_tls(struct end *e, bool server)
{
    struct tls_fixture *f = &e->world->tls;
    e->inside = true;
    struct tls_wish wish = {.host = STR("mail.here.test")};
    stream_start_tls(e->stream, server ? f->server : f->client, server ? NULL : &wish);
    e->inside = false;
}

void ends_start_tls(struct world *w, struct end *client, struct end *server)
{
    end_start_tls(server, true);
    end_start_tls(client, false);
    wait_for(w, client->tls_ok && server->tls_ok);
}

void end_write(struct end *e, const char *text)
{
    e->inside = true;
    stream_write(e->stream, text, strlen(text));
    e->inside = false;
}

void end_close(struct end *e, unsigned linger_ms)
{
    e->inside = true;
    if (e->stream != NULL) {
        stream_close(e->stream, linger_ms);
        stream_close(e->stream, linger_ms); /* idempotent */
    }
    e->inside = false;
}

void ends_part(struct world *w, struct end *a, struct end *b)
{
    end_close(a, 0);
    end_close(b, 0);
    wait_for(w, a->stream == NULL && b->stream == NULL);
    buf_free(&a->got);
    buf_free(&b->got);
}

bool end_has(const struct end *e, const char *text)
{
    return e->got.len >= strlen(text) &&
           memmem(e->got.data, e->got.len, text, strlen(text)) != NULL;
}

void raw_join(struct world *w, struct end *e)
{
    w->raw = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(w->raw >= 0);
    assert_int_equal(connect(w->raw, (struct sockaddr *)&w->at, sizeof w->at), 0);
    end_init(e, w);
    end_accept(e);
    stream_resume(e->stream);
}

void raw_send(struct world *w, const char *text)
{
    assert_int_equal(send(w->raw, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void raw_close(struct world *w)
{
    close(w->raw);
    w->raw = -1;
}

ssize_t raw_read_all(struct world *w, char *out, size_t size)
{
    size_t at = 0;
    for (;;) {
        ssize_t n = recv(w->raw, out + at, size - at - 1, MSG_DONTWAIT);
        if (n > 0) {
            at += (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            uv_run(&w->worker.loop, UV_RUN_ONCE);
        } else {
            out[at] = '\0';
            return n == 0 ? (ssize_t)at : -1;
        }
    }
}

void ends_bulk(struct world *w, bool tls)
{
    struct end client, server;
    ends_join(w, &client, &server);
    if (tls) {
        ends_start_tls(w, &client, &server);
    }
    server.echo = server.count_only = client.count_only = true;
    client.to_send = BULK_BYTES;
    end_send_more(&client);
    wait_for(w, client.counted == BULK_BYTES);
    assert_int_equal(server.counted, BULK_BYTES);
    assert_int_equal(stream_pending(client.stream), 0);
    /* bounded: the mark, plus what one read or write brings */
    assert_true(client.pending_peak < 2 * HIGH_WATER);
    assert_true(server.pending_peak < 2 * HIGH_WATER);
    ends_part(w, &client, &server);
}
