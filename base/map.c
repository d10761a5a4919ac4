/* map: entries in insertion order, and an open-addressed index (a power of two in
 * size, at most half full) of entry numbers, from 1. */
#include "base/map.h"

#include "base/check.h"
#include "base/vec.h"

struct map_entry {
    str key;
    uint64_t hash;
    void *value;
};

struct map {
    struct arena *arena;
    enum map_case fold;
    VEC(struct map_entry) entries;
    uint32_t *index;
    size_t index_size;
};

struct map *map_new(struct arena *a, enum map_case fold)
{
    struct map *m = arena_new_of(a, struct map);
    m->arena = a;
    m->fold = fold;
    return m;
}

static uint64_t key_hash(const struct map *m, str key)
{
    return m->fold == MAP_NOCASE ? str_ihash(key) : str_hash(key);
}

static bool key_eq(const struct map *m, const struct map_entry *e, str key, uint64_t hash)
{
    return e->hash == hash &&
           (m->fold == MAP_NOCASE ? str_ieq(e->key, key) : str_eq(e->key, key));
}

/* The index slot holding the key, or the free one where it belongs. */
static size_t map_slot(const struct map *m, str key, uint64_t hash)
{
    size_t slot = (size_t)hash & (m->index_size - 1);
    while (m->index[slot] != 0 &&
           !key_eq(m, &m->entries.at[m->index[slot] - 1], key, hash)) {
        slot = (slot + 1) & (m->index_size - 1);
    }
    return slot;
}

static void map_grow(struct map *m)
{
    m->index_size = m->index_size > 0 ? m->index_size * 2 : 16;
    m->index = arena_array(m->arena, uint32_t, m->index_size);
    for (size_t i = 0; i < m->entries.n; i++) {
        const struct map_entry *e = &m->entries.at[i];
        m->index[map_slot(m, e->key, e->hash)] = (uint32_t)(i + 1);
    }
}

void *map_add(struct map *m, str key, void *value)
{
    check(value != NULL);
    check(m->entries.n < UINT32_MAX / 2);
    if (m->entries.n * 2 >= m->index_size) {
        map_grow(m);
    }
    uint64_t hash = key_hash(m, key);
    size_t slot = map_slot(m, key, hash);
    if (m->index[slot] != 0) {
        return m->entries.at[m->index[slot] - 1].value;
    }
    *vec_add(m->arena, &m->entries) = (struct map_entry){key, hash, value};
    m->index[slot] = (uint32_t)m->entries.n;
    return value;
}

void *map_get(const struct map *m, str key)
{
    if (m == NULL || m->index_size == 0) {
        return NULL;
    }
    uint32_t i = m->index[map_slot(m, key, key_hash(m, key))];
    return i != 0 ? m->entries.at[i - 1].value : NULL;
}

size_t map_count(const struct map *m)
{
    return m != NULL ? m->entries.n : 0;
}

void *map_at(const struct map *m, size_t i, str *key)
{
    check(i < m->entries.n);
    if (key != NULL) {
        *key = m->entries.at[i].key;
    }
    return m->entries.at[i].value;
}
