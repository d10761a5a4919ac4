/* bounce_shorten: takes the message out of a report that was written here and leaves its
 * header, which can be encoded: for next hops that take no 8-bit text. */
#include <stdio.h>

#include "router/bounce_private.h"
#include "router/header_fields.h"

/* What stands behind the first `mark` in text; ptr NULL: there is none. */
static str behind(str text, str mark)
{
    const char *at = memmem(text.ptr, text.len, mark.ptr, mark.len);
    return at == NULL ? STR_NONE : str_from_pos(text, (size_t)(at - text.ptr) + mark.len);
}

/* The boundary that the report's header names, as bounce.c writes it. */
static str boundary_of(str header)
{
    struct header_field f;
    while (header_field_next(&header, &f)) {
        str rest = str_ieq(f.name, STR("Content-Type"))
                       ? behind(f.value, STR("boundary=\""))
                       : STR_NONE;
        ptrdiff_t end = rest.ptr != NULL ? str_find(rest, '"') : -1;
        if (end >= 0) {
            return str_sub(rest, 0, (size_t)end);
        }
    }
    return STR("");
}

static bool put_fields(struct buf *out, str header)
{
    struct header_field f;
    bool ok = true;
    while (ok && header_field_next(&header, &f)) {
        ok = str_ieq(f.name, STR("Content-Transfer-Encoding")) || buf_str(out, f.raw);
    }
    return ok && buf_puts(out, "\r\n");
}

/* The message in the third part, behind the header of the part; ptr NULL: there is none.
 */
static str message_in(str part, const char *end)
{
    str close = str_from(end);
    const char *last = memmem(part.ptr, part.len, close.ptr, close.len);
    if (last == NULL || !str_istarts(part, STR("Content-Type: message/rfc822\r\n"))) {
        return STR_NONE;
    }
    part.len = (size_t)(last - part.ptr);
    return behind(part, STR("\r\n\r\n"));
}

bool bounce_shorten(str report, struct buf *out)
{
    char delimiter[100], end[100];
    size_t header = header_length(report);
    str boundary = boundary_of(str_sub(report, 0, header));
    if (boundary.len == 0 || boundary.len > 80) {
        return false;
    }
    snprintf(delimiter, sizeof delimiter, "--%.*s\r\n", STR_ARG(boundary));
    snprintf(end, sizeof end, "\r\n--%.*s--\r\n", STR_ARG(boundary));
    str body = str_from_pos(report, header), third = body;
    for (unsigned i = 0; i < 3 && third.ptr != NULL; i++) {
        third = behind(third, str_from(delimiter));
    }
    str message = third.ptr != NULL ? message_in(third, end) : STR_NONE;
    if (message.ptr == NULL) {
        return false;
    }
    struct bounce b = {0};
    b.header = bounce_header(str_sub(message, 0, BOUNCE_HEADER_MAX), &b.header_cut);
    return put_fields(out, str_sub(report, 0, header)) &&
           buf_append(out, body.ptr, (size_t)(third.ptr - body.ptr)) &&
           bounce_put_header(out, &b) && buf_puts(out, end) &&
           !bounce_text_eight_bit(buf_slice(out));
}
