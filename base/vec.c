/* vec: the growth step behind vec_add. */
#include "base/vec.h"

#include "base/check.h"

void *vec_grow(struct arena *a, void *at, size_t n, size_t *cap, size_t size)
{
    check(n <= *cap);
    if (n < *cap) {
        return at;
    }
    size_t bigger = *cap > 0 ? *cap * 2 : 8;
    void *copy = arena_alloc_n(a, bigger, size);
    if (n > 0) {
        memcpy(copy, at, n * size);
    }
    *cap = bigger;
    return copy;
}
