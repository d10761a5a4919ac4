/* text: see text.h. */
#include "tools/text.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Codes by which a terminal is told what to do (C1), and those that turn the direction of
 * what follows, so that it reads as what it is not. */
static bool is_harmful(uint32_t code)
{
    return code < ' ' || (code >= 0x7f && code < 0xa0) || code == 0x61c ||
           code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

size_t text_safe(str text)
{
    uint32_t code;
    size_t n = str_utf8(text, &code);

    return n > 0 && !is_harmful(code) ? n : 0;
}

str text_plain(struct arena *a, str text)
{
    char *out = arena_strndup(a, text.ptr, text.len);

    for (size_t i = 0; i < text.len;) {
        size_t n = text_safe(str_from_pos(text, i));
        if (n == 0) {
            out[i++] = '?';
        }
        i += n;
    }
    return str_n(out, text.len);
}

str text_written(struct arena *a, const struct sources *sources, struct span at)
{
    const struct source *source = sources_get(sources, at.source);
    str text = str_sub(source->text, at.offset, at.length);
    char *out = arena_alloc(a, 3 * text.len + 1);
    size_t n = 0, gaps = 0;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (!is_blank(text.ptr[i])) {
            out[n++] = (char)(c < ' ' || c == 0x7f ? '?' : c);
        } else if (i == 0 || !is_blank(text.ptr[i - 1])) {
            size_t width = gaps++ == 0 ? 3 : 1;
            memcpy(out + n, "   ", width);
            n += width;
        }
    }
    return str_n(out, n);
}

str text_column(struct arena *a, const struct sources *sources, struct span at)
{
    struct place place = span_place(sources, at);

    if (at.source == 0) {
        return STR("-");
    }
    return arena_printf(a, "%.*s:%u:%u", STR_ARG(place.file), place.line, place.column);
}
