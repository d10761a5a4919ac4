/* text: see text.h. */
#include "tools/text.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

str text_plain(struct arena *a, str text)
{
    char *out = arena_strndup(a, text.ptr, text.len);

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)out[i];
        out[i] = (char)(c < ' ' || c == 0x7f ? '?' : c);
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
