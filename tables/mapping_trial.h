/* mapping_trial: one pattern of the mapping language by itself: what it was compiled to,
 * and what it saves of a string. For people who write patterns; the router does not need
 * it. */
#ifndef TABLES_MAPPING_TRIAL_H
#define TABLES_MAPPING_TRIAL_H

#include "base/diag.h"

struct mapping_trial;

/* Compiles a pattern that stands at `at`; faults go to d with slug "mapping-pattern", and
 * then the answer is NULL. The text is borrowed. In the arena. */
struct mapping_trial *mapping_trial_new(struct arena *a, str pattern, struct span at,
                                        struct diags *d);
/* The elements it was compiled to, in their order. */
unsigned mapping_trial_count(const struct mapping_trial *t);
/* One of them as text ("cglob [0-9]"); *saves: what it matches is saved. In the arena. */
str mapping_trial_element(const struct mapping_trial *t, unsigned i, struct arena *a,
                          bool *saves);

struct mapping_trial_result {
    bool matched;
    const str *saved; /* parts of the string */
    unsigned saved_count;
    const char *fault; /* NULL, or why it was given up: nothing can be said then */
};
/* Compares the whole string with the pattern, within the limits of a run. Results are in
 * the arena, and borrow from the string. */
void mapping_trial_run(const struct mapping_trial *t, str string, struct arena *a,
                       struct mapping_trial_result *out);

#endif
