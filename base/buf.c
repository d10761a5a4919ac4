/* buf: storage doubles up to the cap. One byte more than the contents is always
 * there, for the NUL of printf and buf_take. */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

enum { BUF_FIRST = 64 };

void buf_init(struct buf *b, size_t max)
{
    check(max < SIZE_MAX / 2);
    *b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
}

char *buf_reserve(struct buf *b, size_t want)
{
    if (want > b->max - b->len) {
        return NULL;
    }
    size_t need = b->len + want + 1;
    if (need > b->cap) {
        size_t cap = b->cap > 0 ? b->cap : BUF_FIRST;
        while (cap < need) {
            cap *= 2;
        }
        char *data = realloc(b->data, cap);
        check(data != NULL); /* the cap bounds what a peer can make us ask for */
        b->data = data;
        b->cap = cap;
    }
    return b->data + b->len;
}

bool buf_append(struct buf *b, const void *data, size_t len)
{
    if (len == 0) {
        return true;
    }
    char *to = buf_reserve(b, len);
    if (to == NULL) {
        return false;
    }
    memcpy(to, data, len);
    b->len += len;
    return true;
}

bool buf_str(struct buf *b, str s)
{
    return buf_append(b, s.ptr, s.len);
}

bool buf_puts(struct buf *b, const char *cstr)
{
    return buf_append(b, cstr, strlen(cstr));
}

bool buf_putc(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}

bool buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    check(len >= 0);
    char *to = buf_reserve(b, (size_t)len);
    if (to == NULL) {
        return false;
    }
    vsnprintf(to, (size_t)len + 1, fmt, ap);
    b->len += (size_t)len;
    return true;
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    bool ok = buf_vprintf(b, fmt, ap);
    va_end(ap);
    return ok;
}

void buf_consume(struct buf *b, size_t n)
{
    check(n <= b->len);
    if (n > 0 && n < b->len) {
        memmove(b->data, b->data + n, b->len - n);
    }
    b->len -= n;
}

str buf_slice(const struct buf *b)
{
    return str_n(b->data, b->len);
}

char *buf_take(struct buf *b, size_t *len)
{
    char *data = buf_reserve(b, 0);
    check(data != NULL);
    *data = '\0';
    data = b->data;
    *len = b->len;
    *b = (struct buf){.max = b->max};
    return data;
}
