/* vec: typed growing array living in an arena. Old storage stays in the arena until
 * it dies, so elements may be pointed at only once the vector is complete.
 *   VEC(struct rule) rules = {0};
 *   *vec_add(arena, &rules) = rule;      for (size_t i = 0; i < rules.n; i++) rules.at[i]
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include "base/arena.h"

/* A macro, because C has no type parameters. */
#define VEC(type)                                                                        \
    struct {                                                                             \
        type *at;                                                                        \
        size_t n, cap;                                                                   \
    }

/* Pointer to a new zeroed element at the end. Evaluates v more than once. */
#define vec_add(arena, v)                                                                \
    ((v)->at = vec_grow((arena), (v)->at, (v)->n, &(v)->cap, sizeof *(v)->at),           \
     &(v)->at[(v)->n++])

/* Returns storage for at least n + 1 elements, the new ones zeroed. */
void *vec_grow(struct arena *a, void *at, size_t n, size_t *cap, size_t size);

#endif
