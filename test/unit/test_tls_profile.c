/* test_tls_profile: what the sections of a tls.cnf make of the contexts: certificates by
 * kind of key and by name, protocols and ciphers, tickets; and what is wrong with them.
 */
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
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
#include "test/config/memory_loader.h"
#include "test/unit/tls_fixture.h"

#define MAIN                                                                             \
    "!== pointsman.cnf\n. $U%$H@tcp-daemon\n\nl\nhere.test\n\n"                          \
    "tcp_local smtp maytls noswitchchannel tlsprofile one\ntcp-daemon\n\n"               \
    "tcp_two maytls tlsprofile two\ntwo.test\n!== tls.cnf\n"

struct loaded {
    struct tls_fixture files; /* its folder only */
    struct arena *arena;
    struct snapshot *snapshot;
    struct diags *diags;
    struct tls_contexts *contexts;
    char text[16384]; /* of the configuration; $ stands for the folder */
    char said[4096];  /* all messages, one a line */
};

static int on_setup(void **state)
{
    struct loaded *l = calloc(1, sizeof *l);
    *state = l;
    return l != NULL && tls_fixture_init(&l->files) ? 0 : -1;
}

static void unload(struct loaded *l)
{
    tls_contexts_free(&l->contexts);
    snapshot_unref(&l->snapshot);
    if (l->arena != NULL) {
        arena_free(&l->arena);
    }
}

static int on_teardown(void **state)
{
    struct loaded *l = *state;
    unload(l);
    tls_fixture_free(&l->files);
    free(l);
    return 0;
}

static char *in_folder(struct loaded *l, const char *name)
{
    static char paths[8][300];
    static unsigned next;
    char *out = paths[next++ % 8];
    snprintf(out, sizeof paths[0], "%s/%s", l->files.folder, name);
    return out;
}

static void expand(struct loaded *l, const char *tls)
{
    size_t n = (size_t)snprintf(l->text, sizeof l->text, "%s", MAIN);
    for (; *tls != '\0'; tls++) {
        if (*tls == '$') {
            n += (size_t)snprintf(l->text + n, sizeof l->text - n, "%s", l->files.folder);
        } else {
            l->text[n++] = *tls;
        }
    }
    l->text[n] = '\0';
}

static void load(struct loaded *l, const char *tls, enum tls_files files)
{
    struct memory_loader memory;
    bool unreadable;
    unload(l);
    expand(l, tls);
    l->arena = arena_new();
    memory_loader_init(&memory, str_from(l->text));
    struct snapshot_request req = {.path = STR(MEMORY_LOADER_MAIN),
                                   .loader = &memory.loader};
    l->snapshot = snapshot_load(&req, l->arena, &l->diags, &unreadable);
    if (l->snapshot != NULL && files == TLS_FILES_ALL) {
        l->contexts = tls_contexts_new(l->snapshot, NULL, l->diags);
    } else if (l->snapshot != NULL) {
        tls_check(l->snapshot, files, l->diags);
    }
    size_t at = 0;
    l->said[0] = '\0';
    for (const struct diag *m = diags_first(l->diags); m != NULL; m = m->next) {
        str where = span_text(l->arena, diags_sources(l->diags), m->span);
        at += (size_t)snprintf(l->said + at, sizeof l->said - at, "%.*s: %.*s [%s]\n",
                               STR_ARG(where), STR_ARG(m->text), m->slug);
    }
    assert_int_equal(ERR_peek_error(), 0);
}

static void load_good(struct loaded *l, const char *tls)
{
    load(l, tls, TLS_FILES_ALL);
    if (l->contexts == NULL || l->said[0] != '\0') {
        fail_msg("%s", l->said);
    }
}

static void assert_said(struct loaded *l, const char *tls, const char *said, bool error)
{
    load(l, tls, TLS_FILES_ALL);
    if (strstr(l->said, said) == NULL || error != (l->contexts == NULL)) {
        fail_msg("%s: wanted '%s', got:\n%s", tls, said, l->said);
    }
}

static struct tls_context *server_of(struct loaded *l, unsigned profile)
{
    struct tls_context *c =
        tls_contexts_server(l->contexts, l->snapshot->tls_profiles[profile]);
    struct tls_context *kept = c; /* by l->contexts, too */
    tls_context_unref(&c);
    return kept;
}

/* --- a handshake in memory, with OpenSSL itself as the client --- */

struct talk {
    SSL_CTX *ctx; /* the client's, for the case to adjust */
    SSL *ssl;
    BIO *in, *out;
    struct tls_filter *server;
    struct buf wire, plain;
    bool done;
};

static void talk_init(struct talk *t)
{
    *t = (struct talk){.ctx = SSL_CTX_new(TLS_client_method())};
    SSL_CTX_set_security_level(t->ctx, 0);
    buf_init(&t->wire, 1 << 20);
    buf_init(&t->plain, 1 << 20);
}

static void talk_step(struct talk *t)
{
    char bytes[65536];
    int n = BIO_read(t->out, bytes, sizeof bytes);
    if (n > 0) {
        enum tls_step step =
            tls_filter_in(t->server, bytes, (size_t)n, &t->wire, &t->plain);
        t->done = t->done || step == TLS_STEP_DONE;
    }
    if (t->wire.len > 0) {
        BIO_write(t->in, t->wire.data, (int)t->wire.len);
        buf_clear(&t->wire);
    }
}

/* True: both sides are content. */
static bool talk_shake(struct talk *t, struct tls_context *server, const char *name,
                       SSL_SESSION *resume)
{
    t->ssl = SSL_new(t->ctx);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_connect_state(t->ssl);
    if (name != NULL) {
        SSL_set_tlsext_host_name(t->ssl, name);
    }
    if (resume != NULL) {
        SSL_set_session(t->ssl, resume);
    }
    t->server = tls_filter_new(server, NULL);
    bool client = false;
    for (int i = 0; i < 8; i++) {
        client = client || SSL_do_handshake(t->ssl) == 1;
        char byte;
        if (client) {
            SSL_read(t->ssl, &byte, 1); /* takes tickets in */
        }
        talk_step(t);
    }
    ERR_clear_error();
    return client && t->done;
}

static void talk_end(struct talk *t)
{
    SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN); /* or its session is not resumed */
    SSL_free(t->ssl);
    SSL_CTX_free(t->ctx);
    tls_filter_free(&t->server);
    buf_free(&t->wire);
    buf_free(&t->plain);
}

/* Whose certificate a client sees; "" when there is no handshake. */
static const char *shown_to(struct tls_context *server, const char *name,
                            const char *sigalgs)
{
    static char cn[256];
    struct talk t;
    cn[0] = '\0';
    talk_init(&t);
    if (sigalgs != NULL) {
        SSL_CTX_set1_sigalgs_list(t.ctx, sigalgs);
    }
    if (talk_shake(&t, server, name, NULL)) {
        X509 *peer = SSL_get1_peer_certificate(t.ssl);
        X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, cn,
                                  sizeof cn);
        X509_free(peer);
    }
    talk_end(&t);
    return cn;
}

/* The cipher agreed on when a client offers this much; "" when there is none. */
static const char *agreed(struct tls_context *server, int version, const char *ciphers)
{
    static char text[128];
    struct talk t;
    talk_init(&t);
    SSL_CTX_set_min_proto_version(t.ctx, version);
    SSL_CTX_set_max_proto_version(t.ctx, version);
    SSL_CTX_set_cipher_list(t.ctx, ciphers);
    bool ok = talk_shake(&t, server, NULL, NULL);
    snprintf(text, sizeof text, "%s", ok ? SSL_get_cipher_name(t.ssl) : "");
    talk_end(&t);
    return text;
}

static void make_hosts(struct loaded *l)
{
    assert_true(tls_fixture_host(in_folder(l, "rsa.pem"), in_folder(l, "rsa.key"),
                                 "rsa.test", true, NULL));
    assert_true(tls_fixture_host(in_folder(l, "ec.pem"), in_folder(l, "ec.key"),
                                 "ec.test", false, NULL));
    assert_true(tls_fixture_host(in_folder(l, "cu.pem"), in_folder(l, "cu.key"),
                                 "customer.test", false, NULL));
}

#define ONE_EC "[one]\nserver_cert=$/ec.pem\nserver_key=$/ec.key\n[two]\ninherit=one\n"

/* --- certificates --- */

static void keys_find_their_certificates(void **state)
{
    struct loaded *l = *state;
    make_hosts(l);
    load_good(l, "[one]\nserver_cert=$/rsa.pem\nserver_cert=$/ec.pem\n"
                 "server_key=$/ec.key\nserver_key=file:$/rsa.key\n[two]\ninherit=one\n");
    for (unsigned i = 1; i <= 2; i++) {
        assert_string_equal(shown_to(server_of(l, i), NULL, "RSA-PSS+SHA256"),
                            "rsa.test");
        assert_string_equal(shown_to(server_of(l, i), NULL, "ECDSA+SHA256"), "ec.test");
    }
    assert_null(server_of(l, 0)); /* [*] has none */
}

static void names_choose_certificates(void **state)
{
    struct loaded *l = *state;
    make_hosts(l);
    load_good(l, "[*]\nserver_cert=$/rsa.pem\nserver_key=$/rsa.key\n"
                 "sni=mail.customer.test : $/cu.pem : $/cu.key\n"
                 "sni=*.wild.test : $/ec.pem : file:$/ec.key\n[one]\n[two]\nsni=none\n");
    static const struct {
        const char *asked, *one, *two;
    } cases[] = {
        {NULL, "rsa.test", "rsa.test"},
        {"mail.customer.test", "customer.test", "rsa.test"},
        {"MAIL.Customer.Test", "customer.test", "rsa.test"},
        {"customer.test", "rsa.test", "rsa.test"},
        {"a.wild.test", "ec.test", "rsa.test"},
        {"a.b.wild.test", "rsa.test", "rsa.test"},
        {"wild.test", "rsa.test", "rsa.test"},
        {"nobody.test", "rsa.test", "rsa.test"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(shown_to(server_of(l, 1), cases[i].asked, NULL),
                            cases[i].one);
        assert_string_equal(shown_to(server_of(l, 2), cases[i].asked, NULL),
                            cases[i].two);
    }
}

static void faults_of_certificates(void **state)
{
    struct loaded *l = *state;
    make_hosts(l);
    tls_fixture_host(in_folder(l, "ec2.pem"), in_folder(l, "ec2.key"), "ec2.test", false,
                     NULL);
    tls_fixture_host(in_folder(l, "cl.pem"), in_folder(l, "cl.key"), "cl.test", false,
                     "clientAuth");
    tls_fixture_host(in_folder(l, "sv.pem"), in_folder(l, "sv.key"), "sv.test", false,
                     "serverAuth");
    assert_said(l,
                "[one]\nserver_cert=$/rsa.pem\nserver_cert=$/ec.pem\n"
                "server_key=$/cu.key\n[two]\n",
                "the key belongs to none of the certificates [tls-file]", true);
    assert_said(l,
                "[one]\nserver_cert=$/rsa.pem\nserver_cert=$/ec.pem\n"
                "server_key=$/rsa.key\n[two]\n",
                "tls.cnf:3: certificate file '", true);
    assert_non_null(strstr(l->said, "none of the keys belongs to this certificate"));
    assert_said(l,
                "[one]\nserver_cert=$/ec.pem\nserver_cert=$/ec2.pem\n"
                "server_key=$/ec.key\nserver_key=$/ec2.key\n[two]\n",
                "a certificate with a key of this kind already", true);
    assert_said(l, "[one]\nclient_cert=$/ec.pem\nclient_key=$/rsa.key\n[two]\n",
                "the key does not belong to the certificate [tls-file]", true);
    assert_said(l, "[one]\nserver_cert=$/ec.pem\nserver_key=file:$/no.key\n[two]\n",
                "tls.cnf:3: key '", true);
    assert_said(l, "[one]\nserver_cert=$/ec.pem\nserver_key=nosuch:x?pin=1234\n[two]\n",
                "key 'nosuch:x': the store gives no private key", true);
    assert_said(l, ONE_EC "sni=a.test:$/ec.pem:$/rsa.key\n",
                "the key does not belong to the certificate [tls-file]", true);
    assert_said(l, ONE_EC "sni=a.test:$/cu.pem:$/cu.key\nsni=A.test:$/cu.pem:$/cu.key\n",
                "'sni' names 'A.test' a second time [repeated-option]", true);
    assert_said(l, "[one]\nserver_cert=$/cl.pem\nserver_key=$/cl.key\n[two]\n",
                "is not meant for TLS servers", false);
    assert_said(l, "[one]\nclient_cert=$/sv.pem\nclient_key=$/sv.key\n[two]\n",
                "[tls-certificate-usage]", false);
    assert_int_equal(chmod(in_folder(l, "ec.key"), 0660), 0);
    assert_said(l, ONE_EC, "its group can change it (mode 660)", false);
}

/* Root reads everything, so another user is played where the test runs as root. */
static void a_key_of_others(void **state)
{
    struct loaded *l = *state;
    make_hosts(l);
    assert_int_equal(chmod(l->files.folder, 0755), 0);
    assert_int_equal(chmod(in_folder(l, "ec.pem"), 0644), 0);
    assert_int_equal(chmod(in_folder(l, "ec.key"), geteuid() == 0 ? 0600 : 0), 0);
    uid_t me = geteuid();
    assert_int_equal(me == 0 ? seteuid(65534) : 0, 0);
    load(l, ONE_EC, TLS_FILES_CHECK);
    unsigned errors = diags_errors(l->diags);
    bool told = strstr(l->said, "[key-not-checked]") != NULL;
    load(l, ONE_EC, TLS_FILES_ALL);
    bool refused = l->contexts == NULL;
    assert_int_equal(me == 0 ? seteuid(0) : 0, 0);
    assert_true(told && errors == 0 && refused);
}

static void no_files(void **state)
{
    struct loaded *l = *state;
    load(l, ONE_EC, TLS_FILES_NONE);
    assert_string_equal(l->said, "");
    load(l, ONE_EC "groups=nosuch\n", TLS_FILES_NONE);
    assert_non_null(strstr(l->said, "[tls-group]"));
}

/* --- whom to trust --- */

static void trust(void **state)
{
    struct loaded *l = *state;
    make_hosts(l);
    assert_int_equal(mkdir(in_folder(l, "cas"), 0700), 0);
    load_good(l, "[one]\n[two]\n");
    assert_said(l, "[*]\nca_file=$/nosuch.pem\n[one]\n[two]\n",
                "nosuch.pem': No such file or directory [tls-file]", true);
    assert_said(l, "[*]\nca_file=$/cas\n[one]\n[two]\n",
                "cas': is not a regular file [tls-file]", true);
    assert_said(l, "[*]\nca_file=$/ec.key\n[one]\n[two]\n",
                "ec.key': holds no PEM certificate", true);
    assert_said(l, "[*]\nca_dir=$/cas\n[one]\n[two]\n", "CA folder", true);
    assert_non_null(strstr(l->said, "cas': holds no PEM certificate [tls-file]"));
    assert_said(l, "[*]\nca_dir=$/nosuch\n[one]\n[two]\n",
                "nosuch': No such file or directory [tls-file]", true);
    assert_said(l, "[*]\nca_store=file:$/ec.key\n[one]\n[two]\n",
                "the store gives no certificate [tls-file]", true);
    assert_said(l, "[*]\nca_store=nosuch:ca\n[one]\n[two]\n",
                "CA store 'nosuch:ca': the store gives no certificate [tls-file]", true);
    assert_true(
        tls_fixture_host(in_folder(l, "cas/ca.crt"), NULL, "ca.test", false, NULL));
    assert_said(l,
                "[*]\nca_dir=$/cas\nca_file=$/ec.pem\nca_file=$/ec.pem\n"
                "ca_store=file:$/rsa.pem\nca_store=$/cu.pem\n[one]\n[two]\n",
                "'ca_store' has no effect", false);
    assert_int_equal(diags_errors(l->diags), 0);
}

#define PEER_TABLE(fields)                                                               \
    "!== mappings\nTLS_PEER_ACCESS\n\n  *|*|*|*|" fields "|*|*  x\n"

/* CAs by which anybody's certificate would verify are no CAs for clients, unless a table
 * tells those who have one apart. */
static void public_client_cas(void **state)
{
    struct loaded *l = *state;
    make_hosts(l);
    assert_int_equal(symlink("/etc/ssl/certs", in_folder(l, "link")), 0);
    if (access("/etc/ssl/certs", F_OK) != 0) {
        print_message("# skipped: there is no /etc/ssl/certs (package openssl)\n");
        skip();
    }
    assert_said(l, ONE_EC "client_ca_dir=/etc/ssl/certs\n", "[tls-client-ca-public]",
                true);
    assert_said(l, ONE_EC "client_ca_dir=$/link\n", "[tls-client-ca-public]", true);
    assert_said(l, ONE_EC "client_ca_store=file:/etc/ssl/../ssl/certs\n",
                "tls.cnf:6: these CAs give anybody a certificate", true);
    load(l, ONE_EC "client_ca_dir=$/link\n", TLS_FILES_NONE);
    assert_non_null(strstr(l->said, "[tls-client-ca-public]"));
    load(l, ONE_EC "client_ca_dir=$/link\n" PEER_TABLE("Y|*|*"), TLS_FILES_NONE);
    assert_non_null(strstr(l->said, "[tls-client-ca-public]"));
    load(l, ONE_EC "client_ca_dir=$/link\n" PEER_TABLE("Y|CN=a|*"), TLS_FILES_NONE);
    assert_null(strstr(l->said, "[tls-client-ca-public]"));
    load(l, ONE_EC "client_ca_dir=$/link\n" PEER_TABLE("*|*|sha256:*"), TLS_FILES_NONE);
    assert_null(strstr(l->said, "[tls-client-ca-public]"));
    assert_said(l, ONE_EC "client_ca_file=$/nosuch.pem\n",
                "nosuch.pem': No such file or directory [tls-file]", true);
}

/* Under another name, and with one of our own. */
static void public_client_cas_copied(void **state)
{
    struct loaded *l = *state;
    const char *bundle = "/etc/ssl/certs/ca-certificates.crt";
    char command[1000];
    make_hosts(l);
    if (access(bundle, R_OK) != 0) {
        print_message("# skipped: there is no %s (package ca-certificates)\n", bundle);
        skip();
    }
    snprintf(command, sizeof command, "cat %s/ec.pem %s >%s/copy.pem", l->files.folder,
             bundle, l->files.folder);
    assert_int_equal(system(command), 0);
    assert_said(l, ONE_EC "client_ca_file=$/copy.pem\n", "[tls-client-ca-public]", true);
    load(l, ONE_EC "client_ca_file=$/copy.pem\n" PEER_TABLE("Y|CN=a|*"), TLS_FILES_ALL);
    assert_null(strstr(l->said, "[tls-client-ca-public]"));
    load(l, ONE_EC "client_ca_file=$/ec.pem\n", TLS_FILES_ALL);
    assert_null(strstr(l->said, "[tls-client-ca-public]"));
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void half_a_certificate(void **state)
{
    struct loaded *l = *state;
    write_text(in_folder(l, "half.pem"),
               "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
    assert_said(l, "[*]\nca_file=$/half.pem\n[one]\n[two]\n",
                "a certificate is malformed [tls-file]", true);
}

/* --- protocols and ciphers --- */

static void presets(void **state)
{
    struct loaded *l = *state;
    static const struct {
        const char *line, *v13, *gcm, *dhe, *cbc, *rsa;
    } cases[] = {
        {"", "TLS_AES_256_GCM_SHA384", "ECDHE-RSA-AES128-GCM-SHA256", "", "", ""},
        {"preset=intermediate\n", "TLS_AES_256_GCM_SHA384", "ECDHE-RSA-AES128-GCM-SHA256",
         "", "", ""},
        {"preset=modern\n", "TLS_AES_256_GCM_SHA384", "", "", "", ""},
        {"preset=old\n", "TLS_AES_256_GCM_SHA384", "ECDHE-RSA-AES128-GCM-SHA256", "",
         "ECDHE-RSA-AES128-SHA", "AES128-GCM-SHA256"},
        {"dhe=yes\n", "TLS_AES_256_GCM_SHA384", "ECDHE-RSA-AES128-GCM-SHA256",
         "DHE-RSA-AES128-GCM-SHA256", "", ""},
        {"protocol_max=TLSv1.2\n", "", "ECDHE-RSA-AES128-GCM-SHA256", "", "", ""},
        {"protocol_min=TLSv1.3\n", "TLS_AES_256_GCM_SHA384", "", "", "", ""},
        {"ciphersuites=TLS_AES_128_GCM_SHA256\n", "TLS_AES_128_GCM_SHA256",
         "ECDHE-RSA-AES128-GCM-SHA256", "", "", ""},
        {"ciphers=kDHE+AESGCM:!RC4\n", "TLS_AES_256_GCM_SHA384", "",
         "DHE-RSA-AES128-GCM-SHA256", "", ""},
        {"ciphers=kDHE+AESGCM:ECDHE-RSA-AES128-GCM-SHA256\ndhe=no\n",
         "TLS_AES_256_GCM_SHA384", "ECDHE-RSA-AES128-GCM-SHA256", "", "", ""},
    };
    make_hosts(l);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char tls[500];
        snprintf(tls, sizeof tls,
                 "[*]\nserver_cert=$/rsa.pem\nserver_key=$/rsa.key\n[one]\n%s[two]\n",
                 cases[i].line);
        load_good(l, tls);
        struct tls_context *c = server_of(l, 1);
        assert_string_equal(agreed(c, TLS1_3_VERSION, "ALL"), cases[i].v13);
        assert_string_equal(agreed(c, TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256"),
                            cases[i].gcm);
        assert_string_equal(agreed(c, TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256"),
                            cases[i].dhe);
        assert_string_equal(agreed(c, TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA"),
                            cases[i].cbc);
        assert_string_equal(agreed(c, TLS1_2_VERSION, "AES128-GCM-SHA256"), cases[i].rsa);
        assert_string_equal(agreed(c, TLS1_1_VERSION, "ALL"), "");
    }
}

/* What a wider section lists ends with a preset, and only with that. */
static void a_preset_means_what_it_says(void **state)
{
    struct loaded *l = *state;
    make_hosts(l);
    load_good(l,
              "[*]\nserver_cert=$/rsa.pem\nserver_key=$/rsa.key\nprotocol_max=TLSv1.2\n"
              "ciphers=kDHE+AESGCM\n[one]\npreset=modern\n[two]\n"
              "protocol_max=TLSv1.3\n");
    assert_string_equal(agreed(server_of(l, 1), TLS1_3_VERSION, "ALL"),
                        "TLS_AES_256_GCM_SHA384");
    assert_string_equal(agreed(server_of(l, 1), TLS1_2_VERSION, "ALL"), "");
    assert_string_equal(agreed(server_of(l, 2), TLS1_2_VERSION, "ALL"),
                        "DHE-RSA-AES256-GCM-SHA384");
}

static void groups(void **state)
{
    struct loaded *l = *state;
    make_hosts(l);
    load_good(l, ONE_EC "groups=P-384:X25519\n");
    static const struct {
        const char *offered;
        bool agreed;
    } cases[] = {{"P-384", true}, {"X25519", true}, {"P-256", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct talk t;
        talk_init(&t);
        SSL_CTX_set1_groups_list(t.ctx, cases[i].offered);
        assert_int_equal(talk_shake(&t, server_of(l, 2), NULL, NULL), cases[i].agreed);
        talk_end(&t);
    }
}

static void write_dh(const char *path, char *group)
{
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("group", group, 0),
                           OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
    EVP_PKEY *key = NULL;
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    EVP_PKEY_CTX_set_params(ctx, params);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    BIO *out = BIO_new_file(path, "w");
    assert_int_equal(PEM_write_bio_Parameters(out, key), 1);
    BIO_free(out);
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(ctx);
}

static void dh_parameters(void **state)
{
    struct loaded *l = *state;
    make_hosts(l);
    write_dh(in_folder(l, "dh2048.pem"), "ffdhe2048");
    write_dh(in_folder(l, "dh1024.pem"), "dh_1024_160");
    load_good(l, "[one]\nserver_cert=$/rsa.pem\nserver_key=$/rsa.key\ndhe=yes\n"
                 "dh_params=$/dh2048.pem\n[two]\n");
    assert_string_equal(
        agreed(server_of(l, 1), TLS1_2_VERSION, "DHE-RSA-AES128-GCM-SHA256"),
        "DHE-RSA-AES128-GCM-SHA256");
    assert_said(l, "[one]\ndhe=yes\ndh_params=$/dh1024.pem\n[two]\n",
                "the parameters have less than 2048 bits [tls-file]", true);
    assert_said(l, "[one]\ndhe=yes\ndh_params=$/rsa.pem\n[two]\n",
                "holds no PEM parameters for DH", true);
}

static void faults_of_parameters(void **state)
{
    static const struct {
        const char *tls, *said;
    } cases[] = {
        {"[one]\nciphers=ECDHE-RSA-AES128-GCM-SHA256:AES128-SHAA\n[two]\n",
         "tls.cnf:2: OpenSSL knows no cipher 'AES128-SHAA' [tls-cipher]"},
        {"[one]\nciphers=HIGH:!AES128-SHAA\n[two]\n",
         "OpenSSL knows no cipher '!AES128-SHAA' [tls-cipher]"},
        {"[one]\nciphers=HIGH::!LOW\n[two]\n", "OpenSSL knows no cipher '' [tls-cipher]"},
        {"[one]\nciphers=aNULL:@SECLEVEL=0\n[two]\n",
         "no cipher is left for TLS 1.2 [tls-cipher]"},
        {"[one]\nciphers=eNULL:@SECLEVEL=0\n[two]\n",
         "no cipher is left for TLS 1.2 [tls-cipher]"},
        {"[one]\nciphers=DHE-RSA-AES128-GCM-SHA256\ndhe=no\n[two]\n",
         "no cipher is left for TLS 1.2 [tls-cipher]"},
        {"[one]\nciphersuites=TLS_AES_256_GCM_SHA384:TLS_AES_1\n[two]\n",
         "OpenSSL knows no cipher suite of TLS 1.3 'TLS_AES_1' [tls-cipher]"},
        {"[one]\nciphersuites=ECDHE-RSA-AES128-GCM-SHA256\n[two]\n",
         "knows no cipher suite of TLS 1.3"},
        {"[one]\ngroups=X25519:P-255\n[two]\n",
         "tls.cnf:2: OpenSSL knows no group 'P-255' [tls-group]"},
        {"[one]\nprovider=nosuch\n[two]\n",
         "tls.cnf:2: OpenSSL cannot load the provider 'nosuch' [tls-provider]"},
    };
    struct loaded *l = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_said(l, cases[i].tls, cases[i].said, true);
        assert_int_equal(diags_errors(l->diags), 1);
    }
    /* All that is wrong with a profile is told in one run, each thing once. */
    assert_said(l,
                "[*]\nserver_cert=$/no.pem\nclient_cert=$/nc.pem\nca_file=$/ca.pem\n"
                "groups=nosuch\n[one]\n[two]\n",
                "no.pem': No such file", true);
    assert_non_null(strstr(l->said, "nc.pem': No such file"));
    assert_non_null(strstr(l->said, "ca.pem': No such file"));
    assert_non_null(strstr(l->said, "[tls-group]"));
    assert_int_equal(diags_errors(l->diags), 4);
    assert_said(l, "[*]\nca_file=$/ca.pem\nprovider=nosuch\n[one]\n[two]\n",
                "cannot load the provider", true);
    assert_int_equal(diags_errors(l->diags), 1);
}

static void providers(void **state)
{
    struct loaded *l = *state;
    make_hosts(l);
    load_good(l, "[*]\nprovider=default\npropquery=provider=default\n" ONE_EC);
    assert_string_equal(shown_to(server_of(l, 1), NULL, NULL), "ec.test");
    assert_said(l, "[*]\npropquery=provider=nosuch\n" ONE_EC, "[tls-", true);
}

/* --- tickets --- */

static SSL_SESSION *got_session;

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    (void)ssl;
    SSL_SESSION_free(got_session);
    got_session = session;
    return 1;
}

/* Does a server resume the session another one began? */
static bool resumes(struct tls_context *first, struct tls_context *second, int version)
{
    struct talk t;
    for (int i = 0; i < 2; i++) {
        talk_init(&t);
        SSL_CTX_set_max_proto_version(t.ctx, version);
        SSL_CTX_set_session_cache_mode(t.ctx, SSL_SESS_CACHE_CLIENT |
                                                  SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(t.ctx, on_session);
        assert_true(talk_shake(&t, i == 0 ? first : second, NULL, got_session));
        if (i == 0) {
            talk_end(&t);
        }
    }
    bool resumed = SSL_session_reused(t.ssl) == 1;
    assert_int_equal(tls_filter_facts(t.server)->resumed, resumed);
    talk_end(&t);
    SSL_SESSION_free(got_session);
    got_session = NULL;
    return resumed;
}

static void tickets_belong_to_a_profile(void **state)
{
    struct loaded *l = *state;
    make_hosts(l);
    load_good(l, "[*]\nserver_cert=$/ec.pem\nserver_key=$/ec.key\n[one]\n[two]\n");
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (int i = 0; i < 2; i++) {
        assert_true(resumes(server_of(l, 1), server_of(l, 1), versions[i]));
        assert_false(resumes(server_of(l, 1), server_of(l, 2), versions[i]));
        assert_false(resumes(server_of(l, 0), server_of(l, 1), versions[i]));
    }
    load_good(l, ONE_EC "session_tickets=no\n");
    for (int i = 0; i < 2; i++) {
        assert_true(resumes(server_of(l, 1), server_of(l, 1), versions[i]));
        assert_false(resumes(server_of(l, 2), server_of(l, 2), versions[i]));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, on_setup, on_teardown)
    const struct CMUnitTest tests[] = {
        TEST(keys_find_their_certificates),
        TEST(names_choose_certificates),
        TEST(faults_of_certificates),
        TEST(a_key_of_others),
        TEST(no_files),
        TEST(trust),
        TEST(public_client_cas),
        TEST(public_client_cas_copied),
        TEST(half_a_certificate),
        TEST(presets),
        TEST(a_preset_means_what_it_says),
        TEST(groups),
        TEST(dh_parameters),
        TEST(faults_of_parameters),
        TEST(providers),
        TEST(tickets_belong_to_a_profile),
    };
    return cmocka_run_group_tests_name("tls_profile", tests, NULL, NULL);
}
