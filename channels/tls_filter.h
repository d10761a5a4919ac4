/* tls_filter: one TLS session as tls_filter.c (its bytes) and tls_verify.c (the peer's
 * certificate) see it. Nobody else includes it. */
#ifndef CHANNELS_TLS_FILTER_H
#define CHANNELS_TLS_FILTER_H

#include "channels/tls_context.h"

struct tls_filter {
    struct tls_context *context;
    SSL *ssl;
    str in;           /* what OpenSSL has not read yet, during a call */
    struct buf *wire; /* where it writes to, during a call */
    bool established, closed, failed;
    char error[256];
    struct tls_facts facts;
    uint64_t began_ns; /* the handshake; a clock that nobody sets */
    enum tls_verify verify;
    char reference[TLS_NAMES_MAX][256]; /* names it may be for, "" for none */
    bool may_resume;                    /* the session may be kept, under: */
    unsigned char session_key[TLS_FINGERPRINT_BYTES];
    /* of the one that is offered: see tls_sessions.h; what its certificate proves */
    int64_t session_began_s;
    enum tls_verify session_verified;
    char reference_ip[64]; /* the address instead, "" for none */
};

/* tls_resume.c: a client offers to resume what was kept of an earlier session with this
 * host; the handshake is done: what should not be kept is dropped; it failed: nothing is
 * kept. */
void tls_resume_offer(struct tls_filter *f, str host);
void tls_resume_done(struct tls_filter *f);
void tls_resume_failed(struct tls_filter *f);
/* Does the certificate of a session that was set still prove what is wanted, by today's
 * date and CAs? It counts only if the peer resumes that session. */
bool tls_verify_again(struct tls_filter *f, enum tls_verify *proven);
/* The same without noting anything but the reason, in facts.verify_error. */
bool tls_verify_today(struct tls_filter *f);
/* "sha256:..." of a certificate's public key; "" if it has none that can be read. */
str tls_spki_text(struct arena *a, X509 *cert);
/* The handshake is done: fills in the facts. */
void tls_verify_note(struct tls_filter *f);

#endif
