/* tls_context: what the files of TLS share: tls.c (the contexts of a configuration),
 * tls_files.c (certificates and keys), tls_params.c (protocols, ciphers, groups),
 * tls_trust.c (CAs), tls_filter.c and tls_verify.c (one session). Nobody else includes
 * it. */
#ifndef CHANNELS_TLS_CONTEXT_H
#define CHANNELS_TLS_CONTEXT_H

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/map.h"
#include "channels/tls.h"

enum { TLS_PROVIDERS_MAX = 8, TLS_FINGERPRINT_BYTES = 32 };

struct tls_context {
    atomic_uint refs;
    bool server;
    SSL_CTX *ssl;
    BIO_METHOD *bio; /* reads and writes the buffers of a struct tls_filter */
    /* server: what is shown to who asks for a name; "mail.here.test" or "*.here.test" ->
     * SSL_CTX. NULL: there are none. */
    struct map *names;
    struct arena *arena; /* of names */
    /* client: what tlsverifyfp compares with */
    unsigned char (*fingerprints)[TLS_FINGERPRINT_BYTES];
    unsigned fingerprint_count;
    /* Providers are loaded into a library context of their own; NULL: the usual one. */
    OSSL_LIB_CTX *library;
    OSSL_PROVIDER *providers[TLS_PROVIDERS_MAX];
    unsigned provider_count;
};

/* One context while it is made. */
struct tls_build {
    struct tls_context *context;
    const struct tls_profile *profile;
    enum tls_files files;
    bool common_told; /* what is wrong with providers, ciphers, groups has been said */
    struct diags *diags;
    char propquery[256]; /* "" : none */
};

/* As diag_error() and diag_warning(); but what sections inherit from each other is built
 * for each of them, and told once. */
void tls_error(struct tls_build *b, struct span at, const char *slug, const char *fmt,
               ...) __attribute__((format(printf, 4, 5)));
void tls_warning(struct tls_build *b, struct span at, const char *slug, const char *fmt,
                 ...) __attribute__((format(printf, 4, 5)));
/* tls_files.c: puts these certificates and their keys (no keys: they are in the files of
 * the certificates) into ssl. purpose: X509_PURPOSE_SSL_SERVER or _CLIENT. Reports all
 * that is wrong with them; false when an error was. */
bool tls_use_certificates(struct tls_build *b, SSL_CTX *ssl, const struct tls_item *certs,
                          const struct tls_item *keys, int purpose);
/* tls_files.c: puts the parameters of a file into ssl. */
bool tls_use_dh_params(struct tls_build *b, SSL_CTX *ssl, const struct tls_item *file);
/* tls_params.c: protocols, ciphers, groups and all that is the same for every profile.
 * Reports what the profile says wrong. */
bool tls_use_params(struct tls_build *b, SSL_CTX *ssl);

/* tls_trust.c: CAs and fingerprints by which the peers of b->context are verified; what
 * is missing is reported. Once for each context; tls_share_trust() gives them to others.
 */
bool tls_use_trust(struct tls_build *b, SSL_CTX *ssl);
void tls_share_trust(SSL_CTX *from, SSL_CTX *to);
/* tls_verify.c: makes a context ask us about every certificate. */
void tls_verify_prepare(SSL_CTX *ssl);

/* The BIO between OpenSSL and a filter's buffers; its data is the struct tls_filter.
 * NULL when memory is exhausted. */
BIO_METHOD *tls_filter_bio(void);

/* The reason of the oldest error in this thread's OpenSSL queue, one line in English,
 * into out; clears the queue. */
void tls_take_error(char *out, size_t size);
const char *tls_propquery(const struct tls_build *b); /* NULL: none */

#endif
