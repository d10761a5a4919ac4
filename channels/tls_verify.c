/* tls_verify: the certificate of a peer: is it what the session wants (RFC 5280, RFC
 * 9525), and what the log and the tables are told of it. */
#include <ctype.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/check.h"
#include "channels/tls_filter.h"

enum { CHAIN_DEPTH_MAX = 10 };

/* --- what is noted --- */

static bool spki_digest(X509 *cert, unsigned char out[TLS_FINGERPRINT_BYTES])
{
    unsigned char *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    bool ok = len > 0 && EVP_Digest(der, (size_t)len, out, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return ok;
}

str tls_spki_text(struct arena *a, X509 *cert)
{
    unsigned char digest[TLS_FINGERPRINT_BYTES];
    return spki_digest(cert, digest) ? tls_digest_text(a, digest) : STR("");
}

static void note_peer(struct tls_facts *f, X509 *cert)
{
    unsigned char digest[TLS_FINGERPRINT_BYTES];
    bool whole =
        tls_print_name(f->subject, sizeof f->subject, X509_get_subject_name(cert));
    whole =
        tls_print_name(f->issuer, sizeof f->issuer, X509_get_issuer_name(cert)) && whole;
    f->names_cut = !whole;
    if (spki_digest(cert, digest)) {
        size_t n = (size_t)snprintf(f->spki, sizeof f->spki, "sha256:");
        for (size_t i = 0; i < sizeof digest; i++) {
            n += (size_t)snprintf(f->spki + n, sizeof f->spki - n, "%02x", digest[i]);
        }
    }
}

/* --- verification --- */

static bool fingerprint_listed(const struct tls_context *c,
                               const unsigned char digest[TLS_FINGERPRINT_BYTES])
{
    bool found = false;
    for (unsigned i = 0; i < c->fingerprint_count; i++) {
        found = found || memcmp(c->fingerprints[i], digest, TLS_FINGERPRINT_BYTES) == 0;
    }
    return found;
}

/* The certificate's own fingerprint, or that of its key, which stays when it is renewed.
 * Names and dates do not matter: it is this one, or it is not. */
static bool verify_fingerprint(struct tls_filter *f, X509 *cert)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    bool ok = (spki_digest(cert, digest) && fingerprint_listed(f->context, digest)) ||
              (X509_digest(cert, EVP_sha256(), digest, NULL) == 1 &&
               fingerprint_listed(f->context, digest));
    if (!ok) {
        snprintf(f->facts.verify_error, sizeof f->facts.verify_error,
                 "the certificate has none of the fingerprints of the profile");
    }
    return ok;
}

/* SAN only, no common name; a wildcard stands for the whole left-most label. */
static bool want_names(const struct tls_filter *f, X509_VERIFY_PARAM *param)
{
    bool any = false;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (f->reference_ip[0] != '\0') {
        return X509_VERIFY_PARAM_set1_ip_asc(param, f->reference_ip) == 1;
    }
    for (int i = 0; i < TLS_NAMES_MAX; i++) {
        const char *name = f->reference[i];
        if (name[0] != '\0') {
            check(X509_VERIFY_PARAM_add1_host(param, name, strlen(name)) == 1);
            any = true;
        }
    }
    return any;
}

static void note_verify_error(struct tls_filter *f, int code)
{
    const char *first = f->reference_ip[0] ? f->reference_ip : f->reference[0];
    if (code == X509_V_ERR_HOSTNAME_MISMATCH || code == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        snprintf(f->facts.verify_error, sizeof f->facts.verify_error,
                 "the certificate is not for %.100s%s%.100s", first,
                 f->reference[1][0] ? " or " : "", f->reference[1]);
    } else {
        snprintf(f->facts.verify_error, sizeof f->facts.verify_error,
                 "the certificate does not verify: %s",
                 X509_verify_cert_error_string(code));
    }
}

static bool verify_chain(struct tls_filter *f, X509_STORE_CTX *x)
{
    if (f->verify != TLS_VERIFY_CA && !want_names(f, X509_STORE_CTX_get0_param(x))) {
        snprintf(f->facts.verify_error, sizeof f->facts.verify_error,
                 "there is no name the certificate could be for");
        return false;
    }
    bool ok = X509_verify_cert(x) == 1;
    if (!ok) {
        note_verify_error(f, X509_STORE_CTX_get_error(x));
    }
    return ok;
}

/* In the place of OpenSSL's own verification. */
static int on_certificate(X509_STORE_CTX *x, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_filter *f = SSL_get_app_data(ssl);
    X509 *cert = X509_STORE_CTX_get0_cert(x);
    (void)arg;
    f->facts.verified = TLS_VERIFY_NO;
    f->facts.verify_error[0] = '\0';
    if (f->verify == TLS_VERIFY_NO || cert == NULL) {
        return f->verify == TLS_VERIFY_NO;
    }
    bool ok =
        f->verify == TLS_VERIFY_FP ? verify_fingerprint(f, cert) : verify_chain(f, x);
    if (ok) {
        f->facts.verified = f->verify == TLS_VERIFY_TRY ? TLS_VERIFY_HOST : f->verify;
        X509_STORE_CTX_set_error(x, X509_V_OK);
    } else if (X509_STORE_CTX_get_error(x) == X509_V_OK) {
        X509_STORE_CTX_set_error(x, X509_V_ERR_APPLICATION_VERIFICATION);
    }
    return ok || f->verify == TLS_VERIFY_TRY || f->context->server;
}

static bool verify_chain_again(struct tls_filter *f, X509 *cert)
{
    X509_STORE_CTX *x = X509_STORE_CTX_new_ex(f->context->library, NULL);
    bool ok = x != NULL &&
              X509_STORE_CTX_init(x, SSL_CTX_get_cert_store(f->context->ssl), cert,
                                  SSL_get_peer_cert_chain(f->ssl)) == 1 &&
              X509_STORE_CTX_set_default(x, "ssl_server") == 1;
    if (ok) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(x);
        X509_VERIFY_PARAM_set_depth(param, CHAIN_DEPTH_MAX);
        X509_VERIFY_PARAM_set_auth_level(param, SSL_get_security_level(f->ssl));
        ok = verify_chain(f, x);
    }
    X509_STORE_CTX_free(x);
    return ok;
}

bool tls_verify_today(struct tls_filter *f)
{
    X509 *cert = SSL_get1_peer_certificate(f->ssl);
    bool ok = cert != NULL && (f->verify == TLS_VERIFY_FP ? verify_fingerprint(f, cert)
                                                          : verify_chain_again(f, cert));
    X509_free(cert);
    ERR_clear_error();
    return ok;
}

bool tls_verify_again(struct tls_filter *f, enum tls_verify *proven)
{
    *proven = TLS_VERIFY_NO;
    if (f->verify == TLS_VERIFY_NO) {
        return true;
    }
    bool ok = tls_verify_today(f);
    f->facts.verify_error[0] = '\0';
    if (ok) {
        *proven = f->verify == TLS_VERIFY_TRY ? TLS_VERIFY_HOST : f->verify;
    }
    return ok;
}

void tls_verify_prepare(SSL_CTX *ssl)
{
    SSL_CTX_set_cert_verify_callback(ssl, on_certificate, NULL);
    SSL_CTX_set_verify_depth(ssl, CHAIN_DEPTH_MAX);
}

/* --- after the handshake --- */

static void note_group(struct tls_facts *facts, SSL *ssl)
{
    int id = (int)SSL_get_negotiated_group(ssl);
    const char *name = id != 0 ? SSL_group_to_name(ssl, id) : NULL;
    snprintf(facts->group, sizeof facts->group, "%s", name != NULL ? name : "");
    facts->pq =
        strstr(facts->group, "MLKEM") != NULL || strstr(facts->group, "mlkem") != NULL;
}

void tls_verify_note(struct tls_filter *f)
{
    struct tls_facts *facts = &f->facts;
    const SSL_CIPHER *cipher = SSL_get_current_cipher(f->ssl);
    snprintf(facts->version, sizeof facts->version, "%s", SSL_get_version(f->ssl));
    snprintf(facts->cipher, sizeof facts->cipher, "%s", SSL_get_cipher_name(f->ssl));
    facts->bits = cipher != NULL ? SSL_CIPHER_get_bits(cipher, &facts->bits_alg) : 0;
    facts->resumed = SSL_session_reused(f->ssl) == 1;
    note_group(facts, f->ssl);
    X509 *peer = SSL_get1_peer_certificate(f->ssl);
    if (peer != NULL) {
        note_peer(facts, peer);
    } else if (f->verify != TLS_VERIFY_NO) {
        snprintf(facts->verify_error, sizeof facts->verify_error,
                 "no certificate was shown");
    }
    X509_free(peer);
    ERR_clear_error();
}
