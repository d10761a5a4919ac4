/* diag_render: the list of diag.c as a human reads it: place, message, the source
 * line with a caret, notes. Nothing of a source reaches the terminal unchecked. */
#include "base/diag.h"

#include "base/buf.h"

enum {
    EXCERPT_MAX = 160, /* longer lines are shown as a window around the place */
    EXCERPT_BEFORE = 60
};

struct look {
    const char *place, *severity[3], *mark, *end;
};
static const struct look PLAIN = {"", {"", "", ""}, "", ""};
static const struct look COLOUR = {
    "\033[1m", {"\033[1;36m", "\033[1;35m", "\033[1;31m"}, "\033[1;32m", "\033[0m"};
static const char *const SEVERITIES[] = {"note", "warning", "error"};

/* Takes one character off *rest: the bytes to show for it, '?' for what a terminal
 * might obey (controls, C1 controls, direction marks) or is not UTF-8. */
static str next_shown(str *rest)
{
    uint32_t code = 0;
    size_t len = str_utf8(*rest, &code);
    str shown = str_sub(*rest, 0, len);
    *rest = str_from_pos(*rest, len > 0 ? len : 1);
    bool control = code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x200E ||
                   code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
                   (code >= 0x2066 && code <= 0x2069);
    return len == 0 || control ? STR("?") : shown;
}

/* Takes what can be shown as it is off *rest: mostly all of it. */
static str next_plain(str *rest)
{
    size_t n = 0;
    while (n < rest->len && rest->ptr[n] >= ' ' && rest->ptr[n] < 0x7F) {
        n++;
    }
    str plain = str_sub(*rest, 0, n);
    *rest = str_from_pos(*rest, n);
    return plain;
}

static void put_clean(struct buf *out, str text)
{
    while (text.len > 0) {
        buf_str(out, next_plain(&text));
        if (text.len > 0) {
            buf_str(out, next_shown(&text));
        }
    }
}

/* The whole line holding the byte at `offset`, and where in it that byte is. */
static str source_line(str text, size_t offset, size_t *column)
{
    str before = str_sub(text, 0, offset);
    size_t start = (size_t)(str_rfind(before, '\n') + 1);
    str line = str_from_pos(text, start);
    ptrdiff_t end = str_find(line, '\n');
    line = end < 0 ? line : str_sub(line, 0, (size_t)end);
    *column = before.len - start;
    if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
        line.len--;
    }
    return line;
}

/* The '^' or '~' (or blank) below the byte at this offset in the source. */
static char mark_at(const struct diag *m, size_t offset)
{
    if (offset == m->span.offset) {
        return '^';
    }
    bool main = offset > m->span.offset && offset - m->span.offset < m->span.length;
    bool other = m->mark.source == m->span.source && offset >= m->mark.offset &&
                 offset - m->mark.offset < m->mark.length;
    return main || other ? '~' : ' ';
}

/* The line of marks, as far as the last one; tabs are kept so that it lines up. */
static void put_marks(const struct diag *m, str line, size_t offset, struct buf *out)
{
    size_t blanks_from = out->len;
    size_t caret = m->span.offset - offset;
    for (str rest = line; rest.len > 0;) {
        size_t at = line.len - rest.len;
        char mark = mark_at(m, offset + at);
        bool tab = rest.ptr[0] == '\t';
        next_shown(&rest);
        buf_putc(out, mark == ' ' && tab ? '\t' : mark);
        if (mark != ' ') {
            blanks_from = out->len;
        }
    }
    if (caret >= line.len) { /* at the end of the line, or on its CR */
        buf_putc(out, '^');
    } else {
        out->len = blanks_from;
    }
}

/* Cuts a long line down to a window that begins shortly before the caret. */
static str excerpt_window(str line, size_t column, size_t *skipped)
{
    *skipped = 0;
    if (line.len <= EXCERPT_MAX) {
        return line;
    }
    if (column > EXCERPT_BEFORE) {
        size_t from = column - EXCERPT_BEFORE;
        while (from > 0 && from < line.len &&
               ((unsigned char)line.ptr[from] & 0xC0) == 0x80) {
            from--;
        }
        *skipped = from < line.len ? from : line.len;
    }
    str window = str_sub(line, *skipped, EXCERPT_MAX);
    while (*skipped + window.len < line.len && window.len > 0 &&
           ((unsigned char)line.ptr[*skipped + window.len] & 0xC0) == 0x80) {
        window.len--; /* not through the middle of a character */
    }
    return window;
}

static void put_line_text(str line, struct buf *out)
{
    while (line.len > 0) {
        buf_str(out, next_plain(&line));
        if (line.len > 0 && line.ptr[0] == '\t') {
            buf_putc(out, '\t');
            line = str_from_pos(line, 1);
        } else if (line.len > 0) {
            buf_str(out, next_shown(&line));
        }
    }
}

static void put_excerpt(const struct diags *d, const struct diag *m,
                        const struct look *look, struct buf *out)
{
    const struct source *source = sources_get(diags_sources(d), m->span.source);
    if (source == NULL || m->span.offset > source->text.len) {
        return;
    }
    size_t column, skipped;
    str line = source_line(source->text, m->span.offset, &column);
    str window = excerpt_window(line, column, &skipped);
    const char *left = skipped > 0 ? "..." : "";
    const char *right = skipped + window.len < line.len ? "..." : "";
    unsigned number = span_place(diags_sources(d), m->span).line;
    buf_printf(out, "%5u |%s%s", number, line.len > 0 ? " " : "", left);
    put_line_text(window, out);
    buf_printf(out, "%s\n      | %s%s", right, skipped > 0 ? "   " : "", look->mark);
    put_marks(m, window, m->span.offset - column + skipped, out);
    buf_printf(out, "%s\n", look->end);
}

static void put_head(const struct diags *d, const struct diag *m, const struct look *look,
                     struct buf *out)
{
    struct place place = span_place(diags_sources(d), m->span);
    if (place.line > 0) {
        buf_puts(out, look->place);
        put_clean(out, place.file);
        buf_printf(out, ":%u:%u:%s ", place.line, place.column, look->end);
    }
    buf_printf(out, "%s%s:%s ", look->severity[m->severity], SEVERITIES[m->severity],
               look->end);
    put_clean(out, m->text);
    if (m->slug != NULL) {
        buf_printf(out, " [%s]", m->slug);
    }
}

static void put_chain(const struct diags *d, uint32_t id, struct buf *out)
{
    const struct sources *sources = diags_sources(d);
    const char *lead = "In file included from ";
    struct span from = source_included_from(sources, id);
    while (from.source != 0) {
        struct place place = span_place(sources, from);
        from = source_included_from(sources, from.source);
        buf_puts(out, lead);
        put_clean(out, place.file);
        buf_printf(out, ":%u%s\n", place.line, from.source != 0 ? "," : ":");
        lead = "                 from ";
    }
}

void diag_render(const struct diags *d, const struct diag *m, bool colour,
                 uint32_t *shown, struct buf *out)
{
    const struct look *look = colour ? &COLOUR : &PLAIN;
    if (m->span.source != *shown) {
        put_chain(d, m->span.source, out);
        *shown = m->span.source;
    }
    put_head(d, m, look, out);
    buf_putc(out, '\n');
    put_excerpt(d, m, look, out);
    for (const struct diag *note = m->notes; note != NULL; note = note->next) {
        put_head(d, note, look, out);
        buf_putc(out, '\n');
    }
}

void diags_render(const struct diags *d, bool colour, struct buf *out)
{
    uint32_t shown = 0;
    for (const struct diag *m = diags_first(d); m != NULL; m = m->next) {
        diag_render(d, m, colour, &shown, out);
    }
}

str diag_line(struct arena *a, const struct diags *d, const struct diag *m)
{
    struct buf line;
    buf_init(&line, 64 * 1024);
    put_head(d, m, &PLAIN, &line);
    str copy = arena_str(a, buf_slice(&line));
    buf_free(&line);
    return copy;
}
