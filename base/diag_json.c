/* diag_json: one message as a JSON object, for editors and scripts. */
#include "base/diag.h"

#include "base/json.h"

static const char *const SEVERITIES[] = {"note", "warning", "error"};

/* {"file":...,"line":...,"column":... without the closing brace. */
static void put_place(const struct sources *sources, struct span span, struct buf *out)
{
    struct place place = span_place(sources, span);
    if (place.line == 0) {
        buf_puts(out, "{\"file\":null,\"line\":null,\"column\":null");
        return;
    }
    buf_puts(out, "{\"file\":");
    json_put_string(out, place.file);
    buf_printf(out, ",\"line\":%u,\"column\":%u", place.line, place.column);
}

static void put_note(const struct sources *sources, struct span at, str text, bool first,
                     struct buf *out)
{
    buf_puts(out, first ? "" : ",");
    put_place(sources, at, out);
    buf_puts(out, ",\"text\":");
    json_put_string(out, text);
    buf_putc(out, '}');
}

static void put_notes(const struct sources *sources, const struct diag *m,
                      struct buf *out)
{
    bool first = true;
    buf_puts(out, ",\"notes\":[");
    for (const struct diag *note = m->notes; note != NULL; note = note->next) {
        put_note(sources, note->span, note->text, first, out);
        first = false;
    }
    struct span from = source_included_from(sources, m->span.source);
    for (; from.source != 0; from = source_included_from(sources, from.source)) {
        put_note(sources, from, STR("included from here"), first, out);
        first = false;
    }
    buf_putc(out, ']');
}

void diag_json(const struct diags *d, const struct diag *m, struct buf *out)
{
    const struct sources *sources = diags_sources(d);
    struct place place = span_place(sources, m->span);
    put_place(sources, m->span, out);
    if (place.line == 0) {
        buf_puts(out, ",\"end_column\":null");
    } else {
        size_t start = m->span.offset - (place.column - 1);
        buf_printf(out, ",\"end_column\":%zu",
                   span_end_on_line(sources, m->span) - start + 1);
    }
    buf_printf(out,
               ",\"severity\":\"%s\",\"slug\":\"%s\",\"text\":", SEVERITIES[m->severity],
               m->slug);
    json_put_string(out, m->text);
    put_notes(sources, m, out);
    buf_putc(out, '}');
}
