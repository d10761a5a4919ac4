/* tally: how often each of many texts comes, in bounded memory: the texts that come most
 * are kept, whatever else comes. Misra and Gries: when all places are taken, a new text
 * takes one away from each that is there. So a count is never too high, and too low by
 * at most `missed`. */
#ifndef TOOLS_TALLY_H
#define TOOLS_TALLY_H

#include <stdint.h>

#include "base/str.h"

enum { TALLY_PLACES = 4096 }; /* where nothing else is asked for */

struct tally_text {
    char *text; /* owned; NULL: a free place */
    size_t len;
    uint64_t count;
};
struct tally {
    unsigned places;          /* 0: TALLY_PLACES */
    struct tally_text *slots; /* NULL while nothing was added */
    unsigned used;
    uint64_t missed;
};

/* One more of that text, which is copied. */
void tally_add(struct tally *t, str text);
/* Moves the texts with the highest counts to out, the highest first, equal ones in
 * alphabetical order. Returns how many, at most size. They are t's. */
unsigned tally_best(const struct tally *t, struct tally_text *out, unsigned size);
void tally_free(struct tally *t);

#endif
