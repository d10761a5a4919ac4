/* mapping_index: filing the entries of a table. Most tables have texts at the beginning
 * of their patterns, or addresses, that tell them apart. In a table like ORIG_SEND_ACCESS
 * it is an address somewhere in the pattern: there an entry is filed under a piece of its
 * longest literal text, the one of several that is the rarest in the table. */
#include "tables/mapping_buckets.h"

#include "base/map.h"

/* With fewer entries, trying all of them is faster than looking for pieces. */
enum { PIECES_MIN = 16, PIECES_TRIED = 8 };

uint64_t mapping_hash(uint64_t hash, str more)
{
    for (size_t i = 0; i < more.len; i++) {
        hash = (hash ^ (unsigned char)more.ptr[i]) * 1099511628211U;
    }
    return hash;
}

/* Constants of MurmurHash3's finalizer. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 33) * UINT64_C(0xff51afd7ed558ccd);
    value = (value ^ value >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return value ^ value >> 33;
}

uint64_t mapping_block_hash(uint64_t text, const uint8_t *address, unsigned size,
                            unsigned length)
{
    struct mapping_ip ip = {.size = (uint8_t)size, .length = (uint8_t)length};
    uint64_t parts[2];
    memcpy(ip.address, address, size);
    mapping_ip_mask(&ip);
    memcpy(parts, ip.address, sizeof parts);
    uint64_t hash = mix(text ^ parts[0] ^ (uint64_t)(size << 8 | length) << 32);
    return size == 4 ? hash : mix(hash ^ parts[1]);
}

uint64_t mapping_piece_hash(str piece)
{
    uint64_t value = 0;
    memcpy(&value, piece.ptr, piece.len);
    return mix(value + piece.len);
}

/* The slot of the hash, or the free one where it belongs. */
static struct mapping_slot *slot_of(const struct mapping_index *x, uint64_t hash)
{
    for (size_t i = (size_t)(hash ^ hash >> 32);; i++) {
        struct mapping_slot *slot = &x->slots[i & (x->slot_count - 1)];
        if (slot->bucket == 0 || (slot->mark == (uint32_t)(hash >> 32) &&
                                  x->buckets.at[slot->bucket - 1].hash == hash)) {
            return slot;
        }
    }
}

const struct mapping_bucket *mapping_bucket_find(const struct mapping_index *x,
                                                 uint64_t hash)
{
    unsigned bucket = slot_of(x, hash)->bucket;
    return bucket != 0 ? &x->buckets.at[bucket - 1] : NULL;
}

/* The number of the bucket, a new one if need be. */
static unsigned bucket_add(struct mapping_index *x, uint64_t hash)
{
    struct mapping_slot *slot = slot_of(x, hash);
    if (slot->bucket == 0) {
        *vec_add(x->arena, &x->buckets) = (struct mapping_bucket){.hash = hash};
        *slot = (struct mapping_slot){(uint32_t)(hash >> 32), (unsigned)x->buckets.n};
    }
    return slot->bucket - 1;
}

static void add_length(struct mapping_index *x, unsigned bucket,
                       const struct mapping_ip *ip)
{
    struct mapping_bucket *b = &x->buckets.at[bucket];
    if (b->blocks == NULL) {
        b->blocks = arena_new_of(x->arena, struct mapping_lengths);
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
static const struct mapping_element *block_of(const struct mapping_pattern *p)
{
    for (unsigned i = 0; i < p->count; i++) {
        if (p->elements[i].kind == ELEMENT_IP) {
            return &p->elements[i];
        }
    }
    return NULL;
}

/* Notes what stands before the block; with too many different texts, anything may. */
static void add_before(struct mapping_before *before, const struct mapping_pattern *p,
                       const struct mapping_element *block)
{
    const struct mapping_element *e = block - 1;
    str tail = STR("");
    if (block > p->elements && e->kind == ELEMENT_LITERAL) {
        size_t len = e->text.len;
        tail = str_from_pos(e->text, len > MAPPING_TAIL ? len - MAPPING_TAIL : 0);
    } else if (block > p->elements) {
        before->anything = true;
        return;
    }
    for (unsigned i = 0; i < before->count; i++) {
        if (str_eq(before->tails[i], tail)) {
            return;
        }
    }
    before->anything = before->anything || before->count == MAPPING_TAILS_MAX;
    if (!before->anything) {
        before->tails[before->count++] = tail;
    }
}

/* Is the entry filed under a piece of its longest text? */
static bool has_piece(const struct mapping_pattern *p)
{
    return p->needle.len >= MAPPING_PIECE_SHORT && p->needle.len > p->prefix.len &&
           block_of(p) == NULL;
}

/* The n-th of the pieces that come into question, from the first to the last. */
static str piece_of(const struct mapping_pattern *p, unsigned n)
{
    size_t size =
        p->needle.len >= MAPPING_PIECE_LONG ? MAPPING_PIECE_LONG : MAPPING_PIECE_SHORT;
    return str_sub(p->needle, (p->needle.len - size) * n / (PIECES_TRIED - 1), size);
}

/* How often each piece occurs; NULL when there are few entries with one. */
static struct map *count_pieces(struct arena *scratch,
                                const struct mapping_pattern *const *patterns, unsigned n)
{
    struct map *counts = map_new(scratch, MAP_CASE);
    unsigned with_piece = 0;
    for (unsigned i = 0; i < n; i++) {
        bool has = has_piece(patterns[i]);
        with_piece += has;
        for (unsigned k = 0; has && k < PIECES_TRIED; k++) {
            str piece = piece_of(patterns[i], k);
            unsigned *count = map_get(counts, piece);
            if (count == NULL) {
                count = map_add(counts, piece, arena_new_of(scratch, unsigned));
            }
            ++*count;
        }
    }
    return with_piece >= PIECES_MIN ? counts : NULL;
}

static unsigned file_by_piece(struct mapping_index *x, const struct map *counts,
                              const struct mapping_pattern *p)
{
    str rarest = piece_of(p, 0);
    for (unsigned k = 1; k < PIECES_TRIED; k++) {
        str piece = piece_of(p, k);
        const unsigned *count = map_get(counts, piece), *least = map_get(counts, rarest);
        rarest = *count < *least ? piece : rarest;
    }
    x->has_short = x->has_short || rarest.len == MAPPING_PIECE_SHORT;
    x->has_long = x->has_long || rarest.len == MAPPING_PIECE_LONG;
    return bucket_add(x, mapping_piece_hash(rarest));
}

/* The bucket an entry is filed in. */
static unsigned file_entry(struct mapping_index *x, const struct map *counts,
                           const struct mapping_pattern *p)
{
    if (counts != NULL && has_piece(p)) {
        return file_by_piece(x, counts, p);
    }
    const struct mapping_element *block = block_of(p);
    uint64_t hash = mapping_hash(MAPPING_HASH_START, p->prefix);
    unsigned text = bucket_add(x, hash);
    add_text_length(x, p->prefix.len);
    if (block == NULL) {
        return text;
    }
    add_length(x, text, block->ip);
    add_before(&x->before, p, block);
    return bucket_add(x, mapping_block_hash(hash, block->ip->address, block->ip->size,
                                            block->ip->length));
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
        struct mapping_bucket *b = &x->buckets.at[bucket_of[i]];
        x->entries[b->first + b->count++] = i;
    }
}

struct mapping_index *mapping_index_new(struct arena *a,
                                        const struct mapping_pattern *const *patterns,
                                        unsigned n)
{
    struct mapping_index *x = arena_new_of(a, struct mapping_index);
    struct arena *scratch = arena_new();
    const struct map *counts = count_pieces(scratch, patterns, n);
    unsigned *bucket_of = arena_array(scratch, unsigned, n);
    x->arena = a;
    /* An entry makes two buckets at most. */
    for (x->slot_count = 8; x->slot_count < 4 * (size_t)n;) {
        x->slot_count *= 2;
    }
    x->slots = arena_array(a, struct mapping_slot, x->slot_count);
    for (unsigned i = 0; i < n; i++) {
        bucket_of[i] = file_entry(x, counts, patterns[i]);
    }
    fill(x, bucket_of, n);
    arena_free(&scratch);
    return x;
}
