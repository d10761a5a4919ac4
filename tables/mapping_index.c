/* mapping_index: see mapping_index.h. One hash table holds all keys. A key is the literal
 * text a pattern begins with, or that text with a block of addresses, written behind it
 * as NUL, size, length, address. */
#include "tables/mapping_index.h"

#include <limits.h>

#include "base/check.h"
#include "base/vec.h"

/* So many addresses in one string are looked up; with more, all entries are tried. */
enum { ADDRESSES_MAX = 32 };

/* How long the blocks are that go with a text. */
struct lengths {
    uint64_t v4, v6[3];
};

/* The entries of one key. */
struct bucket {
    uint64_t hash;
    str key;
    unsigned first, count;  /* in index->entries */
    struct lengths *blocks; /* NULL: none go with this text */
};

struct mapping_index {
    struct arena *arena;
    VEC(struct bucket) buckets;
    unsigned *slots; /* bucket + 1; 0: free */
    size_t slot_count;
    unsigned *entries;
    unsigned entry_count;
    VEC(size_t) texts;   /* the lengths of the texts, ascending */
    bool has_v4, has_v6; /* there are blocks */
};

/* The addresses in a string; one at each place where a block could match. */
struct addresses {
    unsigned count;
    struct {
        uint8_t size, bytes[16];
    } at[ADDRESSES_MAX];
};

static const uint64_t HASH_START = 14695981039346656037U;

/* FNV-1a, so that the hash of a longer text goes on from that of a shorter one. */
static uint64_t hash_more(uint64_t hash, str more)
{
    for (size_t i = 0; i < more.len; i++) {
        hash = (hash ^ (unsigned char)more.ptr[i]) * 1099511628211U;
    }
    return hash;
}

/* The slot of the key text + tail, or the free one where it belongs. */
static unsigned *slot_of(const struct mapping_index *x, uint64_t hash, str text, str tail)
{
    for (size_t i = (size_t)(hash ^ hash >> 32);; i++) {
        unsigned *slot = &x->slots[i & (x->slot_count - 1)];
        const struct bucket *b = *slot != 0 ? &x->buckets.at[*slot - 1] : NULL;
        if (b == NULL ||
            (b->hash == hash && b->key.len == text.len + tail.len &&
             str_starts(b->key, text) && str_eq(str_from_pos(b->key, text.len), tail))) {
            return slot;
        }
    }
}

static const struct bucket *bucket_find(const struct mapping_index *x, uint64_t hash,
                                        str text, str tail)
{
    unsigned slot = *slot_of(x, hash, text, tail);
    return slot != 0 ? &x->buckets.at[slot - 1] : NULL;
}

/* The number of the bucket, a new one if need be. */
static unsigned bucket_add(struct mapping_index *x, str text, str tail)
{
    uint64_t hash = hash_more(hash_more(HASH_START, text), tail);
    unsigned *slot = slot_of(x, hash, text, tail);
    if (*slot == 0) {
        char *key = arena_alloc(x->arena, text.len + tail.len);
        memcpy(key, text.ptr, text.len);
        memcpy(key + text.len, tail.ptr, tail.len);
        *vec_add(x->arena, &x->buckets) =
            (struct bucket){.hash = hash, .key = str_n(key, text.len + tail.len)};
        *slot = (unsigned)x->buckets.n;
    }
    return *slot - 1;
}

/* What stands behind the text of a block's key; in `storage`. */
static str block_key(const uint8_t *address, unsigned size, unsigned length,
                     char storage[19])
{
    struct mapping_ip ip = {.size = (uint8_t)size, .length = (uint8_t)length};
    memcpy(ip.address, address, size);
    mapping_ip_mask(&ip);
    storage[0] = '\0';
    storage[1] = (char)size;
    storage[2] = (char)length;
    memcpy(storage + 3, ip.address, size);
    return str_n(storage, 3 + size);
}

static void add_length(struct mapping_index *x, unsigned bucket,
                       const struct mapping_ip *ip)
{
    struct bucket *b = &x->buckets.at[bucket];
    if (b->blocks == NULL) {
        b->blocks = arena_new_of(x->arena, struct lengths);
    }
    x->has_v4 = x->has_v4 || ip->size == 4;
    x->has_v6 = x->has_v6 || ip->size == 16;
    if (ip->size == 4) {
        b->blocks->v4 |= (uint64_t)1 << ip->length;
    } else {
        b->blocks->v6[ip->length / 64] |= (uint64_t)1 << ip->length % 64;
    }
}

static void add_text_length(struct mapping_index *x, size_t len)
{
    size_t i = 0;
    while (i < x->texts.n && x->texts.at[i] < len) {
        i++;
    }
    if (i < x->texts.n && x->texts.at[i] == len) {
        return;
    }
    vec_add(x->arena, &x->texts);
    memmove(x->texts.at + i + 1, x->texts.at + i,
            (x->texts.n - 1 - i) * sizeof *x->texts.at);
    x->texts.at[i] = len;
}

/* The first block of addresses in a pattern, or NULL. */
static const struct mapping_ip *block_of(const struct mapping_pattern *p)
{
    for (unsigned i = 0; i < p->count; i++) {
        if (p->elements[i].kind == ELEMENT_IP) {
            return p->elements[i].ip;
        }
    }
    return NULL;
}

/* The bucket an entry is filed in. */
static unsigned file_pattern(struct mapping_index *x, const struct mapping_pattern *p)
{
    const struct mapping_ip *ip = block_of(p);
    unsigned text = bucket_add(x, p->prefix, STR(""));
    char storage[19];
    add_text_length(x, p->prefix.len);
    if (ip == NULL) {
        return text;
    }
    add_length(x, text, ip);
    return bucket_add(x, p->prefix,
                      block_key(ip->address, ip->size, ip->length, storage));
}

/* Gives every bucket its place in x->entries, and its entries, in their order. */
static void fill(struct mapping_index *x, const unsigned *bucket_of, unsigned n)
{
    unsigned first = 0;
    x->entries = arena_array(x->arena, unsigned, n);
    x->entry_count = n;
    for (unsigned i = 0; i < n; i++) {
        x->buckets.at[bucket_of[i]].count++;
    }
    for (size_t b = 0; b < x->buckets.n; b++) {
        x->buckets.at[b].first = first;
        first += x->buckets.at[b].count;
        x->buckets.at[b].count = 0;
    }
    for (unsigned i = 0; i < n; i++) {
        struct bucket *b = &x->buckets.at[bucket_of[i]];
        x->entries[b->first + b->count++] = i;
    }
}

struct mapping_index *mapping_index_new(struct arena *a,
                                        const struct mapping_pattern *const *patterns,
                                        unsigned n)
{
    struct mapping_index *x = arena_new_of(a, struct mapping_index);
    x->arena = a;
    /* An entry makes two buckets at most. */
    for (x->slot_count = 8; x->slot_count < 4 * (size_t)n;) {
        x->slot_count *= 2;
    }
    x->slots = arena_array(a, unsigned, x->slot_count);
    unsigned *bucket_of = arena_array(a, unsigned, n);
    for (unsigned i = 0; i < n; i++) {
        bucket_of[i] = file_pattern(x, patterns[i]);
    }
    fill(x, bucket_of, n);
    return x;
}

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

static void walk_add(const struct mapping_index *x, const struct bucket *b, unsigned from,
                     struct arena *a, struct mapping_walk *w)
{
    if (b == NULL || b->count == 0) {
        return;
    }
    const unsigned *at = x->entries + b->first, *end = at + b->count;
    at = lower_bound(at, end, from);
    if (at == end) {
        return;
    }
    if (w->count == w->cap) {
        struct mapping_list *old = w->lists;
        w->cap = w->cap * 2 + 8;
        w->lists = arena_array(a, struct mapping_list, w->cap);
        if (w->count > 0) {
            memcpy(w->lists, old, w->count * sizeof *old);
        }
    }
    w->lists[w->count++] = (struct mapping_list){at, end};
}

/* The blocks that go with a text and hold the address. */
static void walk_blocks(const struct mapping_index *x, const struct bucket *text,
                        const uint8_t *address, unsigned size, unsigned from,
                        struct arena *a, struct mapping_walk *w)
{
    for (unsigned length = 0; length <= size * 8; length++) {
        uint64_t there = size == 4 ? text->blocks->v4 : text->blocks->v6[length / 64];
        if ((there >> length % 64 & 1) != 0) {
            char storage[19];
            str block = block_key(address, size, length, storage);
            uint64_t hash = hash_more(text->hash, block);
            walk_add(x, bucket_find(x, hash, text->key, block), from, a, w);
        }
    }
}

/* Finds the addresses of one family. False when there are too many. */
static bool find_addresses(str text, unsigned size, struct addresses *out)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t bytes[16];
        if (mapping_ip_read(str_from_pos(text, i), size, bytes) == 0) {
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

void mapping_walk_begin(const struct mapping_index *x, str text, unsigned from,
                        struct arena *a, struct mapping_walk *w)
{
    struct addresses addresses;
    uint64_t hash = HASH_START;
    size_t done = 0;
    addresses.count = w->count = 0;
    w->next = w->end = 0;
    if ((x->has_v4 && !find_addresses(text, 4, &addresses)) ||
        (x->has_v6 && !find_addresses(text, 16, &addresses))) {
        w->next = from;
        w->end = x->entry_count;
        return;
    }
    for (size_t i = 0; i < x->texts.n && x->texts.at[i] <= text.len; i++) {
        size_t len = x->texts.at[i];
        hash = hash_more(hash, str_sub(text, done, len - done));
        done = len;
        const struct bucket *b = bucket_find(x, hash, str_sub(text, 0, len), STR(""));
        walk_add(x, b, from, a, w);
        for (unsigned n = 0; b != NULL && b->blocks != NULL && n < addresses.count; n++) {
            walk_blocks(x, b, addresses.at[n].bytes, addresses.at[n].size, from, a, w);
        }
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
