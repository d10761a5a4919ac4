/* mapping_index: which entries of a table can match a string at all, in their order. An
 * entry is filed under the literal text its pattern begins with, together with the first
 * block of addresses in it, if there is one; or, in a table with many patterns that only
 * have literal text further on, under a piece of that. A look-up costs a hash for each
 * length of such texts, for each address in the string one for each length of such
 * blocks, and one or two for each position when there are pieces, whatever the number of
 * entries. Internal to the mapping engine. */
#ifndef TABLES_MAPPING_INDEX_H
#define TABLES_MAPPING_INDEX_H

#include "tables/mapping_pattern.h"

struct mapping_index;

/* Files n patterns; they are borrowed. */
struct mapping_index *mapping_index_new(struct arena *a,
                                        const struct mapping_pattern *const *patterns,
                                        unsigned n);

/* A walk over the entries that can match one string. */
struct mapping_list {
    const unsigned *at, *end; /* entries not yet given, ascending */
};
struct mapping_walk {
    struct mapping_list *lists;
    unsigned count;
    unsigned next, end; /* all entries, when there are too many lists */
};

/* Begins a walk over the entries for text, from entry `from` on. Storage of the walk is
 * in the arena and is used again. Walks must not outlive the index. */
void mapping_walk_begin(const struct mapping_index *index, str text, unsigned from,
                        struct arena *a, struct mapping_walk *w);
/* The next entry, in ascending order, or UINT_MAX. */
unsigned mapping_walk_next(struct mapping_walk *w);

#endif
