/* tls_sessions: sessions with next hops that may be resumed. One set for each profile,
 * shared by all loops and by the contexts of it that follow each other. What a session
 * proves of the peer is not taken from here: it is verified again when it is used. */
#ifndef CHANNELS_TLS_SESSIONS_H
#define CHANNELS_TLS_SESSIONS_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

/* The newest are kept; one for each key. */
enum { TLS_SESSIONS_MAX = 512, TLS_SESSION_KEY_BYTES = 32 };

struct tls_sessions;

/* Empty, with one reference; never NULL. The last reference frees it with the sessions;
 * *s is cleared. */
struct tls_sessions *tls_sessions_new(void);
struct tls_sessions *tls_sessions_ref(struct tls_sessions *s);
void tls_sessions_unref(struct tls_sessions **s);
/* Keeps `session`, taking over the reference, in the place of an older one. began_s: when
 * the peer last showed its certificate, as tls_sessions_take() gave it for the session
 * that this one was resumed from; 0: now. Any thread. */
void tls_sessions_put(struct tls_sessions *s,
                      const unsigned char key[TLS_SESSION_KEY_BYTES],
                      SSL_SESSION *session, int64_t began_s);
/* A new reference, or NULL. One of TLS 1.3 is given once only (RFC 8446 C.4). Those that
 * are too old by what the server said, or began more than an hour ago, are thrown away.
 */
SSL_SESSION *tls_sessions_take(struct tls_sessions *s,
                               const unsigned char key[TLS_SESSION_KEY_BYTES],
                               int64_t *began_s);
/* It did no good. */
void tls_sessions_drop(struct tls_sessions *s,
                       const unsigned char key[TLS_SESSION_KEY_BYTES]);
/* How many are kept now. */
unsigned tls_sessions_count(struct tls_sessions *s);
/* Moves their clock forward; for tests. */
void tls_sessions_age(struct tls_sessions *s, int64_t seconds);

#endif
