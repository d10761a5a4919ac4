/* tls: what is resumed and what is not, while contexts and keys are replaced; the steps
 * before a certificate expires; when files count as changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "channels/tls_filter.h"
#include "channels/tls_sessions.h"
#include "channels/tls_tickets.h"
#include "channels/tls_watch.h"
#include "test/unit/tls_fixture.h"

struct world {
    struct tls_fixture f;
    struct arena *arena;
    struct diags *diags;
    struct tls_contexts *contexts;
    enum tls_verify verify, verified; /* wanted by talk(), and what came of it */
};

static struct tls_contexts *make(struct world *w, const struct tls_contexts *before)
{
    struct tls_contexts *c = tls_contexts_new(&w->f.snapshot, before, w->diags);
    assert_non_null(c);
    return c;
}

static int on_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    *state = w;
    if (w == NULL || !tls_fixture_init(&w->f)) {
        return -1;
    }
    w->arena = arena_new();
    w->diags = diags_new(w->arena, sources_new(w->arena));
    w->contexts = make(w, NULL);
    return 0;
}

static int on_teardown(void **state)
{
    struct world *w = *state;
    tls_contexts_free(&w->contexts);
    arena_free(&w->arena);
    tls_fixture_free(&w->f);
    free(w);
    return 0;
}

/* --- handshakes in memory --- */

struct side {
    struct tls_filter *filter;
    struct buf wire, plain;
};

static void side_init(struct side *s, struct tls_context *c, const struct tls_wish *wish)
{
    *s = (struct side){.filter = tls_filter_new(c, wish)};
    buf_init(&s->wire, 1 << 20);
    buf_init(&s->plain, 1 << 20);
    tls_context_unref(&c);
}

static void side_free(struct side *s)
{
    tls_filter_free(&s->filter);
    buf_free(&s->wire);
    buf_free(&s->plain);
}

static bool pass(struct side *from, struct side *to)
{
    struct buf moved = from->wire;
    buf_init(&from->wire, 1 << 20);
    bool any = moved.len > 0;
    if (any) {
        tls_filter_in(to->filter, moved.data, moved.len, &to->wire, &to->plain);
    }
    buf_free(&moved);
    return any;
}

/* One session between the contexts in force of two configurations: was it resumed? */
static bool talk(struct world *w, const struct tls_contexts *client,
                 const struct tls_contexts *server, const char *host)
{
    struct tls_wish wish = {
        .host = str_from(host), .verify = w->verify, .names = {str_from(host)}};
    struct side c, s;
    side_init(&c, tls_contexts_client(client, &w->f.profile), &wish);
    side_init(&s, tls_contexts_server(server, &w->f.profile), NULL);
    tls_filter_in(c.filter, NULL, 0, &c.wire, &c.plain);
    bool more = true;
    for (int i = 0; i < 20 && more; i++) {
        more = pass(&c, &s);
        more = pass(&s, &c) || more;
    }
    bool resumed = tls_filter_facts(c.filter)->resumed;
    w->verified = tls_filter_facts(c.filter)->verified;
    assert_int_equal(tls_filter_facts(s.filter)->resumed, resumed);
    assert_string_not_equal(tls_filter_facts(s.filter)->version, "");
    side_free(&c);
    side_free(&s);
    return resumed;
}

static void test_resumes(void **state)
{
    struct world *w = *state;
    for (int version = TLS_PROTOCOL_1_2; version <= TLS_PROTOCOL_1_3; version++) {
        w->f.profile.protocol_max = (enum tls_protocol)version;
        struct tls_contexts *c = make(w, NULL);
        assert_false(talk(w, c, c, "mx.one.test"));
        for (int i = 0; i < 3; i++) { /* each session brings the ticket of the next */
            assert_true(talk(w, c, c, "mx.one.test"));
        }
        assert_false(talk(w, c, c, "mx.two.test"));
        assert_true(talk(w, c, c, "mx.two.test"));
        tls_contexts_free(&c);
    }
}

static void test_no_tickets(void **state)
{
    struct world *w = *state;
    w->f.profile.session_tickets = false;
    struct tls_contexts *none = make(w, NULL);
    for (int i = 0; i < 2; i++) {
        assert_false(talk(w, none, w->contexts, "mx.one.test"));
        assert_false(talk(w, w->contexts, none, "mx.two.test"));
    }
    tls_contexts_free(&none);
}

static void test_renewed_certificate(void **state)
{
    struct world *w = *state;
    assert_false(talk(w, w->contexts, w->contexts, "mx.one.test"));
    assert_true(tls_fixture_pair(w->f.cert, w->f.key, -60, 86400, NULL));
    struct tls_context *old = tls_contexts_server(w->contexts, &w->f.profile);
    assert_true(tls_contexts_renew(w->contexts, &w->f.snapshot, w->diags));
    struct tls_context *new = tls_contexts_server(w->contexts, &w->f.profile);
    assert_ptr_not_equal(old, new);
    assert_true(talk(w, w->contexts, w->contexts, "mx.one.test"));
    tls_context_unref(&old);
    tls_context_unref(&new);
}

static void test_broken_stays(void **state)
{
    struct world *w = *state;
    struct tls_context *old = tls_contexts_server(w->contexts, &w->f.profile);
    FILE *file = fopen(w->f.cert, "w");
    assert_true(file != NULL && fputs("rubbish\n", file) > 0 && fclose(file) == 0);
    assert_false(tls_contexts_renew(w->contexts, &w->f.snapshot, w->diags));
    assert_true(diags_errors(w->diags) > 0);
    struct tls_context *now = tls_contexts_server(w->contexts, &w->f.profile);
    assert_ptr_equal(old, now);
    assert_false(talk(w, w->contexts, w->contexts, "mx.one.test"));
    tls_context_unref(&old);
    tls_context_unref(&now);
}

static void test_next_configuration(void **state)
{
    struct world *w = *state;
    assert_false(talk(w, w->contexts, w->contexts, "mx.one.test"));
    struct tls_contexts *same = make(w, w->contexts);
    assert_true(talk(w, same, same, "mx.one.test"));
    struct tls_contexts *stranger = make(w, NULL); /* no registry in common */
    assert_false(talk(w, same, stranger, "mx.one.test"));
    assert_false(talk(w, w->contexts, w->contexts, "mx.two.test"));

    struct tls_item groups = {.text = STR("P-256")};
    w->f.profile.settings[TLS_OPTION_groups].items = &groups;
    struct tls_contexts *other = make(w, w->contexts);
    assert_false(talk(w, same, other, "mx.two.test")); /* keys */
    assert_false(talk(w, other, same, "mx.two.test")); /* sessions */
    tls_contexts_free(&same);
    tls_contexts_free(&stranger);
    tls_contexts_free(&other);
}

/* CAs of other contents under the same names. */
static void test_other_cas(void **state)
{
    struct world *w = *state;
    char path[200];
    snprintf(path, sizeof path, "%s/ca.pem", w->f.folder);
    struct tls_item ca = {.text = str_from(path)};
    w->f.profile.settings[TLS_OPTION_ca_file].items = &ca;
    w->f.profile.settings[TLS_OPTION_client_ca_file].items = &ca;
    assert_true(tls_fixture_pair(path, NULL, -60, 86400, NULL));
    struct tls_contexts *c = make(w, NULL);
    assert_false(talk(w, c, w->contexts, "mx.one.test"));
    assert_true(tls_contexts_renew(c, &w->f.snapshot, w->diags));
    assert_true(talk(w, c, w->contexts, "mx.one.test"));
    assert_false(talk(w, w->contexts, c, "mx.two.test"));
    assert_true(talk(w, w->contexts, c, "mx.two.test"));
    assert_true(tls_fixture_pair(path, NULL, -60, 86400, NULL));
    assert_true(tls_contexts_renew(c, &w->f.snapshot, w->diags));
    assert_false(talk(w, c, w->contexts, "mx.one.test"));
    assert_false(talk(w, w->contexts, c, "mx.two.test"));
    tls_contexts_free(&c);
}

static void test_keys_rotate(void **state)
{
    struct world *w = *state;
    struct tls_context *server = tls_contexts_server(w->contexts, &w->f.profile);
    assert_false(talk(w, w->contexts, w->contexts, "mx.one.test"));
    tls_tickets_age(server->tickets, TLS_TICKET_LIFE_S + 1);
    assert_false(talk(w, w->contexts, w->contexts, "mx.two.test")); /* under a new key */
    assert_true(
        talk(w, w->contexts, w->contexts, "mx.one.test")); /* still, and renewed */
    tls_tickets_age(server->tickets, TLS_TICKET_LIFE_S - 1);
    assert_true(talk(w, w->contexts, w->contexts, "mx.one.test"));
    tls_tickets_age(server->tickets, 2 * TLS_TICKET_LIFE_S);
    tls_contexts_tend(w->contexts);
    assert_false(talk(w, w->contexts, w->contexts, "mx.one.test"));
    tls_context_unref(&server);
}

/* Each session may bring the ticket of the next one; but who the peer is was seen in the
 * first of them. */
static void test_a_chain_ends(void **state)
{
    struct world *w = *state;
    struct tls_context *client = tls_contexts_client(w->contexts, &w->f.profile);
    assert_false(talk(w, w->contexts, w->contexts, "mx.one.test"));
    for (int i = 0; i < 2; i++) {
        tls_sessions_age(client->resumable, 1500);
        assert_true(talk(w, w->contexts, w->contexts, "mx.one.test"));
    }
    tls_sessions_age(client->resumable, 1500);
    assert_false(talk(w, w->contexts, w->contexts, "mx.one.test"));
    assert_true(talk(w, w->contexts, w->contexts, "mx.one.test"));
    tls_context_unref(&client);
}

/* What a session proved counts when the peer has shown that it holds the session. */
static void test_offered_is_not_resumed(void **state)
{
    struct world *w = *state;
    struct tls_item ca = {.text = str_from(w->f.cert)};
    struct tls_wish wish = {.host = STR("mx.one.test"), .verify = TLS_VERIFY_CA};
    w->f.profile.settings[TLS_OPTION_ca_file].items = &ca;
    w->verify = TLS_VERIFY_CA;
    struct tls_contexts *c = make(w, NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(talk(w, c, w->contexts, "mx.one.test"), i > 0);
        assert_int_equal(w->verified, TLS_VERIFY_CA);
    }
    struct side side;
    wish.names[0] = wish.host;
    side_init(&side, tls_contexts_client(c, &w->f.profile), &wish);
    tls_filter_in(side.filter, NULL, 0, &side.wire, &side.plain);
    assert_true(side.filter->session_began_s > 0); /* there is one to offer */
    assert_int_equal(tls_filter_facts(side.filter)->verified, TLS_VERIFY_NO);
    side_free(&side);
    tls_contexts_free(&c);
}

/* TLS 1.2 without the extended master secret (RFC 7627 5.3, 5.4). */
static void test_no_master_secret(void **state)
{
    struct world *w = *state;
    w->f.profile.protocol_max = TLS_PROTOCOL_1_2;
    for (int server = 0; server < 2; server++) {
        struct tls_contexts *both = make(w, NULL), *old = make(w, NULL);
        struct tls_context *c = server ? tls_contexts_server(old, &w->f.profile)
                                       : tls_contexts_client(old, &w->f.profile);
        SSL_CTX_set_options(c->ssl, SSL_OP_NO_EXTENDED_MASTER_SECRET);
        for (int i = 0; i < 2; i++) {
            assert_false(talk(w, server ? both : old, server ? old : both, "one.test"));
        }
        tls_context_unref(&c);
        tls_contexts_free(&both);
        tls_contexts_free(&old);
    }
}

/* --- the store --- */

static void test_sessions_are_bounded(void **state)
{
    unsigned char key[TLS_SESSION_KEY_BYTES] = {0};
    struct tls_sessions *s = tls_sessions_new();
    int64_t began;
    (void)state;
    for (unsigned i = 0; i < TLS_SESSIONS_MAX + 100; i++) {
        memcpy(key, &i, sizeof i);
        tls_sessions_put(s, key, SSL_SESSION_new(), 0);
        tls_sessions_put(s, key, SSL_SESSION_new(), 0); /* in the place of the first */
    }
    assert_int_equal(tls_sessions_count(s), TLS_SESSIONS_MAX);
    for (unsigned i = 0; i < TLS_SESSIONS_MAX + 100; i++) {
        memcpy(key, &i, sizeof i);
        SSL_SESSION *session = tls_sessions_take(s, key, &began);
        assert_int_equal(session != NULL, i >= 100);
        SSL_SESSION_free(session);
    }
    tls_sessions_put(s, key, SSL_SESSION_new(), 0);
    tls_sessions_age(s, 3601);
    assert_null(tls_sessions_take(s, key, &began));
    SSL_SESSION *brief = SSL_SESSION_new(); /* the server said how long */
    SSL_SESSION_set_timeout(brief, 10);
    tls_sessions_put(s, key, brief, 0);
    tls_sessions_age(s, 11);
    assert_null(tls_sessions_take(s, key, &began));
    tls_sessions_unref(&s);
}

/* --- files --- */

static void touch(const char *path, long s)
{
    struct timespec times[2] = {{.tv_sec = s}, {.tv_sec = s}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void test_watch(void **state)
{
    struct world *w = *state;
    struct tls_watch *watch = tls_watch_new(&w->f.snapshot);
    assert_false(tls_watch_look(watch));
    touch(w->f.key, 1000);
    assert_false(tls_watch_look(watch)); /* may be half of it */
    touch(w->f.cert, 1000);
    assert_false(tls_watch_look(watch));
    assert_true(tls_watch_look(watch)); /* they rest */
    assert_true(tls_watch_look(watch)); /* until somebody reads them */
    tls_watch_mark(watch);
    assert_false(tls_watch_look(watch));
    for (int i = 1; i <= 3; i++) { /* but nobody waits for ever */
        touch(w->f.cert, 1000 + i);
        assert_int_equal(tls_watch_look(watch), i == 3);
    }
    tls_watch_mark(watch);
    assert_int_equal(unlink(w->f.key), 0);
    tls_watch_look(watch);
    assert_true(tls_watch_look(watch));
    tls_watch_free(&watch);
}

/* --- dates --- */

static void test_steps(void **state)
{
    static const struct {
        int life, left, step; /* days */
    } cases[] = {{365, 31, -1}, {365, 30, 30}, {365, 15, 30}, {365, 14, 14}, {365, 7, 7},
                 {365, 3, 3},   {365, 2, 3},   {365, 1, 1},   {365, 0, 0},   {365, -9, 0},
                 {89, 30, -1},  {89, 14, 14},  {6, 3, -1},    {6, 1, 1},     {1, 1, -1},
                 {90, 30, 30},  {1, 0, 0}};
    const int64_t day_ms = 86400 * 1000, now = 1700000000000;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t end = now + cases[i].left * day_ms;
        assert_int_equal(tls_view_step(end - cases[i].life * day_ms, end, now),
                         cases[i].step);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, on_setup, on_teardown)
    const struct CMUnitTest tests[] = {
        TEST(resumes),
        TEST(no_tickets),
        TEST(renewed_certificate),
        TEST(broken_stays),
        TEST(next_configuration),
        TEST(other_cas),
        TEST(keys_rotate),
        TEST(a_chain_ends),
        TEST(offered_is_not_resumed),
        TEST(no_master_secret),
        TEST(watch),
        cmocka_unit_test(test_sessions_are_bounded),
        cmocka_unit_test(test_steps),
    };
    return cmocka_run_group_tests_name("tls_resume", tests, NULL, NULL);
}
