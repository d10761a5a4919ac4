/* buf: growable bytes with a hard cap given at creation. Appending past the cap
 * fails and leaves the contents unchanged; the caller decides what that means. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct buf {
    char *data; /* NULL while nothing was ever appended */
    size_t len; /* bytes in use */
    size_t cap; /* bytes allocated */
    size_t max; /* hard cap on len */
};

/* An empty buffer that will never hold more than max bytes. Allocates nothing. */
void buf_init(struct buf *b, size_t max);
/* Frees the storage and leaves an empty buffer with the same cap. */
void buf_free(struct buf *b);
/* Forgets the contents, keeps the storage. */
void buf_clear(struct buf *b);

/* All return false, changing nothing, when the cap would be exceeded. */
bool buf_append(struct buf *b, const void *data, size_t len);
bool buf_str(struct buf *b, str s);
bool buf_puts(struct buf *b, const char *cstr);
bool buf_putc(struct buf *b, char c);
bool buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
bool buf_vprintf(struct buf *b, const char *fmt, va_list ap);

/* Room for at least want more bytes at data + len, for direct writing; NULL past
 * the cap. Commit what was written with b->len += n. */
char *buf_reserve(struct buf *b, size_t want);
/* Drops the first n bytes (n <= len), moving the rest to the front. */
void buf_consume(struct buf *b, size_t n);
/* The contents as a slice, valid until the next change. */
str buf_slice(const struct buf *b);
/* Takes the storage out of the buffer: malloc'ed, never NULL, followed by a NUL;
 * caller frees; the buffer is empty then. */
char *buf_take(struct buf *b, size_t *len);

#endif
