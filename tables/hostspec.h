/* hostspec: which host an address is routed by next, in the order of PMDF 2.2.3.1:
 * source route entries, the host right of '@', the host right of the last single '%'
 * of the local part, the host left of its first '!'. What stands in a quoted string
 * is data. */
#ifndef TABLES_HOSTSPEC_H
#define TABLES_HOSTSPEC_H

#include "base/address.h"
#include "parser/keywords.h"

enum hostspec_kind {
    HOSTSPEC_NONE, /* a bare local part */
    HOSTSPEC_ROUTE,
    HOSTSPEC_AT,
    HOSTSPEC_PERCENT,
    HOSTSPEC_BANG
};

struct hostspec {
    enum hostspec_kind kind;
    str host; /* literals in canonical form; may be empty or no host name at all */
    str user; /* what $U gives: for a route the rest of the address */
};

/* Finds the next host spec. `order` is that of the source channel: which of '%' and '!'
 * in a local part comes first, or that '!' is data. Slices point into addr or the arena.
 */
void hostspec_extract(struct arena *a, const struct address *addr,
                      enum bang_percent order, struct hostspec *out);
/* addr without the host spec that hostspec_extract() found in it. */
struct address hostspec_strip(const struct address *addr, const struct hostspec *spec);
/* addr with the host spec replaced by what a template made of it: user and domain
 * (PMDF 2.2.3.4). Returns NULL, or why the result is no address. */
const char *hostspec_replace(struct arena *a, const struct hostspec *spec, str user,
                             str domain, struct address *out);
/* Splits "@a,@b" into its first host and the rest ("@b"). */
void hostspec_route_first(str route, str *host, str *rest);

#endif
