/* nearest: see nearest.h. */
#include "tables/nearest.h"

enum {
    NEAREST_DISTANCE = 3,
    NEAREST_BUDGET = 2000000 /* comparisons: some tenths of a second */
};

str nearest_key(const struct map *m, str wrong, struct nearest_budget *b)
{
    str nearest = STR("");
    unsigned limit =
        wrong.len / 3 < NEAREST_DISTANCE ? (unsigned)wrong.len / 3 : NEAREST_DISTANCE;
    limit = limit > 0 ? limit : 1;
    unsigned least = limit + 1;
    size_t count = map_count(m);
    if (count > NEAREST_BUDGET - b->spent) {
        return nearest;
    }
    b->spent += count;
    for (size_t i = 0; i < count; i++) {
        str key;
        map_at(m, i, &key);
        unsigned d = str_distance(wrong, key, limit);
        if (d < least && d < key.len) {
            least = d;
            nearest = key;
        }
    }
    return nearest;
}
