/* tls_chain: what a next hop has shown of itself, for `pointsman tls probe`: contexts
 * without a daemon, the certificates of a session, and what they would prove. */
#ifndef CHANNELS_TLS_CHAIN_H
#define CHANNELS_TLS_CHAIN_H

#include "channels/tls.h"

/* One certificate of a peer's chain. Its texts are the peer's: any bytes but NUL. */
struct tls_peer_certificate {
    struct tls_view_certificate is; /* file and sni are empty */
    str issuer;                     /* RFC 4514 */
    str key;                        /* "RSA, 2048 bits", "EC, 256 bits" */
    str signature;                  /* "ecdsa-with-SHA256" */
    str spki;                       /* "sha256:..." of the public key */
};

/* The context for next hops of one profile, without a configuration around it. Faults are
 * reported; NULL: it cannot be used. */
struct tls_context *tls_context_alone(const struct tls_profile *p, enum tls_files files,
                                      struct diags *d);

/* After DONE, of a client: the certificates as the peer sent them, its own first; at most
 * max. Returns their number. */
unsigned tls_filter_chain(const struct tls_filter *f, struct arena *a,
                          struct tls_peer_certificate *out, unsigned max);
/* After DONE, of a client: would the certificate do for `level` (CA, HOST, FP)? Judged as
 * a delivery judges it. why: if not, one line. */
bool tls_filter_proves(struct tls_filter *f, enum tls_verify level, char *why,
                       size_t size);
/* Has the context fingerprints that FP could be proven by? */
bool tls_context_pins(const struct tls_context *c);

#endif
