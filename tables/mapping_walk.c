/* mapping_walk: the entries that can match a string. Lists of several keys are merged, so
 * that the order of the table is kept. */
#include <limits.h>

#include "tables/mapping_buckets.h"

/* More addresses in one string, or more lists, and all entries are tried instead: a
 * string made for it would otherwise cost more than that. */
enum { ADDRESSES_MAX = 32, LISTS_MAX = 64 };

/* The addresses in a string; one at each place where a block could match. */
struct addresses {
    unsigned count;
    struct {
        uint8_t size, bytes[16];
    } at[ADDRESSES_MAX];
};

/* The first place of an ascending list whose value is not below `value`. */
static const unsigned *lower_bound(const unsigned *at, const unsigned *end,
                                   unsigned value)
{
    while (at < end) {
        const unsigned *middle = at + (end - at) / 2;
        if (*middle < value) {
            at = middle + 1;
        } else {
            end = middle;
        }
    }
    return at;
}

static bool is_listed(const struct mapping_walk *w, const unsigned *end)
{
    for (unsigned i = 0; i < w->count; i++) {
        if (w->lists[i].end == end) {
            return true;
        }
    }
    return false;
}

static void walk_add(const struct mapping_index *x, const struct mapping_bucket *b,
                     unsigned from, struct arena *a, struct mapping_walk *w)
{
    if (b == NULL || b->count == 0 || w->count == LISTS_MAX) {
        return;
    }
    const unsigned *at = x->entries + b->first, *end = at + b->count;
    at = lower_bound(at, end, from);
    if (at == end || is_listed(w, end)) {
        return;
    }
    if (w->lists == NULL) {
        w->lists = arena_array(a, struct mapping_list, LISTS_MAX);
    }
    w->lists[w->count++] = (struct mapping_list){at, end};
}

/* The blocks of one of the lengths from `base` on that go with a text and hold the
 * address; lengths is a bit for each. */
static void walk_lengths(const struct mapping_index *x, const struct mapping_bucket *text,
                         const uint8_t *address, unsigned size, unsigned base,
                         uint64_t lengths, unsigned from, struct arena *a,
                         struct mapping_walk *w)
{
    for (; lengths != 0; lengths &= lengths - 1) {
        unsigned length = base + (unsigned)__builtin_ctzll(lengths);
        uint64_t hash = mapping_block_hash(text->hash, address, size, length);
        walk_add(x, mapping_bucket_find(x, hash), from, a, w);
    }
}

static void walk_blocks(const struct mapping_index *x, const struct mapping_bucket *text,
                        const uint8_t *address, unsigned size, unsigned from,
                        struct arena *a, struct mapping_walk *w)
{
    if (size == 4) {
        walk_lengths(x, text, address, size, 0, text->blocks->v4, from, a, w);
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        walk_lengths(x, text, address, size, 64 * i, text->blocks->v6[i], from, a, w);
    }
}

/* Can a block begin at that place? */
static bool is_place(const struct mapping_before *before, str text, size_t at)
{
    for (unsigned i = 0; i < before->count; i++) {
        str tail = before->tails[i];
        if (tail.len == 0
                ? at == 0
                : at >= tail.len && text.ptr[at - 1] == tail.ptr[tail.len - 1] &&
                      memcmp(text.ptr + at - tail.len, tail.ptr, tail.len) == 0) {
            return true;
        }
    }
    return before->anything;
}

/* Finds the addresses of one family that stand where a block can. False when there are
 * too many. */
static bool find_addresses(const struct mapping_before *before, str text, unsigned size,
                           struct addresses *out)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t bytes[16];
        if (!is_place(before, text, i) ||
            mapping_ip_read(str_from_pos(text, i), size, bytes) == 0) {
            continue;
        }
        if (out->count == ADDRESSES_MAX) {
            return false;
        }
        out->at[out->count].size = (uint8_t)size;
        memcpy(out->at[out->count++].bytes, bytes, size);
    }
    return true;
}

/* The pieces of one size in the text. */
static void walk_pieces(const struct mapping_index *x, str text, size_t size,
                        unsigned from, struct arena *a, struct mapping_walk *w)
{
    for (size_t i = 0; i + size <= text.len && w->count < LISTS_MAX; i++) {
        uint64_t hash = mapping_piece_hash(str_sub(text, i, size));
        walk_add(x, mapping_bucket_find(x, hash), from, a, w);
    }
}

/* The texts it can begin with, and the addresses in it. */
static void walk_texts(const struct mapping_index *x, str text,
                       const struct addresses *addresses, unsigned from, struct arena *a,
                       struct mapping_walk *w)
{
    uint64_t hash = MAPPING_HASH_START;
    size_t done = 0;
    for (size_t i = 0; i < x->texts.n && x->texts.at[i] <= text.len; i++) {
        size_t len = x->texts.at[i];
        hash = mapping_hash(hash, str_sub(text, done, len - done));
        done = len;
        const struct mapping_bucket *b = mapping_bucket_find(x, hash);
        walk_add(x, b, from, a, w);
        for (unsigned n = 0; b != NULL && b->blocks != NULL && n < addresses->count;
             n++) {
            walk_blocks(x, b, addresses->at[n].bytes, addresses->at[n].size, from, a, w);
        }
    }
}

void mapping_walk_begin(const struct mapping_index *x, str text, unsigned from,
                        struct arena *a, struct mapping_walk *w)
{
    struct addresses addresses;
    addresses.count = w->count = 0;
    w->next = w->end = 0;
    bool few = (!x->has_v4 || find_addresses(&x->before, text, 4, &addresses)) &&
               (!x->has_v6 || find_addresses(&x->before, text, 16, &addresses));
    if (few) {
        walk_texts(x, text, &addresses, from, a, w);
    }
    if (few && x->has_short) {
        walk_pieces(x, text, MAPPING_PIECE_SHORT, from, a, w);
    }
    if (few && x->has_long) {
        walk_pieces(x, text, MAPPING_PIECE_LONG, from, a, w);
    }
    if (!few || w->count == LISTS_MAX) {
        w->count = 0;
        w->next = from;
        w->end = x->entry_count;
    }
}

/* Takes an entry off all lists that begin with it: two addresses of one string can lie
 * in the same block. */
static void take(struct mapping_walk *w, unsigned entry)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct mapping_list *l = &w->lists[i];
        l->at += l->at < l->end && *l->at == entry;
    }
}

unsigned mapping_walk_next(struct mapping_walk *w)
{
    unsigned least = UINT_MAX;
    if (w->next < w->end) {
        return w->next++;
    }
    for (unsigned i = 0; i < w->count; i++) {
        const struct mapping_list *l = &w->lists[i];
        least = l->at < l->end && *l->at < least ? *l->at : least;
    }
    take(w, least);
    return least;
}
