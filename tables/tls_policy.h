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
    enum tls_level level;
    struct span level_at;
};

#endif
