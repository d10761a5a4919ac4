/* tls_describe: what certificates of our own say, put down when they are read, so that
 * nobody has to ask OpenSSL when an operator does. */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "base/check.h"
#include "channels/tls_context.h"

/* More names than this are cut: the text is for people. */
enum { NAMES_TEXT_MAX = 2048 };

bool tls_print_name(char *out, size_t size, const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    check(bio != NULL);
    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    long len = BIO_get_mem_data(bio, &text);
    int n = snprintf(out, size, "%.*s", (int)(len < 0 ? 0 : len), text);
    BIO_free(bio);
    return n >= 0 && (size_t)n < size && n == len;
}

int64_t tls_time_ms(const ASN1_TIME *t)
{
    struct tm tm;
    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

static str names_text(struct arena *a, const X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    check(bio != NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        BIO_puts(bio, i > 0 ? ", " : "");
        GENERAL_NAME_print(bio, sk_GENERAL_NAME_value(names, i));
    }
    long len = BIO_get_mem_data(bio, &text);
    str all = str_n(text, len < 0 ? 0 : (size_t)len);
    str out = arena_str(a, str_sub(all, 0, NAMES_TEXT_MAX));
    BIO_free(bio);
    GENERAL_NAMES_free(names);
    return out;
}

str tls_digest_text(struct arena *a, const unsigned char digest[TLS_FINGERPRINT_BYTES])
{
    char text[sizeof "sha256:" + 2 * TLS_FINGERPRINT_BYTES];
    size_t n = (size_t)snprintf(text, sizeof text, "sha256:");
    for (size_t i = 0; i < TLS_FINGERPRINT_BYTES; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%02x", digest[i]);
    }
    return arena_str(a, str_from(text));
}

static str fingerprint_text(struct arena *a, const X509 *cert)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    bool ok = X509_digest(cert, EVP_sha256(), digest, NULL) == 1;
    return ok ? tls_digest_text(a, digest) : STR("");
}

void tls_describe(struct arena *a, X509 *cert, struct tls_view_certificate *out)
{
    char subject[256];
    tls_print_name(subject, sizeof subject, X509_get_subject_name(cert));
    *out = (struct tls_view_certificate){
        .file = STR(""),
        .sni = STR(""),
        .subject = arena_str(a, str_from(subject)),
        .names = names_text(a, cert),
        .fingerprint = fingerprint_text(a, cert),
        .not_before_ms = tls_time_ms(X509_get0_notBefore(cert)),
        .not_after_ms = tls_time_ms(X509_get0_notAfter(cert)),
    };
    ERR_clear_error();
}

void tls_note_certificate(struct tls_build *b, str file, X509 *cert)
{
    struct tls_context *c = b->context;
    struct tls_view_certificate *v = vec_add(c->arena, &c->certificates);
    tls_describe(c->arena, cert, v);
    v->file = arena_str(c->arena, tls_shown(file));
    v->sni = arena_str(c->arena, b->sni);
}
