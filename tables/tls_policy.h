/* tls_policy: what the configuration says about TLS for one channel in one direction,
 * flattened: built in, [*], defaults, the channel's line and its profile, where the last
 * one that says something counts. Each field keeps the place it came from; SPAN_NONE:
 * built in. Lives in struct channel. */
#ifndef TABLES_TLS_POLICY_H
#define TABLES_TLS_POLICY_H

#include "parser/keywords.h"
#include "tables/tls_profile.h"

struct tls_policy {
    const struct tls_profile *profile; /* never NULL once compiled */
    struct span profile_at;            /* of tlsprofile; SPAN_NONE: [*] */
    enum tls_level level; /* MUST where TLS begins with the first byte, or a verified
                           * certificate is a must */
    struct span level_at;
    /* Only of a server: */
    enum tls_injection injection;
    struct span injection_at;
    enum tls_peer peer; /* MAY where only tlspeerswitchchannel asks for a certificate */
    struct span peer_at;
    /* Only of a client: */
    bool implicit; /* TLS from the first byte */
    struct span implicit_at;
    enum tls_verify verify;
    struct span verify_at;
    bool fallback; /* as said; see tls_policy_falls_back() */
    struct span fallback_at;
};

/* The policies of a channel from its keywords, with a profile. */
void tls_policy_server(struct tls_policy *p, const struct channel_opts *o,
                       const struct tls_profile *profile);
void tls_policy_client(struct tls_policy *p, const struct channel_opts *o,
                       const struct tls_profile *profile);
/* Client: where TLS is offered and fails, may the mail go in clear? Never when TLS or a
 * verified certificate is a must: otherwise who is in between could choose it. */
bool tls_policy_falls_back(const struct tls_policy *p);
/* "no", "may", "must"; "no", "try", "ca", "host", "fp". */
const char *tls_level_name(enum tls_level level);
const char *tls_verify_name(enum tls_verify verify);

#endif
