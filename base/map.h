/* map: slice -> pointer hash table in an arena; iteration in insertion order. Keys
 * are borrowed: they must live as long as the map. Reading is thread-safe once the
 * map is no longer changed. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"

struct map;
enum map_case { MAP_CASE, MAP_NOCASE };

struct map *map_new(struct arena *a, enum map_case fold);
/* Adds key -> value unless the key is there; returns the value now stored. A NULL
 * value is not allowed. */
void *map_add(struct map *m, str key, void *value);
/* The value, or NULL. m may be NULL. */
void *map_get(const struct map *m, str key);
size_t map_count(const struct map *m);
/* The i-th entry in insertion order (i < map_count). key may be NULL. */
void *map_at(const struct map *m, size_t i, str *key);

#endif
