/* slugs: the rows of slugs.def as a table, and finding a name in it. */
#include "base/slugs.h"

enum { SLUG_SUGGEST_DISTANCE = 3 };

static const struct slug SLUGS[] = {
#define SLUG(slug_name, slug_severity, slug_text)                                        \
    {.name = slug_name, .severity = SLUG_##slug_severity, .text = slug_text},
#include "base/slugs.def"
};
enum { SLUG_COUNT = sizeof SLUGS / sizeof *SLUGS };

const struct slug *slug_find(str name)
{
    size_t low = 0, high = SLUG_COUNT;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(name, str_from(SLUGS[middle].name));
        if (order == 0) {
            return &SLUGS[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct slug *slug_nearest(str name)
{
    const struct slug *best = NULL;
    unsigned least = SLUG_SUGGEST_DISTANCE + 1;
    for (size_t i = 0; i < SLUG_COUNT; i++) {
        unsigned d = str_distance(name, str_from(SLUGS[i].name), SLUG_SUGGEST_DISTANCE);
        best = d < least ? &SLUGS[i] : best;
        least = d < least ? d : least;
    }
    return best;
}

const struct slug *slug_at(size_t i)
{
    return i < SLUG_COUNT ? &SLUGS[i] : NULL;
}

size_t slug_index(const struct slug *s)
{
    return (size_t)(s - SLUGS);
}
