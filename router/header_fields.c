/* header_fields: splitting a header. */
#include "router/header_fields.h"

/* Up to and with the LF, or all that is left. */
static size_t line_length(str text)
{
    ptrdiff_t lf = str_find(text, '\n');
    return lf < 0 ? text.len : (size_t)lf + 1;
}

static str without_line_end(str text)
{
    if (text.len > 0 && text.ptr[text.len - 1] == '\n') {
        text.len--;
        if (text.len > 0 && text.ptr[text.len - 1] == '\r') {
            text.len--;
        }
    }
    return text;
}

/* RFC 5322 3.6.8: printable, but for the colon. */
static size_t name_length(str text)
{
    size_t len = 0;
    while (len < text.len && text.ptr[len] > ' ' && text.ptr[len] < 0x7f &&
           text.ptr[len] != ':') {
        len++;
    }
    return len;
}

static void field_read(str raw, struct header_field *f)
{
    str text = without_line_end(raw);
    size_t name = name_length(text), colon = name;
    while (colon < text.len && ascii_is_space(text.ptr[colon])) {
        colon++; /* 4.5.7 allows blanks there */
    }
    bool good = name > 0 && colon < text.len && text.ptr[colon] == ':';
    f->raw = raw;
    f->name = good ? str_sub(text, 0, name) : STR("");
    f->value = good ? str_from_pos(text, colon + 1) : STR("");
}

bool header_field_next(str *rest, struct header_field *f)
{
    if (rest->len == 0) {
        return false;
    }
    size_t len = line_length(*rest);
    while (len < rest->len && ascii_is_space(rest->ptr[len])) {
        len += line_length(str_from_pos(*rest, len));
    }
    field_read(str_sub(*rest, 0, len), f);
    *rest = str_from_pos(*rest, len);
    return true;
}

size_t header_length(str message)
{
    size_t at = 0;
    while (at < message.len) {
        str rest = str_from_pos(message, at);
        if (rest.ptr[0] == '\n' || str_starts(rest, STR("\r\n"))) {
            break;
        }
        at += line_length(rest);
    }
    return at;
}
