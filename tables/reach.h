/* reach: on which channels a session can begin: the channels of the services, and
 * those the IP switch can lead to from there (PMDF 2.3.4.42). It errs on the side of
 * "can" where a rule's routing host is not literal text. */
#ifndef TABLES_REACH_H
#define TABLES_REACH_H

#include "tables/rule_table.h"
#include "tables/snapshot.h"

/* One entry per channel, by its index: a service from which a session gets there
 * before TLS has started, or with TLS from the first byte. NULL: none. */
struct reach {
    const struct service **plain, **implicit_tls;
};
/* Needs channels, hosts, rules and services of s. Results are in the arena. */
void reach_sources(const struct snapshot *s, struct arena *a, struct reach *out);
/* Can the domain literal of some client lead to this rule, and can it apply then? Not to
 * "." and "$*": whoever it is never switches. */
bool reach_takes_clients(const struct rule_record *r, const struct template *t);

/* Can a client on this channel begin TLS? Then it needs a certificate; *why is the line
 * that makes it so. */
bool reach_offers_tls(const struct reach *r, const struct channel *c, struct span *why);

#endif
