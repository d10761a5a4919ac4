/* general: the text database `general` that $(key) of rewrite templates (PMDF 2.2.6.8)
 * and
 * ${key} of mapping templates ask: a key, blanks, a value to the end of the line. Keys
 * are case-blind. */
#ifndef TABLES_GENERAL_H
#define TABLES_GENERAL_H

#include "tables/snapshot.h"

struct general_entry {
    str value;
    struct span at; /* of the value */
};

/* False: there is no such key. */
bool general_find(const struct snapshot *s, str key, str *value);

#endif
