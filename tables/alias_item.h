/* alias_item: what one item of an alias is (PMDF 3.1.1, 4.1), and the addresses in it.
 * Internal to tables/. */
#ifndef TABLES_ALIAS_ITEM_H
#define TABLES_ALIAS_ITEM_H

#include "base/address.h"

enum alias_item_kind {
    ALIAS_ITEM_ADDRESS,
    ALIAS_ITEM_HIDDEN,   /* :address */
    ALIAS_ITEM_FILE,     /* <path */
    ALIAS_ITEM_URL,      /* <ldap:... */
    ALIAS_ITEM_PARAMETER /* [NAME] value */
};

struct alias_item {
    enum alias_item_kind kind;
    str name;  /* of a parameter */
    str value; /* the address, path, URL or value; without quotes around all of it */
};
/* Slices of text. */
void alias_item_read(str text, struct alias_item *out);
/* "ldap://..." and its kin. */
bool alias_is_url(str text);

/* Finds the address in a mailbox as headers have it: "Ann (sales) <ann@example.com>".
 * NULL when it is one, else a constant reason; the address is in the arena or text. One
 * without a host has none afterwards either. */
const char *alias_address_read(struct arena *a, str text, struct address *out);

#endif
