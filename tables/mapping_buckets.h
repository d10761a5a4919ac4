/* mapping_buckets: the index of a mapping table from the inside: one hash table for keys
 * of three kinds: the literal text a pattern begins with; such a text together with a
 * block of addresses in the pattern; a piece of the longest literal text in the pattern.
 * Only the hashes of the keys are kept: keys with one hash share a bucket, and then an
 * entry is tried that cannot match. Internal to mapping_index.c, which fills it, and
 * mapping_walk.c. */
#ifndef TABLES_MAPPING_BUCKETS_H
#define TABLES_MAPPING_BUCKETS_H

#include "base/vec.h"
#include "tables/mapping_index.h"

enum { MAPPING_PIECE_SHORT = 4, MAPPING_PIECE_LONG = 8 };

/* How long the blocks are that go with a text: a bit for each length. */
struct mapping_lengths {
    uint64_t v4, v6[3];
};

/* The entries of one hash. */
struct mapping_bucket {
    uint64_t hash;
    unsigned first, count;          /* in index->entries */
    struct mapping_lengths *blocks; /* NULL: none go with this text */
};

/* Half of the hash stands beside the number: most look-ups find nothing, and see that
 * without touching a bucket. */
struct mapping_slot {
    uint32_t mark;   /* the upper half of the hash */
    unsigned bucket; /* + 1; 0: free */
};

/* What can stand directly before a block of addresses: the end of a literal text, or, if
 * anything is set, whatever a wildcard takes. An empty tail: the start of the string. */
enum { MAPPING_TAIL = 4, MAPPING_TAILS_MAX = 8 };
struct mapping_before {
    bool anything;
    unsigned count;
    str tails[MAPPING_TAILS_MAX];
};

struct mapping_index {
    struct arena *arena;
    VEC(struct mapping_bucket) buckets;
    struct mapping_slot *slots; /* a power of two, at most half of them used */
    size_t slot_count;
    unsigned *entries;
    unsigned entry_count;
    VEC(size_t) texts;   /* the lengths of the texts, ascending */
    bool has_v4, has_v6; /* there are blocks */
    struct mapping_before before;
    bool has_short, has_long; /* there are pieces */
};

#define MAPPING_HASH_START 14695981039346656037U
/* FNV-1a, so that the hash of a longer text goes on from that of a shorter one. */
uint64_t mapping_hash(uint64_t hash, str more);
/* Of a text, by its hash, and a block of addresses: the first `length` bits of the
 * address, which has `size` bytes. */
uint64_t mapping_block_hash(uint64_t text, const uint8_t *address, unsigned size,
                            unsigned length);
/* Of a piece: 4 or 8 bytes at once. */
uint64_t mapping_piece_hash(str piece);
/* The bucket of the hash, or NULL. */
const struct mapping_bucket *mapping_bucket_find(const struct mapping_index *x,
                                                 uint64_t hash);

#endif
