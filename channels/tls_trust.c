/* tls_trust: the CAs and fingerprints of a profile, read when the configuration is
 * prepared, so that no session waits for a disk and what is missing is told early. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/check.h"
#include "channels/tls_context.h"

static bool trust_refuse(struct tls_build *b, const struct tls_item *item,
                         const char *what, const char *why)
{
    tls_error(b, item->at, "tls-file", "%s '%.*s': %s", what, STR_ARG(item->text), why);
    return false;
}

/* Adds the certificates of a PEM text; how many there were, -1: one is malformed. */
static int add_pem(struct tls_build *b, X509_STORE *store, BIO *bio)
{
    int n = 0;
    for (;; n++) {
        X509 *x = X509_new_ex(b->context->library, tls_propquery(b));
        check(x != NULL);
        if (PEM_read_bio_X509_AUX(bio, &x, NULL, "") == NULL) {
            X509_free(x);
            break;
        }
        int added = X509_STORE_add_cert(store, x); /* also when it is there already */
        X509_free(x);
        check(added == 1);
    }
    unsigned long code = ERR_peek_last_error();
    bool end =
        ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return end ? n : -1;
}

static bool is_regular(const char *path, int *error)
{
    struct stat st;
    *error = stat(path, &st) != 0 ? errno : 0;
    return *error == 0 && S_ISREG(st.st_mode);
}

static bool add_file(struct tls_build *b, X509_STORE *store, const struct tls_item *item)
{
    char path[PATH_MAX];
    int error;
    snprintf(path, sizeof path, "%.*s", STR_ARG(item->text));
    if (!is_regular(path, &error)) {
        return trust_refuse(b, item, "CA file",
                            error != 0 ? strerror(error) : "is not a regular file");
    }
    BIO *bio = BIO_new_file(path, "r");
    if (bio == NULL) {
        char reason[160];
        tls_take_error(reason, sizeof reason);
        return trust_refuse(b, item, "CA file", reason);
    }
    int n = add_pem(b, store, bio);
    BIO_free(bio);
    return n > 0 ||
           trust_refuse(b, item, "CA file",
                        n < 0 ? "a certificate is malformed"
                              : "holds no PEM certificate (-----BEGIN CERTIFICATE-----)");
}

/* What else lies in the folder is passed over; nothing at all is told. */
static bool add_folder(struct tls_build *b, X509_STORE *store,
                       const struct tls_item *item)
{
    char path[PATH_MAX + NAME_MAX + 2];
    snprintf(path, PATH_MAX, "%.*s", STR_ARG(item->text));
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return trust_refuse(b, item, "CA folder", strerror(errno));
    }
    int count = 0, error;
    for (struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        snprintf(path, sizeof path, "%.*s/%s", STR_ARG(item->text), e->d_name);
        BIO *bio = is_regular(path, &error) ? BIO_new_file(path, "r") : NULL;
        int n = bio != NULL ? add_pem(b, store, bio) : 0;
        BIO_free(bio);
        ERR_clear_error();
        count += n > 0 ? n : 0;
    }
    closedir(folder);
    return count > 0 || trust_refuse(b, item, "CA folder", "holds no PEM certificate");
}

static bool add_store(struct tls_build *b, X509_STORE *store, const struct tls_item *item)
{
    struct arena *a = arena_new();
    OSSL_STORE_CTX *from =
        OSSL_STORE_open_ex(arena_str(a, item->text).ptr, b->context->library,
                           tls_propquery(b), NULL, NULL, NULL, NULL, NULL);
    int count = 0;
    if (from != NULL) {
        OSSL_STORE_expect(from, OSSL_STORE_INFO_CERT);
    }
    while (from != NULL && !OSSL_STORE_eof(from)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(from);
        X509 *x = info != NULL ? OSSL_STORE_INFO_get0_CERT(info) : NULL;
        count += x != NULL && X509_STORE_add_cert(store, x) == 1;
        OSSL_STORE_INFO_free(info);
        if (info == NULL && OSSL_STORE_error(from)) {
            break;
        }
    }
    OSSL_STORE_close(from);
    arena_free(&a);
    ERR_clear_error();
    return count > 0 ||
           trust_refuse(b, item, "CA store", "the store gives no certificate");
}

typedef bool add_item(struct tls_build *b, X509_STORE *store, const struct tls_item *i);

static bool add_all(struct tls_build *b, X509_STORE *store, enum tls_option option,
                    add_item *add)
{
    bool ok = true;
    const struct tls_item *item = b->profile->settings[option].items;
    for (; item != NULL; item = item->next) {
        ok = add(b, store, item) && ok;
    }
    return ok;
}

/* Bytes of the hexadecimal digits, which were checked when compiled. */
static void use_fingerprints(struct tls_build *b)
{
    struct tls_context *c = b->context;
    const struct tls_item *item = b->profile->settings[TLS_OPTION_fingerprint].items;
    for (const struct tls_item *i = item; i != NULL; i = i->next) {
        c->fingerprint_count++;
    }
    c->fingerprints = calloc(c->fingerprint_count + 1, sizeof *c->fingerprints);
    check(c->fingerprints != NULL);
    for (unsigned n = 0; item != NULL; item = item->next, n++) {
        for (unsigned i = 0; i < TLS_FINGERPRINT_BYTES; i++) {
            unsigned byte = 0;
            sscanf(item->text.ptr + 2 * (size_t)i, "%2x", &byte);
            c->fingerprints[n][i] = (unsigned char)byte;
        }
    }
}

/* Where systems keep the CAs that give anybody a certificate. */
enum { PLACES_MAX = 9, BUNDLE_MIN = 10 /* no system has fewer CAs */ };

static const char *public_place(unsigned n)
{
    const char *const known[PLACES_MAX] = {
        X509_get_default_cert_file(),
        X509_get_default_cert_dir(),
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/ssl/certs",
        "/etc/ssl/cert.pem",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
        "/usr/share/ca-certificates"};
    return known[n];
}

/* Clients verified against these could be anybody. */
static bool is_public(const char *path)
{
    char real[PATH_MAX], other[PATH_MAX];
    bool found = false;
    for (unsigned i = 0; i < PLACES_MAX && realpath(path, real); i++) {
        found = found || (realpath(public_place(i), other) && strcmp(real, other) == 0);
    }
    return found;
}

/* Are most CAs of this bundle among them? Not all: a copy may be of another year. */
static bool has_most_of(STACK_OF(X509_OBJECT) * cas, const char *bundle)
{
    int error, all = 0, had = 0;
    BIO *bio = is_regular(bundle, &error) ? BIO_new_file(bundle, "r") : NULL;
    X509 *x = NULL;
    while (bio != NULL && (x = PEM_read_bio_X509(bio, NULL, NULL, "")) != NULL) {
        X509_NAME *name = X509_get_subject_name(x);
        all++;
        had += X509_OBJECT_retrieve_by_subject(cas, X509_LU_X509, name) != NULL;
        X509_free(x);
    }
    BIO_free(bio);
    ERR_clear_error();
    return all >= BUNDLE_MIN && had > all / 2;
}

/* A copy of the system's CAs, under whatever name. */
static bool is_public_copy(X509_STORE *store)
{
    STACK_OF(X509_OBJECT) *cas = X509_STORE_get0_objects(store);
    bool copy = false;
    for (unsigned i = 0; i < PLACES_MAX && sk_X509_OBJECT_num(cas) >= BUNDLE_MIN; i++) {
        copy = copy || has_most_of(cas, public_place(i));
    }
    return copy;
}

/* Where TLS_PEER_ACCESS tells the clients apart they may be anybody; but not where being
 * verified is all that counts. */
static bool refuse_item(struct tls_build *b, const struct tls_item *item)
{
    if (!b->profile->peers_named) {
        tls_error(b, item->at, "tls-client-ca-public",
                  "these CAs give anybody a certificate, so that everybody would be "
                  "verified; name a CA of your own, or of the partner, or tell the "
                  "clients of each channel that asks for certificates apart in "
                  "TLS_PEER_ACCESS, by subject or fingerprint");
        return false;
    }
    if (b->profile->peer_switch_at.source != 0) {
        tls_warning(
            b, b->profile->peer_switch_at, "tls-client-ca-public",
            "everybody can come by this, as the CAs of the profile give anybody a "
            "certificate; leave the switch to TLS_PEER_ACCESS");
    }
    return true;
}

/* copy: it is not known which of them brought them. */
static bool refuse_public(struct tls_build *b, bool copy)
{
    static const enum tls_option options[] = {
        TLS_OPTION_client_ca_file, TLS_OPTION_client_ca_dir, TLS_OPTION_client_ca_store};
    bool ok = true;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const struct tls_item *item = b->profile->settings[options[i]].items;
        for (; item != NULL; item = item->next) {
            char path[PATH_MAX];
            str file = tls_file_path(item->text);
            snprintf(path, sizeof path, "%.*s", STR_ARG(file));
            if (copy || is_public(path)) {
                ok = refuse_item(b, item) && ok;
            }
        }
    }
    return ok;
}

static bool use_server_cas(struct tls_build *b, X509_STORE *store)
{
    bool ok = refuse_public(b, false);
    if (ok && b->files != TLS_FILES_NONE) {
        ok = add_all(b, store, TLS_OPTION_client_ca_file, add_file);
        ok = add_all(b, store, TLS_OPTION_client_ca_dir, add_folder) && ok;
        ok = add_all(b, store, TLS_OPTION_client_ca_store, add_store) && ok;
        ok = (!is_public_copy(store) || refuse_public(b, true)) && ok;
    }
    return ok;
}

static bool use_client_cas(struct tls_build *b, X509_STORE *store)
{
    bool ok = true;
    use_fingerprints(b);
    if (b->files != TLS_FILES_NONE) {
        ok = add_all(b, store, TLS_OPTION_ca_file, add_file);
        ok = add_all(b, store, TLS_OPTION_ca_dir, add_folder) && ok;
        ok = add_all(b, store, TLS_OPTION_ca_store, add_store) && ok;
        if (b->profile->ca_system && b->profile->verifies) {
            X509_STORE_set_default_paths_ex(store, b->context->library, tls_propquery(b));
            ERR_clear_error(); /* a system without CAs verifies nobody */
        }
    }
    return ok;
}

/* The names of the CAs, for the client to choose a certificate by. */
static void send_names(SSL_CTX *ssl, X509_STORE *store)
{
    STACK_OF(X509) *all = X509_STORE_get1_all_certs(store);
    for (int i = 0; i < sk_X509_num(all); i++) {
        check(SSL_CTX_add_client_CA(ssl, sk_X509_value(all, i)) == 1);
    }
    sk_X509_pop_free(all, X509_free);
}

bool tls_use_trust(struct tls_build *b, SSL_CTX *ssl)
{
    X509_STORE *store = X509_STORE_new();
    check(store != NULL);
    bool server = b->context->server;
    bool ok = server ? use_server_cas(b, store) : use_client_cas(b, store);
    if (server && b->profile->send_ca_names) {
        send_names(ssl, store);
    }
    /* Our own chain is what its file holds: the CAs are for the others. */
    SSL_CTX_set_mode(ssl, SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_cert_store(ssl, store);
    tls_verify_prepare(ssl);
    return ok;
}

void tls_share_trust(SSL_CTX *from, SSL_CTX *to)
{
    const STACK_OF(X509_NAME) *names = SSL_CTX_get_client_CA_list(from);
    SSL_CTX_set_mode(to, SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set1_cert_store(to, SSL_CTX_get_cert_store(from));
    if (sk_X509_NAME_num(names) > 0) {
        SSL_CTX_set_client_CA_list(to, SSL_dup_CA_list(names));
    }
    tls_verify_prepare(to);
}
