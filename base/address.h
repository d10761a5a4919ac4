/* address: an RFC 5321 mailbox and path (4.1.2), parsed and printed. Slices point
 * into the parsed text or the arena given. Comparison of domains is case-blind, of
 * local parts exact. Bytes >= 0x80 are refused (SMTPUTF8 is not offered). */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include <stdbool.h>

#include "base/arena.h"

enum {
    ADDRESS_LOCAL_MAX = 64,   /* RFC 5321 4.5.3.1.1 */
    ADDRESS_DOMAIN_MAX = 255, /* 4.5.3.1.2 */
    ADDRESS_PATH_MAX = 256    /* 4.5.3.1.3, with the angle brackets */
};

struct address {
    str route;  /* source route without the final ':', e.g. "@a,@b"; empty if none */
    str local;  /* local part as written, quotes included */
    str domain; /* domain or address literal "[1.2.3.4]"; empty for "<postmaster>" */
};

/* Parses the text between the angle brackets (without them). "" is the null
 * sender: all fields empty. A local part without a domain is accepted (postmaster,
 * and bare names of local tools); the caller decides. Returns NULL when good, else
 * a constant English reason. Slices point into text. */
const char *address_parse(str text, struct address *out);
/* "local@domain" with the route in front ("@a,@b:local@domain") if there is one. */
str address_print(struct arena *a, const struct address *addr);
bool address_is_null(const struct address *addr);
/* Same mailbox: the route does not count, and "ann" is ann (RFC 5321 4.1.2). */
bool address_eq(const struct address *a, const struct address *b);
/* The local part without quotes and backslashes, in the arena. */
str address_unquote_local(struct arena *a, str local);
/* A local part has many spellings with quotes and backslashes; the shortest one of them,
 * in the arena. */
str address_canonical_local(struct arena *a, str local);
/* The other way round: what has no quotes gets those it needs. */
str address_quote_local(struct arena *a, str plain);
/* True for a syntactically good domain name (letters, digits, '-', '_', labels of
 * 1 to 63 octets that neither begin nor end with '-', 255 in all; no trailing dot). */
bool domain_name_ok(str name);
/* True for "[1.2.3.4]" or "[IPv6:...]" with a good address inside. */
bool domain_literal_ok(str literal);
/* True for a next hop that is a Unix socket, "unix:/PATH": *path is its absolute path, at
 * most 107 octets (sun_path). No domain of an address looks like that. */
enum { SOCKET_PATH_MAX = 107 };
bool socket_host_ok(str host, str *path);

#endif
