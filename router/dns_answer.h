/* dns_answer: from the records of a reply to a struct dns_answer: names checked, MX
 * sorted, addresses mixed. Pure; the asking is in dns.c. */
#ifndef ROUTER_DNS_ANSWER_H
#define ROUTER_DNS_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "router/dns.h"

enum { DNS_NAME_SIZE = 256 };

/* What was found for one question (name and type). rdata in network format, borrowed. */
struct dns_part {
    enum dns_status status; /* OK, NONE or TEMPORARY */
    bool nxdomain, secure;
    const char *why; /* for TEMPORARY, e.g. "SERVFAIL" */
    const char *const *rdata;
    const int *rdata_len; /* one per rdata */
    unsigned count;
};

/* Copies a host name in lower case without its trailing dot. False unless it is made of
 * labels of 1 to 63 letters, digits, '-' and '_', at most 253 characters together
 * (RFC 1035 2.3.4; '_' occurs in the field). */
bool dns_name_normalise(str name, char out[DNS_NAME_SIZE]);

/* An address literal: "192.0.2.1", "2001:db8::1", "[192.0.2.1]", "[IPv6:2001:db8::1]"
 * (RFC 5321 4.1.3). True and a complete answer if it is one. */
bool dns_answer_literal(str text, struct dns_answer *a);

/* Fills a with the MX records of name: those with unusable names left out, the best
 * DNS_MX_MAX kept, sorted by preference, equal ones as they came. One record "." alone is
 * DNS_NULL_MX (RFC 7505 3). Records but no usable one: TEMPORARY. */
void dns_answer_mx(struct dns_answer *a, const char *name, const struct dns_part *part);

/* Fills a with addresses, IPv6 and IPv4 in turn, IPv6 first (RFC 8305 4). One family
 * answered is enough; none: TEMPORARY if either may come later, else NONE. */
void dns_answer_addresses(struct dns_answer *a, const char *name,
                          const struct dns_part *v6, const struct dns_part *v4);

/* The name under which the DNS keeps the name of an IPv4 or IPv6 address given as text
 * (RFC 1035 3.5, RFC 3596 2.5). False if it is no address. */
bool dns_reverse_name(str ip, char out[DNS_NAME_SIZE]);

/* Fills a with the first PTR record of name that is a host name and no address in the
 * form of one; records but no such: NONE. */
void dns_answer_name(struct dns_answer *a, const char *name, const struct dns_part *part);

/* Adds an address given in network order, 4 or 16 bytes; nothing when a is full. */
void dns_answer_add(struct dns_answer *a, const void *bytes, size_t size);

/* An answer without records. */
void dns_answer_fail(struct dns_answer *a, enum dns_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
