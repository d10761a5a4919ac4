/* digest: XXH3-128 (libxxhash): has this changed, is it whole? Against accidents and age,
 * not against somebody who wants to deceive. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct digest {
    uint64_t low, high;
};

/* Of a text in one piece. */
struct digest digest_of(str text);
bool digest_eq(struct digest a, struct digest b);

/* The same of a text that comes in pieces. */
struct digest_state;
struct digest_state *digest_begin(void);
void digest_add(struct digest_state *s, const void *data, size_t len);
/* The result; clears *s. */
struct digest digest_end(struct digest_state **s);

#endif
