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
    enum tls_verify verify;
    char reference[TLS_NAMES_MAX][256]; /* names it may be for, "" for none */
    char reference_ip[64];              /* the address instead, "" for none */
};

/* The handshake is done: fills in the facts. */
void tls_verify_note(struct tls_filter *f);

#endif
