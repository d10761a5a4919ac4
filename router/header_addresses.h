/* header_addresses: the value of an address field taken apart (RFC 5322 3.4 and 4.4):
 * names, comments, groups, quoted strings, routes, folds. Every octet of the value is in
 * exactly one item, so what is not touched is kept as it was. */
#ifndef ROUTER_HEADER_ADDRESSES_H
#define ROUTER_HEADER_ADDRESSES_H

#include <stdbool.h>

#include "base/address.h"
#include "base/vec.h"

enum { HEADER_ITEMS_MAX = 40000 }; /* twice HEADER_WORK_MAX: empty ones count here */

/* What stands up to a separator. */
struct header_item {
    str raw;  /* without the separator */
    char end; /* ',' or ';', ':' behind the name of a group, 0 at the end of the value */
    bool in_group;
    bool angle; /* the address stands in angle brackets */
    str spot;   /* the address in raw, between the brackets if there are any; ptr NULL:
                   there is none, or none that can be read */
    struct address address;
};
struct header_items {
    VEC(struct header_item) list;
};

/* Fills in *out, in the arena; slices of value but where an address has blanks or
 * comments inside. false: something begins and does not end, there are brackets too many,
 * or more than HEADER_ITEMS_MAX items; the field is best left alone. An address is
 * whatever address_parse() takes, a bare word too; but not a quoted string or an encoded
 * word that stand alone: they are names that somebody forgot an address behind. */
bool header_addresses(str value, struct arena *a, struct header_items *out);
/* Nothing but blanks and comments? */
bool header_is_blank(str text);

#endif
