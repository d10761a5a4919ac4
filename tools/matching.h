/* matching: a pattern of the mapping language and targets, as `match` and `test -match`
 * print them. */
#ifndef TOOLS_MATCHING_H
#define TOOLS_MATCHING_H

#include "tables/mapping_trial.h"

/* Compiles the pattern. NULL after showing on standard error what is wrong with it. In
 * the arena. */
struct mapping_trial *matching_pattern(struct arena *a, str pattern);
/* Prints what it was compiled to, one element a line, with 'S' for those that save. */
void matching_print_pattern(struct arena *a, const struct mapping_trial *t);
/* Compares and prints the answer and the saved texts. Returns the exit code; a match that
 * was given up is told on standard error. */
int matching_print_target(struct arena *a, const struct mapping_trial *t, str target);

#endif
