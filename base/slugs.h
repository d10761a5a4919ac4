/* slugs: the kinds of messages about a configuration, from the rows of slugs.def. A slug
 * is the stable name of one; it never changes its meaning. */
#ifndef BASE_SLUGS_H
#define BASE_SLUGS_H

#include <stddef.h>

#include "base/str.h"

/* How messages of a kind come. */
enum slug_severity {
    SLUG_WARNING, /* always warnings: they can be silenced */
    SLUG_ERROR,   /* always errors: they cannot */
    SLUG_EITHER   /* it depends on the case; the warnings can be silenced */
};

struct slug {
    const char *name;
    enum slug_severity severity;
    const char *text; /* what it means and what to do: one sentence or two */
};

/* NULL: no message has that slug. Exact: slugs are lower-case. */
const struct slug *slug_find(str name);
/* The slug nearest to a wrong name, or NULL. */
const struct slug *slug_nearest(str name);
/* All rows, sorted by name; NULL past the end. */
const struct slug *slug_at(size_t i);
/* Position of a row in that order. */
size_t slug_index(const struct slug *s);

#endif
