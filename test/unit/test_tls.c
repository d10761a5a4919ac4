/* tls: contexts from good and bad files; two filters joined in memory. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "channels/tls_context.h"
#include "test/unit/tls_fixture.h"

enum { PIPE_MAX = 8 * 1024 * 1024 };

static int on_setup(void **state)
{
    struct tls_fixture *f = calloc(1, sizeof *f);
    *state = f;
    return f != NULL && tls_fixture_init(f) ? 0 : -1;
}

static int on_teardown(void **state)
{
    tls_fixture_free(*state);
    free(*state);
    return 0;
}

/* --- two filters joined --- */

struct side {
    struct tls_filter *filter;
    struct buf wire, plain; /* to the other side; received */
    enum tls_step last;
    bool done;
};

struct pair {
    struct side client, server;
};

static void side_init(struct side *s, struct tls_context *c, bool server,
                      const char *name)
{
    struct tls_wish wish = {.host = str_from(name)};
    *s = (struct side){.filter = tls_filter_new(c, server ? NULL : &wish)};
    buf_init(&s->wire, PIPE_MAX);
    buf_init(&s->plain, PIPE_MAX);
}

static void side_free(struct side *s)
{
    tls_filter_free(&s->filter);
    buf_free(&s->wire);
    buf_free(&s->plain);
}

static void pair_init(struct pair *p, struct tls_fixture *f, const char *name)
{
    side_init(&p->client, f->client, false, name);
    side_init(&p->server, f->server, true, "");
}

static void pair_free(struct pair *p)
{
    side_free(&p->client);
    side_free(&p->server);
}

static void side_take(struct side *s, const char *data, size_t len)
{
    s->last = tls_filter_in(s->filter, data, len, &s->wire, &s->plain);
    s->done = s->done || s->last == TLS_STEP_DONE;
}

/* Moves what `from` wants to send to `to`, in pieces of at most piece bytes. */
static bool side_pass(struct side *from, struct side *to, size_t piece)
{
    struct buf moved = from->wire;
    buf_init(&from->wire, PIPE_MAX);
    for (size_t at = 0; at < moved.len; at += piece) {
        size_t n = moved.len - at < piece ? moved.len - at : piece;
        side_take(to, moved.data + at, n);
    }
    bool any = moved.len > 0;
    buf_free(&moved);
    return any;
}

static void pair_settle(struct pair *p, size_t piece)
{
    for (int i = 0; i < 50; i++) {
        bool a = side_pass(&p->client, &p->server, piece);
        bool b = side_pass(&p->server, &p->client, piece);
        if (!a && !b) {
            return;
        }
    }
    fail_msg("the two sides talk for ever");
}

static void pair_handshake(struct pair *p, size_t piece)
{
    side_take(&p->client, NULL, 0);
    assert_int_equal(p->client.last, TLS_STEP_MORE);
    pair_settle(p, piece);
    assert_true(p->client.done);
    assert_true(p->server.done);
}

static void assert_says(const struct buf *b, const char *text)
{
    assert_int_equal(b->len, strlen(text));
    assert_memory_equal(b->data, text, b->len);
}

static void test_handshake(void **state)
{
    static const size_t pieces[] = {1, 7, 1000, 1000000};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct pair p;
        pair_init(&p, *state, "mx.partner.test");
        pair_handshake(&p, pieces[i]);
        assert_string_equal(tls_filter_facts(p.client.filter)->version, "TLSv1.3");
        assert_string_equal(tls_filter_facts(p.server.filter)->version, "TLSv1.3");
        assert_string_equal(tls_filter_facts(p.server.filter)->cipher,
                            tls_filter_facts(p.client.filter)->cipher);
        assert_string_equal(tls_filter_facts(p.server.filter)->sni, "mx.partner.test");
        assert_int_equal(tls_filter_facts(p.server.filter)->resumed, i > 0);
        assert_int_equal(tls_filter_out(p.client.filter, "EHLO x\r\n", 8, &p.client.wire),
                         TLS_STEP_MORE);
        assert_int_equal(tls_filter_out(p.server.filter, "250 y\r\n", 7, &p.server.wire),
                         TLS_STEP_MORE);
        assert_null(memmem(p.client.wire.data, p.client.wire.len, "EHLO", 4));
        pair_settle(&p, pieces[i]);
        assert_says(&p.server.plain, "EHLO x\r\n");
        assert_says(&p.client.plain, "250 y\r\n");
        pair_free(&p);
    }
}

static void test_sni(void **state)
{
    static const struct {
        const char *asked, *seen;
    } cases[] = {
        {"", ""},
        {"MX.Partner.Test", "mx.partner.test"},
        {"mx.partner.test.", "mx.partner.test"},
        {"192.0.2.1", ""},
        {"2001:db8::1", ""},
        {"[192.0.2.1]", ""},
        {"a b\x01.test", "a?b?.test"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pair p;
        pair_init(&p, *state, cases[i].asked);
        pair_handshake(&p, 1000);
        assert_string_equal(tls_filter_facts(p.server.filter)->sni, cases[i].seen);
        pair_free(&p);
    }
}

static void test_much_data(void **state)
{
    enum { BYTES = 3 * 1024 * 1024 };
    struct pair p;
    pair_init(&p, *state, "");
    pair_handshake(&p, 4096);
    char *data = malloc(BYTES);
    assert_non_null(data);
    for (size_t i = 0; i < BYTES; i++) {
        data[i] = (char)(i * 31 + i / 251);
    }
    assert_int_equal(tls_filter_out(p.client.filter, data, BYTES, &p.client.wire),
                     TLS_STEP_MORE);
    pair_settle(&p, 65536);
    assert_int_equal(p.server.plain.len, BYTES);
    assert_memory_equal(p.server.plain.data, data, BYTES);
    free(data);
    pair_free(&p);
}

static void test_close_notify(void **state)
{
    struct pair p;
    pair_init(&p, *state, "");
    pair_handshake(&p, 4096);
    tls_filter_out(p.client.filter, "QUIT\r\n", 6, &p.client.wire);
    tls_filter_shut(p.client.filter, &p.client.wire);
    side_pass(&p.client, &p.server, 100000);
    assert_says(&p.server.plain, "QUIT\r\n");
    assert_int_equal(p.server.last, TLS_STEP_CLOSED);
    /* What follows close_notify is nobody's, but we may still answer. */
    side_take(&p.server, "MAIL FROM:<>\r\n", 14);
    assert_int_equal(p.server.last, TLS_STEP_CLOSED);
    assert_says(&p.server.plain, "QUIT\r\n");
    assert_int_equal(tls_filter_out(p.server.filter, "221\r\n", 5, &p.server.wire),
                     TLS_STEP_MORE);
    pair_free(&p);
}

/* Data and close_notify in the same piece as the end of the handshake. */
static void test_everything_at_once(void **state)
{
    struct pair p;
    pair_init(&p, *state, "");
    side_take(&p.client, NULL, 0);
    side_pass(&p.client, &p.server, 100000);
    side_pass(&p.server, &p.client, 100000);
    assert_true(p.client.done);
    tls_filter_out(p.client.filter, "QUIT\r\n", 6, &p.client.wire);
    tls_filter_shut(p.client.filter, &p.client.wire);
    side_pass(&p.client, &p.server, 100000);
    assert_int_equal(p.server.last, TLS_STEP_DONE);
    assert_says(&p.server.plain, "QUIT\r\n");
    side_take(&p.server, NULL, 0);
    assert_int_equal(p.server.last, TLS_STEP_CLOSED);
    pair_free(&p);
}

static void test_garbage(void **state)
{
    static const struct {
        const char *bytes, *error;
        bool server;
    } cases[] = {
        {"EHLO client.test\r\nMAIL FROM:<a@b.test>\r\n", "the peer does not speak TLS",
         true},
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http request", true},
        {"250 this is not TLS\r\n", "the peer does not speak TLS", false},
        {"\x16\x03\x01\xff\xff\x01\x02\x03\x04", "", true},
        {"\x16\x03\x01\x10\x01\x05\x05\x05\x05\x05\x05\x05", "", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pair p;
        pair_init(&p, *state, "");
        struct side *s = cases[i].server ? &p.server : &p.client;
        if (!cases[i].server) {
            side_take(s, NULL, 0);
        }
        side_take(s, cases[i].bytes, strlen(cases[i].bytes));
        if (*cases[i].error != '\0') {
            assert_int_equal(s->last, TLS_STEP_FAILED);
            assert_non_null(strstr(tls_filter_error(s->filter), cases[i].error));
            assert_null(strchr(tls_filter_error(s->filter), '\n'));
        }
        assert_int_equal(s->plain.len, 0);
        assert_false(s->done);
        assert_int_equal(ERR_peek_error(), 0); /* the next session starts clean */
        pair_free(&p);
    }
}

/* A flipped bit inside an established session is noticed, nothing of it is delivered,
 * and the session stays dead. */
static void test_forged_record(void **state)
{
    struct pair p;
    pair_init(&p, *state, "");
    pair_handshake(&p, 4096);
    tls_filter_out(p.client.filter, "MAIL FROM:<>\r\n", 14, &p.client.wire);
    p.client.wire.data[10] ^= 1;
    side_pass(&p.client, &p.server, 100000);
    assert_int_equal(p.server.last, TLS_STEP_FAILED);
    assert_int_equal(p.server.plain.len, 0);
    assert_int_equal(tls_filter_out(p.server.filter, "x", 1, &p.server.wire),
                     TLS_STEP_FAILED);
    side_take(&p.server, "x", 1);
    assert_int_equal(p.server.last, TLS_STEP_FAILED);
    pair_free(&p);
}

static void test_truncated_handshake(void **state)
{
    for (size_t keep = 1; keep < 300; keep += 13) {
        struct pair p;
        pair_init(&p, *state, "");
        side_take(&p.client, NULL, 0);
        assert_true(p.client.wire.len > keep || keep > 200);
        if (p.client.wire.len > keep) {
            p.client.wire.len = keep;
        }
        side_pass(&p.client, &p.server, 50);
        assert_false(p.server.done && keep < 100);
        pair_free(&p);
    }
}

/* --- what is offered and refused --- */

static void test_tls12_works_tls11_does_not(void **state)
{
    struct tls_fixture *f = *state;
    SSL_CTX_set_max_proto_version(f->client->ssl, TLS1_2_VERSION);
    struct pair p;
    pair_init(&p, f, "");
    pair_handshake(&p, 4096);
    assert_string_equal(tls_filter_facts(p.server.filter)->version, "TLSv1.2");
    pair_free(&p);

    SSL_CTX_set_min_proto_version(f->client->ssl, TLS1_1_VERSION);
    SSL_CTX_set_max_proto_version(f->client->ssl, TLS1_1_VERSION);
    SSL_CTX_set_security_level(f->client->ssl, 0);
    SSL_CTX_set_cipher_list(f->client->ssl, "ALL");
    pair_init(&p, f, "");
    side_take(&p.client, NULL, 0);
    pair_settle(&p, 4096);
    assert_int_equal(p.server.last, TLS_STEP_FAILED);
    assert_int_equal(p.client.last, TLS_STEP_FAILED);
    assert_non_null(strstr(tls_filter_error(p.server.filter), "unsupported protocol"));
    assert_non_null(
        strstr(tls_filter_error(p.client.filter), "tlsv1 alert protocol version"));
    pair_free(&p);
}

static void test_renegotiation_is_refused(void **state)
{
    struct tls_fixture *f = *state;
    assert_true(SSL_CTX_get_options(f->server->ssl) & SSL_OP_NO_RENEGOTIATION);
    assert_true(SSL_CTX_get_options(f->server->ssl) & SSL_OP_NO_COMPRESSION);
    assert_int_equal(SSL_CTX_get_min_proto_version(f->server->ssl), TLS1_2_VERSION);
}

static void test_alpn(void **state)
{
    static const struct {
        const char *ids;
        bool accepted;
    } cases[] = {
        {"\x02h2", false},
        {"\x02h2\x08http/1.1", false},
        {"\x04smtp", true},
        {"\x02h2\x04smtp", true},
        {"\x05"
         "esmtp",
         true},
    };
    struct tls_fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        SSL_CTX_set_alpn_protos(f->client->ssl, (const unsigned char *)cases[i].ids,
                                (unsigned)strlen(cases[i].ids));
        struct pair p;
        pair_init(&p, f, "");
        side_take(&p.client, NULL, 0);
        pair_settle(&p, 4096);
        assert_int_equal(p.server.done, cases[i].accepted);
        if (!cases[i].accepted) {
            assert_non_null(strstr(tls_filter_error(p.client.filter),
                                   "alert no application protocol"));
        }
        pair_free(&p);
    }
}

static void test_session_outlives_context(void **state)
{
    struct tls_fixture *f = *state;
    struct pair p;
    pair_init(&p, f, "");
    tls_context_unref(&f->server); /* as a reload does */
    assert_null(f->server);
    pair_handshake(&p, 4096);
    pair_free(&p);
}

/* --- files --- */

struct verdict {
    bool ok;
    unsigned errors, warnings;
    char text[1024]; /* all messages, one a line */
};

static struct verdict check_files(const char *cert, const char *key)
{
    struct verdict v = {0};
    struct tls_fixture f = {0};
    tls_fixture_snapshot(&f, cert, key);
    struct arena *a = arena_new();
    struct diags *d = diags_new(a, sources_new(a));
    v.ok = tls_check(&f.snapshot, TLS_FILES_ALL, d);
    v.errors = diags_errors(d);
    v.warnings = diags_warnings(d);
    size_t at = 0;
    for (const struct diag *m = diags_first(d); m != NULL; m = m->next) {
        at += (size_t)snprintf(v.text + at, sizeof v.text - at, "%.*s [%s]\n",
                               STR_ARG(m->text), m->slug);
    }
    arena_free(&a);
    assert_int_equal(ERR_peek_error(), 0);
    assert_int_equal(v.ok, v.errors == 0);
    return v;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void assert_refused(const char *cert, const char *key, const char *file,
                           const char *reason)
{
    struct verdict v = check_files(cert, key);
    if (v.ok || strstr(v.text, file) == NULL || strstr(v.text, reason) == NULL ||
        strstr(v.text, " [tls-file]\n") == NULL) {
        fail_msg("want '%s' for %s, got: %s", reason, file, v.text);
    }
}

static void test_bad_files(void **state)
{
    struct tls_fixture *f = *state;
    char bad[200], folder[200], other[200];
    snprintf(bad, sizeof bad, "%s/bad.pem", f->folder);
    snprintf(other, sizeof other, "%s/other.pem", f->folder);
    snprintf(folder, sizeof folder, "%s/folder", f->folder);
    assert_int_equal(mkdir(folder, 0700), 0);

    assert_refused(bad, f->key, bad, "No such file or directory");
    assert_refused(f->cert, bad, bad, "No such file or directory");
    assert_refused(folder, f->key, folder, "is a directory");
    assert_refused(f->cert, folder, folder, "is a directory");
    assert_refused("/dev/null", f->key, "/dev/null", "is not a regular file");
    assert_refused(f->cert, NULL, f->cert, "holds no PEM private key");
    write_file(bad, "");
    assert_refused(bad, f->key, bad, "is empty");
    write_file(bad, "hello\n");
    assert_refused(bad, f->key, bad, "holds no PEM certificate");
    assert_refused(f->cert, bad, bad, "holds no PEM private key");
    assert_refused(f->key, f->key, f->key, "holds no PEM certificate");
    assert_refused(f->cert, f->cert, f->cert, "holds no PEM private key");
    write_file(bad, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    assert_refused(bad, f->key, bad, "the certificate is malformed");
    write_file(bad, "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n");
    assert_refused(f->cert, bad, bad, "the key is malformed or of an unknown kind");
    assert_true(tls_fixture_pair(NULL, other, 0, 0, NULL));
    assert_refused(f->cert, other, other, "does not belong to the certificate");
    assert_true(tls_fixture_pair(NULL, other, 0, 0, "secret"));
    assert_refused(f->cert, other, other, "the key is encrypted");
}

static void test_both_files_are_reported(void **state)
{
    (void)state;
    struct verdict v = check_files("/nonexistent/c.pem", "/nonexistent/k.pem");
    assert_int_equal(v.errors, 2);
}

static void test_doubtful_files(void **state)
{
    struct tls_fixture *f = *state;
    char cert[200], key[200];
    snprintf(cert, sizeof cert, "%s/c.pem", f->folder);
    snprintf(key, sizeof key, "%s/k.pem", f->folder);

    assert_int_equal(check_files(f->cert, f->key).warnings, 0);
    assert_int_equal(check_files(NULL, NULL).warnings, 0);

    assert_true(tls_fixture_pair(cert, key, -7200, -3600, NULL));
    struct verdict v = check_files(cert, key);
    assert_true(v.ok && v.warnings == 1);
    assert_non_null(strstr(v.text, "has expired"));
    assert_non_null(strstr(v.text, " [tls-certificate-dates]\n"));

    assert_true(tls_fixture_pair(cert, key, 3600, 7200, NULL));
    v = check_files(cert, key);
    assert_true(v.ok && v.warnings == 1);
    assert_non_null(strstr(v.text, "not valid yet"));

    assert_int_equal(chmod(f->key, 0644), 0);
    v = check_files(f->cert, f->key);
    assert_true(v.ok && v.warnings == 1);
    assert_non_null(strstr(v.text, "(mode 644)"));
    assert_non_null(strstr(v.text, " [tls-key-mode]\n"));
    assert_int_equal(chmod(f->key, 0640), 0);
    assert_int_equal(check_files(f->cert, f->key).warnings, 0);
}

/* PMDF sites keep certificate and key in one file. */
static void test_combined_file(void **state)
{
    struct tls_fixture *f = *state;
    char both[200], text[8192];
    snprintf(both, sizeof both, "%s/both.pem", f->folder);
    size_t len = 0;
    const char *paths[] = {f->key, f->cert, f->cert};
    for (size_t i = 0; i < 3; i++) {
        FILE *in = fopen(paths[i], "r");
        assert_non_null(in);
        len += fread(text + len, 1, sizeof text - len - 1, in);
        fclose(in);
    }
    text[len] = '\0';
    write_file(both, text);
    assert_int_equal(chmod(both, 0600), 0);
    struct verdict v = check_files(both, both);
    assert_true(v.ok);
    assert_int_equal(v.warnings, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, on_setup, on_teardown)
    const struct CMUnitTest tests[] = {
        TEST(handshake),
        TEST(sni),
        TEST(much_data),
        TEST(close_notify),
        TEST(everything_at_once),
        TEST(garbage),
        TEST(forged_record),
        TEST(truncated_handshake),
        TEST(tls12_works_tls11_does_not),
        TEST(renegotiation_is_refused),
        TEST(alpn),
        TEST(session_outlives_context),
        TEST(bad_files),
        TEST(both_files_are_reported),
        TEST(doubtful_files),
        TEST(combined_file),
    };
    return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
