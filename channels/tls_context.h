/* tls_context: what the files of TLS share: tls.c (one context),
 * tls_files.c (certificates and keys), tls_params.c (protocols, ciphers, groups),
 * tls_trust.c (CAs), tls_contexts.c (those of a configuration), tls_filter.c and
 * tls_verify.c (one session). Nobody else includes it. */
#ifndef CHANNELS_TLS_CONTEXT_H
#define CHANNELS_TLS_CONTEXT_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/map.h"
#include "base/vec.h"
#include "channels/tls.h"

enum { TLS_PROVIDERS_MAX = 8, TLS_FINGERPRINT_BYTES = 32 };

/* What outlives one configuration: the list of all contexts. A new context finds in it
 * those before it, and takes over what may be shared. Counted. */
struct tls_registry {
    atomic_uint refs;
    pthread_mutex_t lock; /* also for the tables of every struct tls_contexts */
    struct tls_context *first;
};

struct tls_sessions;
struct tls_tickets;

struct tls_context {
    atomic_uint refs;
    atomic_uint sessions; /* filters that have it */
    struct tls_registry *registry;
    struct tls_context *next, **prev; /* of the registry; prev NULL: not in it */
    unsigned index;                   /* of the profile */
    str profile;                      /* its name */
    int64_t loaded_ms;
    VEC(struct tls_view_certificate) certificates;
    unsigned char identity[TLS_FINGERPRINT_BYTES]; /* see tls_identity.c */
    struct tls_tickets *tickets;                   /* server */
    EVP_CIPHER *ticket_cipher;
    struct tls_sessions *resumable; /* client; NULL: not by this profile */
    bool server;
    SSL_CTX *ssl;
    BIO_METHOD *bio; /* reads and writes the buffers of a struct tls_filter */
    /* server: what is shown to who asks for a name; "mail.here.test" or "*.here.test" ->
     * SSL_CTX. NULL: there are none. */
    struct map *names;
    struct arena *arena;      /* of names and certificates */
    const char *other_groups; /* client: groups_retry; NULL: there are none */
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
    bool lists_checked; /* word by word, for an earlier context of the profile */
    bool common_told;   /* what is wrong with providers, ciphers, groups has been said */
    struct diags *diags;
    str sni;             /* the name whose certificates are read; empty: those of all */
    char propquery[256]; /* "" : none */
};

/* As diag_error() and diag_warning(); but what sections inherit from each other is built
 * for each of them, and told once. */
void tls_error(struct tls_build *b, struct span at, const char *slug, const char *fmt,
               ...) __attribute__((format(printf, 4, 5)));
void tls_warning(struct tls_build *b, struct span at, const char *slug, const char *fmt,
                 ...) __attribute__((format(printf, 4, 5)));
/* tls.c: one context, entered in the registry; NULL: reported. */
struct tls_context *tls_context_new(struct tls_build b, bool server,
                                    struct tls_registry *registry);
/* tls_contexts.c */
struct tls_registry *tls_registry_new(void);
struct tls_registry *tls_registry_ref(struct tls_registry *r);
void tls_registry_unref(struct tls_registry **r);

/* tls_identity.c: computes the identity; then, under the lock of the registry, takes over
 * from those before it, or makes, what sessions are resumed by. */
void tls_identify(struct tls_context *c, const struct tls_profile *p);
void tls_inherit(struct tls_context *c, const struct tls_profile *p);
bool tls_same_identity(const struct tls_context *a, const struct tls_context *b);
/* tls_resume.c: makes the context resume sessions, if its profile wants that. */
void tls_resume_prepare(struct tls_build *b);

/* tls_describe.c: notes what the certificate from this file says, for
 * tls_contexts_each(). */
void tls_note_certificate(struct tls_build *b, str file, X509 *cert);
/* The same for any certificate: all but file and sni. */
void tls_describe(struct arena *a, X509 *cert, struct tls_view_certificate *out);
/* "sha256:..." */
str tls_digest_text(struct arena *a, const unsigned char digest[TLS_FINGERPRINT_BYTES]);
/* The time of a certificate, milliseconds since 1970. */
int64_t tls_time_ms(const ASN1_TIME *t);
/* tls_describe.c: a name, RFC 4514, control bytes escaped. False: it was cut. */
bool tls_print_name(char *out, size_t size, const X509_NAME *name);
/* tls_files.c: a value as messages show it: what follows a '?' in a URI may be the PIN of
 * a token. */
str tls_shown(str path);

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
