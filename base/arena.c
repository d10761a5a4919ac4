/* arena: a chain of blocks, newest first; each knows how much was handed out before
 * it, so that a reset to a mark restores the total as well. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/check.h"

enum {
    BLOCK_FIRST = 4 * 1024,
    BLOCK_LARGEST = 256 * 1024, /* but for what is larger by itself */
    HUGE_PAGE = 2 * 1024 * 1024
};

/* Does somebody look for uses of memory that is gone? */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as gcc says it */
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
enum { WATCHED = 1 };
#else
enum { WATCHED = 0 };
#endif

struct block {
    struct block *prev;
    size_t size;   /* bytes in data */
    size_t used;   /* bytes handed out, padding included */
    size_t before; /* sum of `used` of the older blocks */
    alignas(max_align_t) char data[];
};

/* Lives in the arena itself. */
struct deferred {
    struct deferred *next; /* older */
    size_t before;         /* bytes handed out when it was added */
    void (*fn)(void *arg);
    void *arg;
};

struct arena {
    struct block *top;
    struct deferred *deferred; /* newest first */
    size_t next_size;
};

static void *must_malloc(size_t size)
{
    void *p = malloc(size);
    check(p != NULL); /* documented: out of memory aborts */
    return p;
}

struct arena *arena_new(void)
{
    struct arena *a = must_malloc(sizeof *a);
    a->top = NULL;
    a->deferred = NULL;
    a->next_size = BLOCK_FIRST;
    return a;
}

/* Tables of many megabytes are read here and there: with the usual pages each look would
 * cost a walk through the page tables besides. Only a wish; the system may have none. */
static void want_huge_pages(void *block, size_t size)
{
#ifdef MADV_HUGEPAGE
    uintptr_t from = ((uintptr_t)block + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
    uintptr_t to = ((uintptr_t)block + size) & ~(uintptr_t)(HUGE_PAGE - 1);
    if (to > from) {
        (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
    }
#else
    (void)block;
    (void)size;
#endif
}

static struct block *arena_grow(struct arena *a, size_t need)
{
    size_t size = need > a->next_size ? need : a->next_size;
    check(size < SIZE_MAX / 2);
    struct block *b = must_malloc(sizeof *b + size);
    want_huge_pages(b, sizeof *b + size);
    b->prev = a->top;
    b->size = size;
    b->used = 0;
    b->before = arena_used(a);
    a->top = b;
    if (a->next_size < BLOCK_LARGEST) {
        a->next_size *= 2;
    }
    return b;
}

void *arena_bytes(struct arena *a, size_t size)
{
    const size_t align = alignof(max_align_t);
    check(size < SIZE_MAX / 2);
    size_t need = size == 0 ? align : (size + align - 1) & ~(align - 1);
    struct block *b = a->top;
    if (b == NULL || b->size - b->used < need) {
        b = arena_grow(a, need);
    }
    char *p = b->data + b->used;
    b->used += need;
    return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
    return memset(arena_bytes(a, size), 0, size);
}

void *arena_alloc_n(struct arena *a, size_t n, size_t size)
{
    check(size == 0 || n <= SIZE_MAX / 2 / size);
    return arena_alloc(a, n * size);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    check(len < SIZE_MAX / 2);
    char *copy = arena_bytes(a, len + 1);
    if (len > 0) {
        memcpy(copy, s, len);
    }
    copy[len] = '\0';
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

str arena_str(struct arena *a, str s)
{
    return str_n(arena_strndup(a, s.ptr, s.len), s.len);
}

str arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    char none[1]; /* gcc warns of a NULL buffer when it sanitizes */
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(none, sizeof none, fmt, again);
    va_end(again);
    check(len >= 0);
    char *out = arena_alloc(a, (size_t)len + 1);
    vsnprintf(out, (size_t)len + 1, fmt, ap);
    return str_n(out, (size_t)len);
}

str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}

struct arena_mark arena_mark(struct arena *a)
{
    return (struct arena_mark){a->top, a->top ? a->top->used : 0};
}

void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg)
{
    size_t before = arena_used(a);
    struct deferred *d = arena_new_of(a, struct deferred);
    *d = (struct deferred){a->deferred, before, fn, arg};
    a->deferred = d;
}

/* Runs what was deferred after the mark, before its memory goes. */
static void run_deferred(struct arena *a, struct arena_mark mark)
{
    const struct block *b = mark.block;
    size_t keep = b != NULL ? b->before + mark.used : 0;
    while (a->deferred != NULL && a->deferred->before >= keep) {
        struct deferred *d = a->deferred;
        a->deferred = d->next;
        d->fn(d->arg);
    }
}

/* An arena that is often reset to nothing keeps its first block. */
static bool stays(const struct block *b, struct arena_mark mark)
{
    return !WATCHED && mark.block == NULL && b->prev == NULL && b->size == BLOCK_FIRST;
}

void arena_reset(struct arena *a, struct arena_mark mark)
{
    run_deferred(a, mark);
    while (a->top != mark.block) {
        struct block *b = a->top;
        check(b != NULL); /* a mark of another arena, or of one reset further back */
        if (stays(b, mark)) {
            break;
        }
        a->top = b->prev;
        free(b);
    }
    if (a->top != NULL) {
        check(mark.used <= a->top->used);
        a->top->used = mark.used;
    }
    if (a->top == NULL) {
        a->next_size = BLOCK_FIRST;
    } else if (mark.block == NULL) {
        a->next_size = 2 * BLOCK_FIRST;
    }
}

void arena_free(struct arena **a)
{
    if (*a == NULL) {
        return;
    }
    arena_reset(*a, (struct arena_mark){NULL, 0});
    free((*a)->top);
    free(*a);
    *a = NULL;
}

size_t arena_used(const struct arena *a)
{
    return a->top ? a->top->before + a->top->used : 0;
}
