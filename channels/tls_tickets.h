/* tls_tickets: the keys under which a server wraps sessions for its clients (RFC 5077 and
 * RFC 8446 4.6.1). Shared by all loops, and by the contexts of one profile that follow
 * each other; never written anywhere. A key wraps for two hours and unwraps for two more,
 * which is as long as a ticket counts; then it is forgotten. */
#ifndef CHANNELS_TLS_TICKETS_H
#define CHANNELS_TLS_TICKETS_H

#include <openssl/ssl.h>
#include <stdint.h>

enum { TLS_TICKET_LIFE_S = 7200 };

struct tls_tickets;

/* Without a key yet, with one reference; never NULL. The last reference wipes and frees
 * them; *t is cleared. */
struct tls_tickets *tls_tickets_new(void);
struct tls_tickets *tls_tickets_ref(struct tls_tickets *t);
void tls_tickets_unref(struct tls_tickets **t);
/* Forgets keys that are too old, so that what was recorded cannot be read by who gets
 * hold of the memory later. To be called now and then. Any thread, as all here. */
void tls_tickets_tend(struct tls_tickets *t);
/* Moves their clock forward; for tests. */
void tls_tickets_age(struct tls_tickets *t, int64_t seconds);

/* For the callback of OpenSSL (SSL_CTX_set_tlsext_ticket_key_evp_cb): fills in name, iv
 * and keys, or finds the key by its name. 1: done; 2: done, with a key that no longer
 * wraps, so that a new ticket is due; 0: no such key, or none to be had: a full
 * handshake; -1: OpenSSL failed. */
int tls_tickets_apply(struct tls_tickets *t, const EVP_CIPHER *cipher,
                      unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *crypt,
                      EVP_MAC_CTX *mac, int wrap);

#endif
