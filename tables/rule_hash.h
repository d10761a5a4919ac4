/* rule_hash: the hash of a key of the rule table: FNV-1a of the bytes in lower case, tag
 * and pattern one after the other. It stands in compiled images: changing it needs a new
 * version of their format. Internal to tables/. */
#ifndef TABLES_RULE_HASH_H
#define TABLES_RULE_HASH_H

#include "base/str.h"

static inline uint64_t rule_hash_add(uint64_t hash, str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        c = c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
        hash = (hash ^ c) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static inline uint32_t rule_hash(str tag, str pattern)
{
    uint64_t hash = rule_hash_add(UINT64_C(0xcbf29ce484222325), tag);

    hash = rule_hash_add(hash, pattern);
    return (uint32_t)(hash ^ (hash >> 32));
}

#endif
