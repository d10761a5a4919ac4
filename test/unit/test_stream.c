/* stream: two ends on one loop over loopback: echo, backpressure, deadlines, every way
 * to end. A raw socket plays the peer that misbehaves. */
#include <arpa/inet.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test/unit/stream_fixture.h"

static void test_echo(void **state)
{
    struct world *w = *state;
    struct end client, server;
    ends_join(w, &client, &server);
    server.echo = true;
    assert_true(str_eq(stream_peer_ip(client.stream), STR("127.0.0.1")));
    assert_int_equal(stream_peer_port(client.stream), ntohs(w->at.sin_port));
    assert_int_equal(stream_peer_port(server.stream), stream_local_port(client.stream));
    assert_true(str_eq(stream_local_ip(server.stream), STR("127.0.0.1")));
    assert_null(stream_tls(client.stream));
    end_write(&client, "hello ");
    end_write(&client, "world");
    wait_for(w, end_has(&client, "hello world"));
    assert_true(client.drained >= 1 && server.drained >= 1);
    ends_part(w, &client, &server);
}

/* A listener on "::" shows IPv4 clients in IPv6 dress: taken off, for rules about
 * addresses are written in IPv4. */
static void test_mapped_address(void **state)
{
    struct world *w = *state;
    int six = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), no = 0;
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    socklen_t len = sizeof any;
    if (six < 0 || setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no) != 0 ||
        bind(six, (struct sockaddr *)&any, len) != 0) {
        print_message("# skipped: this machine has no IPv6\n");
        skip();
    }
    assert_int_equal(listen(six, 1), 0);
    assert_int_equal(getsockname(six, (struct sockaddr *)&any, &len), 0);
    w->at.sin_port = any.sin6_port;
    w->raw = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(w->raw, (struct sockaddr *)&w->at, sizeof w->at), 0);
    struct end e;
    end_init(&e, w);
    e.stream = stream_accept(&w->worker, accept(six, NULL, NULL), &end_events, &e);
    assert_non_null(e.stream);
    assert_true(str_eq(stream_peer_ip(e.stream), STR("127.0.0.1")));
    assert_true(str_eq(stream_local_ip(e.stream), STR("127.0.0.1")));
    assert_int_equal(stream_local_port(e.stream), ntohs(any.sin6_port));
    end_close(&e, 0);
    wait_for(w, e.closed);
    close(six);
}

static void test_small_writes_leave_in_one_piece(void **state)
{
    struct world *w = *state;
    struct end e;
    raw_join(w, &e);
    for (int i = 0; i < 100; i++) {
        end_write(&e, "250-x\r\n");
    }
    assert_int_equal(stream_pending(e.stream), 700);
    char got[2000];
    assert_int_equal(recv(w->raw, got, sizeof got, MSG_DONTWAIT), -1);
    wait_for(w, e.drained == 1);
    assert_int_equal(recv(w->raw, got, sizeof got, 0), 700);
    end_close(&e, 0);
    wait_for(w, e.closed);
}

static void test_nothing_is_read_before_resume(void **state)
{
    struct world *w = *state;
    struct end e;
    raw_join(w, &e);
    stream_pause(e.stream);
    raw_send(w, "EHLO\r\n");
    turn_for(w, 50);
    assert_int_equal(e.got.len, 0);
    stream_resume(e.stream);
    wait_for(w, end_has(&e, "EHLO\r\n"));
    end_close(&e, 0);
    wait_for(w, e.closed);
    buf_free(&e.got);
}

static void test_bulk(void **state)
{
    ends_bulk(*state, false);
}

/* A peer that does not read: what we may not send stays with us, nothing spins. */
static void test_peer_does_not_read(void **state)
{
    struct world *w = *state;
    struct end client, server;
    ends_join(w, &client, &server);
    stream_pause(server.stream);
    server.count_only = true;
    client.to_send = 64 * 1024 * 1024;
    end_send_more(&client);
    turn_for(w, 300);
    assert_true(stream_pending(client.stream) > 0);
    assert_true(client.to_send > 0);
    size_t left = client.to_send;
    turn_for(w, 50);
    assert_int_equal(client.to_send, left);
    assert_int_equal(server.counted, 0);
    stream_resume(server.stream);
    wait_for(w, client.to_send < left);
    ends_part(w, &client, &server);
}

/* --- ends --- */

static void test_eof_then_answer(void **state)
{
    struct world *w = *state;
    struct end e;
    raw_join(w, &e);
    raw_send(w, "QUIT\r\n");
    shutdown(w->raw, SHUT_WR);
    wait_for(w, e.ended);
    assert_string_equal(e.reason, "eof");
    assert_true(end_has(&e, "QUIT\r\n"));
    end_write(&e, "221 bye\r\n");
    end_close(&e, 1000);
    char got[100];
    assert_int_equal(raw_read_all(w, got, sizeof got), 9);
    assert_string_equal(got, "221 bye\r\n");
    wait_for(w, e.closed);
    buf_free(&e.got);
}

static void test_reset(void **state)
{
    struct world *w = *state;
    struct end e;
    raw_join(w, &e);
    struct linger hard = {1, 0};
    setsockopt(w->raw, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    raw_close(w);
    wait_for(w, e.ended);
    assert_string_equal(e.reason, "reset");
    end_write(&e, "into the void");
    turn_for(w, 20);
    end_close(&e, 1000);
    wait_for(w, e.closed);
}

/* The owner waits (paused) and writes; the connection is gone: it must hear of it. */
static void test_reset_while_paused(void **state)
{
    struct world *w = *state;
    struct end e;
    raw_join(w, &e);
    stream_pause(e.stream);
    struct linger hard = {1, 0};
    setsockopt(w->raw, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    raw_close(w);
    turn_for(w, 20);
    end_write(&e, "250 ok\r\n");
    end_write(&e, "250 ok\r\n");
    wait_for(w, e.ended);
    assert_string_equal(e.reason, "reset");
    assert_int_equal(stream_pending(e.stream), 0);
    end_close(&e, 1000);
    wait_for(w, e.closed);
}

static void test_deadline(void **state)
{
    struct world *w = *state;
    struct end e;
    raw_join(w, &e);
    stream_deadline(e.stream, 30);
    stream_deadline(e.stream, 0); /* stopped */
    turn_for(w, 80);
    assert_false(e.ended);
    stream_deadline(e.stream, 30);
    stream_pause(e.stream); /* told also to who does not listen */
    wait_for(w, e.ended);
    assert_string_equal(e.reason, "timeout");
    raw_send(w, "late\r\n");
    turn_for(w, 30);
    assert_int_equal(e.got.len, 0);
    end_write(&e, "421 timeout\r\n");
    end_close(&e, 500);
    char got[100];
    assert_int_equal(raw_read_all(w, got, sizeof got), 13);
    raw_close(w);
    wait_for(w, e.closed);
}

static void test_connect_refused(void **state)
{
    struct world *w = *state;
    struct end e;
    end_init(&e, w);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof at;
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0); /* bound, not listening */
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    struct sockaddr_in good = w->at;
    w->at = at;
    end_connect(&e);
    wait_for(w, e.ended);
    assert_string_equal(e.reason, "connection refused");
    assert_false(e.connected);
    end_close(&e, 1000);
    wait_for(w, e.closed);
    w->at = good;
    close(fd);
}

/* A listener whose queue is full does not answer: a silent host, on loopback. */
static void test_connect_timeout(void **state)
{
    struct world *w = *state;
    struct end e;
    end_init(&e, w);
    struct sockaddr_in full = w->at;
    int fds[12], lazy = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof full;
    full.sin_port = 0;
    assert_int_equal(bind(lazy, (struct sockaddr *)&full, len), 0);
    assert_int_equal(listen(lazy, 0), 0);
    assert_int_equal(getsockname(lazy, (struct sockaddr *)&full, &len), 0);
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(fds[i], (struct sockaddr *)&full, sizeof full);
    }
    int error = 0;
    e.stream = stream_connect(&w->worker, (struct sockaddr *)&full, STR("127.0.0.1"), 100,
                              &end_events, &e, &error);
    assert_non_null(e.stream);
    wait_for(w, e.ended);
    assert_string_equal(e.reason, "timeout");
    end_close(&e, 1000);
    wait_for(w, e.closed);
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        close(fds[i]);
    }
    close(lazy);
}

static void test_connect_cannot_begin(void **state)
{
    struct world *w = *state;
    struct end e;
    end_init(&e, w);
    static const char *const from[] = {"192.0.2.1", "::1", "not an address",
                                       "0123456789012345678901234567890123456789"
                                       "0123456789012345678901234567890123456789"};
    for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
        int error = 0;
        e.stream = stream_connect(&w->worker, (struct sockaddr *)&w->at,
                                  str_from(from[i]), 0, &end_events, &e, &error);
        assert_null(e.stream);
        assert_true(error < 0);
    }
    turn_for(w, 20);
    assert_false(e.closed);
}

static void test_out_of_descriptors(void **state)
{
    struct world *w = *state;
    struct end e;
    end_init(&e, w);
    struct rlimit was, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = was;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int error = 0;
    e.stream = stream_connect(&w->worker, (struct sockaddr *)&w->at, STR(""), 0,
                              &end_events, &e, &error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_null(e.stream);
    assert_int_equal(error, UV_EMFILE);
    assert_null(stream_accept(&w->worker, -1, &end_events, &e));
    turn_for(w, 20);
    assert_false(e.closed);
}

/* --- closing --- */

static void test_close_sends_what_is_pending(void **state)
{
    struct world *w = *state;
    struct end client, server;
    ends_join(w, &client, &server);
    server.count_only = true;
    static const char block[65536];
    for (int i = 0; i < 64; i++) {
        stream_write(client.stream, block, sizeof block);
    }
    assert_true(stream_pending(client.stream) > 0);
    end_close(&client, 10000);
    wait_for(w, server.ended);
    assert_int_equal(server.counted, 64 * sizeof block);
    end_close(&server, 1000);
    wait_for(w, client.closed && server.closed);
    assert_false(client.ended);
}

static void test_linger_ends(void **state)
{
    struct world *w = *state;
    struct end client, server;
    ends_join(w, &client, &server);
    stream_pause(server.stream);
    client.to_send = 64 * 1024 * 1024;
    end_send_more(&client);
    turn_for(w, 50);
    client.to_send = 0;
    assert_true(stream_pending(client.stream) > 0);
    uint64_t before_ms = uv_hrtime() / 1000000;
    end_close(&client, 100);
    wait_for(w, client.closed);
    assert_true(uv_hrtime() / 1000000 - before_ms < 5000);
    end_close(&server, 0);
    wait_for(w, server.closed);
}

/* The last reply must reach a client that is still sending. */
static void test_close_while_peer_sends(void **state)
{
    struct world *w = *state;
    struct end e;
    raw_join(w, &e);
    stream_pause(e.stream);
    raw_send(w, "MAIL FROM:<>\r\nRCPT TO:<x@y>\r\nDATA\r\n");
    turn_for(w, 20);
    end_write(&e, "421 too many errors\r\n");
    end_close(&e, 1000);
    turn_for(w, 20);
    raw_send(w, "more and more\r\n");
    char got[100];
    assert_int_equal(raw_read_all(w, got, sizeof got), 21);
    raw_close(w);
    wait_for(w, e.closed);
    assert_int_equal(e.got.len, 0);
}

static void test_close_while_connecting(void **state)
{
    struct world *w = *state;
    struct end e;
    end_init(&e, w);
    end_connect(&e);
    end_write(&e, "never sent");
    end_close(&e, 1000);
    wait_for(w, e.closed);
    assert_false(e.connected || e.ended);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the daemon does */
#define TEST(name)                                                                       \
    cmocka_unit_test_setup_teardown(test_##name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(echo),
        TEST(mapped_address),
        TEST(small_writes_leave_in_one_piece),
        TEST(nothing_is_read_before_resume),
        TEST(bulk),
        TEST(peer_does_not_read),
        TEST(eof_then_answer),
        TEST(reset),
        TEST(reset_while_paused),
        TEST(deadline),
        TEST(connect_refused),
        TEST(connect_timeout),
        TEST(connect_cannot_begin),
        TEST(out_of_descriptors),
        TEST(close_sends_what_is_pending),
        TEST(linger_ends),
        TEST(close_while_peer_sends),
        TEST(close_while_connecting),
    };
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
