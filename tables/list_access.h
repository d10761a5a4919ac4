/* list_access: who may post to a list: [AUTH_LIST], [CANT_CHANNEL] and the like (PMDF
 * 4.1.1). Pure. */
#ifndef TABLES_LIST_ACCESS_H
#define TABLES_LIST_ACCESS_H

#include "tables/alias.h"

enum list_verdict {
    LIST_MAY,
    LIST_MAY_NOT,
    LIST_UNKNOWN /* a file is missing, or a mapping was given up: for the time being */
};

/* May the sender (of the envelope, empty: null) post to the alias by that channel? *at is
 * the clause that decided, *why (in the arena) says why it is not known. */
enum list_verdict list_access(const struct snapshot *s, const struct alias *alias,
                              const struct channel *source, str sender, struct arena *a,
                              struct span *at, str *why);

#endif
