/* rule_hash: the hash of a key of the rule table, case-blind. It stands in compiled
 * images: changing it needs a new version of their format. Internal to tables/. */
#ifndef TABLES_RULE_HASH_H
#define TABLES_RULE_HASH_H

#include "base/str.h"

static inline uint32_t rule_hash(str key)
{
    return (uint32_t)str_ihash(key);
}

#endif
