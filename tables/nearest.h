/* nearest: "did you mean": the name of a table nearest to a wrong one. Looking costs a
 * comparison with every name, so all looking of one load shares a budget: when there are
 * very many wrong names, the last of them get no suggestion. */
#ifndef TABLES_NEAREST_H
#define TABLES_NEAREST_H

#include <stdint.h>

#include "base/map.h"

struct nearest_budget {
    uint64_t spent; /* comparisons so far; begins at 0 */
};

/* The key of m nearest to `wrong`, not more than one slip for every three characters and
 * three in all away; empty if none is, or if the budget is spent. */
str nearest_key(const struct map *m, str wrong, struct nearest_budget *b);

#endif
