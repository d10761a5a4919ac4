/* stream under TLS: handshakes that succeed, fail, stall and are attacked; closing from
 * inside every event. */
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "test/unit/stream_fixture.h"

static void test_tls_echo(void **state)
{
    struct world *w = *state;
    struct end client, server;
    ends_join(w, &client, &server);
    server.echo = true;
    end_write(&server, "220 ready\r\n");
    wait_for(w, end_has(&client, "220 ready\r\n"));
    ends_start_tls(w, &client, &server);
    const struct tls_facts *info = stream_tls(server.stream);
    assert_string_equal(info->version, "TLSv1.3");
    assert_string_equal(info->sni, "mail.here.test");
    assert_string_equal(info->cipher, stream_tls(client.stream)->cipher);
    end_write(&client, "EHLO again\r\n");
    wait_for(w, end_has(&client, "EHLO again\r\n"));
    end_close(&client, 1000);
    wait_for(w, server.ended);
    assert_string_equal(server.reason, "eof");
    ends_part(w, &client, &server);
}

static void test_bulk_tls(void **state)
{
    ends_bulk(*state, true);
}

/* What the owner says while the handshake runs goes out under TLS or not at all. */
static void test_written_during_handshake(void **state)
{
    struct world *w = *state;
    struct end client, server;
    ends_join(w, &client, &server);
    end_start_tls(&server, true);
    end_start_tls(&client, false);
    end_write(&client, "EHLO early\r\n");
    wait_for(w, end_has(&server, "EHLO early\r\n"));
    assert_true(server.tls_ok && client.tls_ok);
    ends_part(w, &client, &server);

    struct end e;
    raw_join(w, &e);
    end_start_tls(&e, true);
    end_write(&e, "SECRET");
    turn_for(w, 20);
    raw_send(w, "this is no ClientHello");
    wait_for(w, e.tls_failed);
    end_close(&e, 1000);
    char got[1000];
    ssize_t n = raw_read_all(w, got, sizeof got);
    assert_true(n >= 0);
    assert_null(memmem(got, (size_t)n, "SECRET", 6));
    raw_close(w);
    wait_for(w, e.closed);
}

static void test_tls_data_waits_for_resume(void **state)
{
    struct world *w = *state;
    struct end client, server;
    ends_join(w, &client, &server);
    stream_pause(server.stream);
    ends_start_tls(w, &client, &server); /* the handshake reads nevertheless */
    end_write(&client, "EHLO\r\n");
    turn_for(w, 50);
    assert_int_equal(server.got.len, 0);
    stream_resume(server.stream);
    wait_for(w, end_has(&server, "EHLO\r\n"));
    ends_part(w, &client, &server);
}

/* Data and close_notify behind the client's last handshake message, owner paused: kept,
 * then delivered in order. */
static void test_tls_data_with_handshake(void **state)
{
    struct world *w = *state;
    struct end client, server;
    ends_join(w, &client, &server);
    stream_pause(server.stream);
    end_start_tls(&server, true);
    end_start_tls(&client, false);
    end_write(&client, "EHLO\r\n");
    wait_for(w, client.tls_ok);
    end_close(&client, 5000);
    wait_for(w, server.tls_ok);
    turn_for(w, 50);
    assert_int_equal(server.got.len, 0);
    assert_false(server.ended);
    stream_resume(server.stream);
    wait_for(w, server.ended);
    assert_true(end_has(&server, "EHLO\r\n"));
    assert_string_equal(server.reason, "eof");
    ends_part(w, &client, &server);
}

/* Plain bytes behind STARTTLS: already read ones are the owner's to notice; later ones
 * can only break the handshake. In no case do they come out as data under TLS. */
static void test_injected_plaintext(void **state)
{
    struct world *w = *state;
    struct end e;
    raw_join(w, &e);
    e.pause_each = true;
    raw_send(w, "STARTTLS\r\n");
    wait_for(w, e.got.len > 0);
    e.got.len = 0;
    e.pause_each = false;
    raw_send(w, "MAIL FROM:<evil@x>\r\n");
    turn_for(w, 20);
    end_write(&e, "220 go\r\n");
    end_start_tls(&e, true);
    stream_resume(e.stream);
    wait_for(w, e.tls_failed);
    assert_non_null(strstr(e.tls_error, "wrong version number"));
    assert_int_equal(e.got.len, 0);
    end_close(&e, 100);
    wait_for(w, e.closed);
    assert_false(e.ended);
    assert_int_equal(e.got.len, 0);
    buf_free(&e.got);
}

static void test_injected_reply(void **state)
{
    struct world *w = *state;
    struct end client;
    end_init(&client, w);
    end_connect(&client);
    wait_for(w, client.connected);
    w->raw = accept(w->listener, NULL, NULL);
    end_start_tls(&client, false);
    raw_send(w, "250 injected\r\n");
    wait_for(w, client.tls_failed);
    assert_non_null(strstr(client.tls_error, "the peer does not speak TLS"));
    assert_int_equal(client.got.len, 0);
    end_close(&client, 100);
    raw_close(w);
    wait_for(w, client.closed);
}

static void test_handshake_stalls(void **state)
{
    struct world *w = *state;
    struct end e;
    raw_join(w, &e);
    end_start_tls(&e, true);
    stream_deadline(e.stream, 50);
    raw_send(w, "\x16\x03\x01");
    wait_for(w, e.tls_failed);
    assert_string_equal(e.tls_error, "timeout");
    turn_for(w, 20);
    assert_false(e.ended);
    end_close(&e, 100);
    wait_for(w, e.closed);
}

static void test_peer_leaves_in_handshake(void **state)
{
    struct world *w = *state;
    struct end e;
    raw_join(w, &e);
    end_start_tls(&e, true);
    raw_close(w);
    wait_for(w, e.tls_failed);
    assert_non_null(strstr(e.tls_error, "closed the connection during the handshake"));
    end_close(&e, 100);
    wait_for(w, e.closed);
}

static void test_start_tls_after_the_end(void **state)
{
    struct world *w = *state;
    struct end e;
    raw_join(w, &e);
    raw_close(w);
    wait_for(w, e.ended);
    e.ended = false; /* on_tls is what ends it now */
    end_start_tls(&e, true);
    wait_for(w, e.tls_failed);
    assert_string_equal(e.tls_error, "eof");
    end_close(&e, 100);
    wait_for(w, e.closed);
}

static void test_close_in_handshake(void **state)
{
    struct world *w = *state;
    struct end client, server;
    ends_join(w, &client, &server);
    end_start_tls(&server, true);
    end_start_tls(&client, false);
    end_close(&client, 200);
    wait_for(w, server.tls_failed || server.tls_ok);
    assert_false(client.tls_ok || client.tls_failed);
    end_close(&server, 0);
    wait_for(w, client.closed && server.closed);
}

static void test_close_under_tls_sends_what_is_pending(void **state)
{
    struct world *w = *state;
    struct end client, server;
    ends_join(w, &client, &server);
    ends_start_tls(w, &client, &server);
    server.count_only = true;
    static const char block[65536];
    for (int i = 0; i < 32; i++) {
        stream_write(client.stream, block, sizeof block);
    }
    end_write(&client, "the last");
    end_close(&client, 10000);
    wait_for(w, server.ended);
    assert_int_equal(server.counted, 32 * sizeof block + 8);
    assert_string_equal(server.reason, "eof");
    ends_part(w, &client, &server);
}

/* The raw peer does TLS with a filter of its own, to see what exactly is sent. */
static void test_close_notify_is_sent(void **state)
{
    struct world *w = *state;
    struct end e;
    raw_join(w, &e);
    end_start_tls(&e, true);
    struct tls_filter *f =
        tls_filter_new(w->tls.client, &(struct tls_wish){.host = STR("")});
    struct buf wire, plain;
    buf_init(&wire, 100000);
    buf_init(&plain, 100000);
    enum tls_step step = tls_filter_in(f, NULL, 0, &wire, &plain);
    while (step != TLS_STEP_CLOSED) {
        char in[20000];
        ssize_t n = recv(w->raw, in, sizeof in, MSG_DONTWAIT);
        assert_int_not_equal(n, 0); /* the end of TLS comes before the end of TCP */
        if (n > 0) {
            step = tls_filter_in(f, in, (size_t)n, &wire, &plain);
            assert_int_not_equal(step, TLS_STEP_FAILED);
        }
        if (wire.len > 0) {
            assert_int_equal(send(w->raw, wire.data, wire.len, 0), wire.len);
            buf_clear(&wire);
        }
        if (e.tls_ok && e.stream != NULL && stream_pending(e.stream) == 0) {
            end_write(&e, "221 bye\r\n");
            end_close(&e, 1000);
        }
        uv_run(&w->worker.loop, UV_RUN_ONCE);
    }
    assert_int_equal(plain.len, 9);
    raw_close(w);
    wait_for(w, e.closed);
    tls_filter_free(&f);
    buf_free(&wire);
    buf_free(&plain);
}

/* Cut in the middle of a record, without close_notify: what came whole is delivered,
 * the end is told. */
static void test_tls_cut(void **state)
{
    struct world *w = *state;
    struct end client, server;
    ends_join(w, &client, &server);
    ends_start_tls(w, &client, &server);
    stream_pause(server.stream);
    server.count_only = true;
    enum { BYTES = 16 * 1024 * 1024 };
    client.to_send = BYTES;
    end_send_more(&client);
    turn_for(w, 50);
    client.to_send = 0;
    assert_true(stream_pending(client.stream) > 0);
    end_close(&client, 0);
    stream_resume(server.stream);
    wait_for(w, server.ended);
    assert_true(server.counted > 0 && server.counted < BYTES);
    ends_part(w, &client, &server);
}

/* --- a peer that makes us answer and does not read --- */

static void ssl_shake(struct world *w, SSL *ssl, const struct end *server)
{
    for (int ret = 0; ret != 1 || !server->tls_ok;) {
        ret = SSL_do_handshake(ssl);
        assert_true(ret == 1 || SSL_get_error(ssl, ret) == SSL_ERROR_WANT_READ);
        uv_run(&w->worker.loop, UV_RUN_NOWAIT);
    }
}

/* Asks for new keys until nothing goes out any more; how often. */
static unsigned ask_for_keys(struct world *w, SSL *ssl, const struct end *server)
{
    unsigned asked = 0;
    enum { TOO_MUCH = 1024 * 1024 };
    for (int refused = 0; refused < 50 && asked < 400000;) {
        assert_true(SSL_in_init(ssl) || /* the last one is not out yet */
                    SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
        bool sent = SSL_do_handshake(ssl) == 1;
        asked += sent;
        refused = sent ? 0 : refused + 1;
        if (!sent || asked % 1000 == 0) {
            turn_for(w, 1);
        }
        assert_true(stream_pending(server->stream) < TOO_MUCH);
        assert_false(server->ended);
    }
    return asked;
}

static void set_buffer(int fd, int which, int bytes)
{
    assert_int_equal(setsockopt(fd, SOL_SOCKET, which, &bytes, sizeof bytes), 0);
}

/* Each KeyUpdate that asks for one is answered (RFC 8446 4.6.3): what waits to be sent is
 * bounded though the owner never hears of it, and goes on when the peer reads. */
static void test_answers_nobody_reads(void **state)
{
    struct world *w = *state;
    struct end e;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(ctx);
    set_buffer(w->listener, SO_SNDBUF, 16384); /* what is accepted has it, too */
    set_buffer(w->listener, SO_RCVBUF, 16384);
    raw_join(w, &e);
    assert_int_equal(fcntl(w->raw, F_SETFL, O_NONBLOCK), 0);
    set_buffer(w->raw, SO_SNDBUF, 16384);
    set_buffer(w->raw, SO_RCVBUF, 16384);
    SSL_set_fd(ssl, w->raw);
    SSL_set_connect_state(ssl);
    end_start_tls(&e, true);
    ssl_shake(w, ssl, &e);
    assert_true(ask_for_keys(w, ssl, &e) < 400000);
    assert_true(stream_pending(e.stream) > 0);
    char got[65536];
    bool through = false; /* the request that was stuck */
    while (stream_pending(e.stream) > 0 || !through) {
        recv(w->raw, got, sizeof got, 0);
        through = through || SSL_do_handshake(ssl) == 1;
        uv_run(&w->worker.loop, UV_RUN_NOWAIT);
    }
    assert_false(e.ended);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    raw_close(w);
    end_close(&e, 0);
    wait_for(w, e.closed);
}

/* --- closing from inside each event --- */

struct closer {
    struct end end;
    int at;         /* which event closes */
    unsigned after; /* events heard after that */
};

static bool closer_event(struct stream *s, struct closer *c, int which)
{
    if (c->at < 0) {
        c->after++;
        return false;
    }
    if (c->at == which) {
        c->at = -1;
        stream_close(s, 50);
        return false;
    }
    return true;
}

static void closer_data(struct stream *s, const char *data, size_t len, void *arg)
{
    struct closer *c = arg;
    (void)data;
    (void)len;
    closer_event(s, c, 0);
}

static void closer_end(struct stream *s, const char *reason, void *arg)
{
    (void)reason;
    closer_event(s, arg, 1);
}

static void closer_drained(struct stream *s, void *arg)
{
    closer_event(s, arg, 2);
}

static void closer_connected(struct stream *s, void *arg)
{
    struct closer *c = arg;
    if (closer_event(s, c, 3)) {
        struct tls_wish wish = {.host = STR("")};
        stream_start_tls(s, c->end.world->tls.client, &wish);
        stream_write(s, "EHLO\r\n", 6);
    }
}

static void closer_tls(struct stream *s, bool ok, const char *error, void *arg)
{
    (void)ok;
    (void)error;
    closer_event(s, arg, 4);
}

static void closer_closed(struct stream *s, void *arg)
{
    struct closer *c = arg;
    (void)s;
    c->end.closed = true;
}

static void test_closing_in_every_event(void **state)
{
    static const struct stream_events closer_events = {
        closer_data,      closer_end, closer_drained,
        closer_connected, closer_tls, closer_closed,
    };
    struct world *w = *state;
    for (int at = 0; at <= 4; at++) {
        struct end server;
        struct closer c = {.at = at};
        end_init(&c.end, w);
        end_init(&server, w);
        int error = 0;
        c.end.stream = stream_connect(&w->worker, (struct sockaddr *)&w->at, STR(""), 0,
                                      &closer_events, &c, &error);
        assert_non_null(c.end.stream);
        end_accept(&server);
        stream_resume(server.stream);
        server.echo = true;
        end_start_tls(&server, true);
        if (at == 1) {
            wait_for(w, server.tls_ok);
            turn_for(w, 20);
            end_close(&server, 1000);
        }
        wait_for(w, c.end.closed);
        assert_int_equal(c.after, 0);
        end_close(&server, 0);
        wait_for(w, server.closed);
        buf_free(&server.got);
        buf_free(&c.end.got);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
#define TEST(name)                                                                       \
    cmocka_unit_test_setup_teardown(test_##name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(tls_echo),
        TEST(bulk_tls),
        TEST(written_during_handshake),
        TEST(tls_data_waits_for_resume),
        TEST(tls_data_with_handshake),
        TEST(injected_plaintext),
        TEST(injected_reply),
        TEST(handshake_stalls),
        TEST(peer_leaves_in_handshake),
        TEST(start_tls_after_the_end),
        TEST(close_in_handshake),
        TEST(close_under_tls_sends_what_is_pending),
        TEST(close_notify_is_sent),
        TEST(tls_cut),
        TEST(answers_nobody_reads),
        TEST(closing_in_every_event),
    };
    return cmocka_run_group_tests_name("stream under TLS", tests, NULL, NULL);
}
