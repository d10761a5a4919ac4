/* mapping_buckets: the index of a mapping table from the inside: one hash table for keys
 * of three kinds. Internal to mapping_index.c, which fills it, and mapping_walk.c. text
 * the literal text a pattern begins with text, NUL, block           that text, and a
 * block of addresses in the pattern SOH, piece                 a piece of the longest
 * literal text in the pattern */
#ifndef TABLES_MAPPING_BUCKETS_H
#define TABLES_MAPPING_BUCKETS_H

#include "base/vec.h"
#include "tables/mapping_index.h"

enum { MAPPING_PIECE_SHORT = 4, MAPPING_PIECE_LONG = 8, MAPPING_BLOCK_KEY = 19 };

/* How long the blocks are that go with a text: a bit for each length. */
struct mapping_lengths {
    uint64_t v4, v6[3];
};

/* The entries of one key. */
struct mapping_bucket {
    uint64_t hash;
    str key;
    unsigned first, count;          /* in index->entries */
    struct mapping_lengths *blocks; /* NULL: none go with this text */
};

struct mapping_index {
    struct arena *arena;
    VEC(struct mapping_bucket) buckets;
    unsigned *slots; /* bucket + 1; 0: free; a power of two, at most half of them used */
    size_t slot_count;
    unsigned *entries;
    unsigned entry_count;
    VEC(size_t) texts;        /* the lengths of the texts, ascending */
    bool has_v4, has_v6;      /* there are blocks */
    bool has_short, has_long; /* there are pieces */
};

#define MAPPING_HASH_START 14695981039346656037U
/* FNV-1a, so that the hash of a longer text goes on from that of a shorter one. */
uint64_t mapping_hash(uint64_t hash, str more);
/* The slot of the key text + tail, or the free one where it belongs. */
unsigned *mapping_slot(const struct mapping_index *x, uint64_t hash, str text, str tail);
/* The bucket of the key text + tail, or NULL. */
const struct mapping_bucket *mapping_bucket_find(const struct mapping_index *x,
                                                 uint64_t hash, str text, str tail);
/* What stands behind the text of a block's key; in storage. */
str mapping_block_key(const uint8_t *address, unsigned size, unsigned length,
                      char storage[MAPPING_BLOCK_KEY]);

#endif
