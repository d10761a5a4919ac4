/* arena: bump allocator. Everything allocated lives until the arena is reset past
 * it or freed; nothing is freed singly. Running out of memory aborts: what a peer
 * can ask for is bounded before it is allocated. Not thread-safe. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/str.h"

struct arena;
struct arena_mark {
    void *block;
    size_t used;
};

/* Creates an empty arena. Never NULL. */
struct arena *arena_new(void);
/* Frees the arena and all it holds; clears *a. NULL inside is allowed. */
void arena_free(struct arena **a);

/* Returns size bytes, zeroed, aligned for any type. size 0 gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t size);
/* The same without clearing them: for what is filled at once. */
void *arena_bytes(struct arena *a, size_t size);
/* Like arena_alloc for n elements; aborts when the product does not fit. */
void *arena_alloc_n(struct arena *a, size_t n, size_t size);
/* Copies len bytes and adds a NUL. */
char *arena_strndup(struct arena *a, const char *s, size_t len);
char *arena_strdup(struct arena *a, const char *s);
/* Copies a slice; the copy is followed by a NUL, so its ptr is a C string. */
str arena_str(struct arena *a, str s);
/* Formats into the arena; the slice is followed by a NUL. */
str arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
str arena_vprintf(struct arena *a, const char *fmt, va_list ap);

/* Remembers the current fill; arena_reset() frees all that came after it. */
struct arena_mark arena_mark(struct arena *a);
void arena_reset(struct arena *a, struct arena_mark mark);
/* Has fn(arg) called when all that is in the arena now is freed: by arena_free(), or by
 * a reset to a mark from before this call. Newest first. For what is counted: an arena
 * may hold a reference. */
void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg);
/* Bytes handed out so far, for limits and statistics. */
size_t arena_used(const struct arena *a);

#define arena_new_of(a, type)   ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_alloc_n((a), (n), sizeof(type)))

#endif
