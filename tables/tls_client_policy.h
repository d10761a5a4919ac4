/* tls_client_policy: TLS_CLIENT_POLICY, the mapping table that says for each next hop
 * what TLS is wanted (docs/tls.md), and the policy that comes of it and of the channel.
 * Pure: the daemon acts on it, `pointsman tls` shows it.
 *
 * The table is asked twice. First with the next-hop domain alone, the fields of host and
 * address empty: this may say anything. Then with the host and address that are about to
 * be connected to: this may only raise, because who forges an MX answer chooses them. */
#ifndef TABLES_TLS_CLIENT_POLICY_H
#define TABLES_TLS_CLIENT_POLICY_H

#include "tables/mapping.h"
#include "tables/tls_entry.h"

#define TLS_CLIENT_POLICY "TLS_CLIENT_POLICY"

enum tls_client_part {
    TLS_CLIENT_CHANNEL,
    TLS_CLIENT_DOMAIN,
    TLS_CLIENT_MX,
    TLS_CLIENT_IP,
    TLS_CLIENT_DANE, /* `none`, until there is DANE; likewise MTA-STS */
    TLS_CLIENT_STS,
    TLS_CLIENT_PARTS
};

/* One entry as it was understood when the configuration was loaded. */
struct tls_client_entry {
    struct span at;
    str part[TLS_CLIENT_PARTS]; /* of the pattern, as written */
    bool constant;              /* `says` holds whenever the entry counts */
    struct tls_entry says;
    bool conditional; /* its template can fail */
    bool ends;        /* $E */
};

struct tls_client_table {
    const struct mapping *mapping;
    struct tls_client_entry *entries; /* those of the mapping, in their order */
    unsigned count;
    bool computed; /* some entry is not constant */
    bool *named;   /* for each profile: a constant entry names it */
};

struct tls_client_query {
    const struct snapshot *snapshot;
    const struct channel *channel;
    str domain; /* the next hop: a domain, or an address literal */
    str mx, ip; /* of the connection; ip empty: none is about to be made yet */
};

/* The policy of a connection. */
struct tls_client_answer {
    struct tls_policy policy; /* places are those of entries where they decided */
    bool mapped[TLS_FIELDS];  /* an entry decided it */
    bool pinned;              /* by an entry that decided something */
    struct span pinned_at;
    str fault; /* ptr not NULL: nothing may be sent now, and why */
    struct span fault_at;
};

/* Finds it; false with a fault. Texts are in the arena. */
bool tls_client_policy(const struct tls_client_query *q, struct arena *a,
                       struct tls_client_answer *out);
/* May some entry name the profile? */
bool tls_client_names(const struct snapshot *s, const struct tls_profile *p);

#endif
