/* tls_context: what tls.c (contexts from files) and tls_filter.c (one session) share.
 * Nobody else includes it. */
#ifndef CHANNELS_TLS_CONTEXT_H
#define CHANNELS_TLS_CONTEXT_H

#include <openssl/ssl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct tls_context {
    atomic_uint refs;
    bool server;
    SSL_CTX *ssl;
    BIO_METHOD *bio; /* reads and writes the buffers of a struct tls_filter */
};

/* The BIO between OpenSSL and a filter's buffers; its data is the struct tls_filter.
 * NULL when memory is exhausted. */
BIO_METHOD *tls_filter_bio(void);

/* The reason of the oldest error in this thread's OpenSSL queue, one line in English,
 * into out; clears the queue. */
void tls_take_error(char *out, size_t size);

#endif
