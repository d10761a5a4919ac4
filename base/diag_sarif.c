/* diag_sarif: messages as a log of SARIF 2.1.0 (OASIS Standard, Static Analysis Results
 * Interchange Format), which code review tools show beside the lines. */
#include "base/diag.h"

#include "base/json.h"
#include "base/slugs.h"

static const char *level_of(enum slug_severity severity)
{
    return severity == SLUG_WARNING ? "warning" : "error";
}

/* Up to a full stop with a blank behind it: names of files have full stops, too. */
static str first_sentence(str text)
{
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.ptr[i] == '.' && text.ptr[i + 1] == ' ') {
            return str_sub(text, 0, i + 1);
        }
    }
    return text;
}

/* 3.49: the rules are the slugs. */
static void put_rules(struct buf *out)
{
    const struct slug *s;
    for (size_t i = 0; (s = slug_at(i)) != NULL; i++) {
        buf_printf(out, "%s\n    {\"id\":\"%s\",\"shortDescription\":{\"text\":",
                   i > 0 ? "," : "", s->name);
        json_put_string(out, first_sentence(str_from(s->text)));
        buf_puts(out, "},\"help\":{\"text\":");
        json_put_string(out, str_from(s->text));
        buf_printf(out, "},\"defaultConfiguration\":{\"level\":\"%s\"}}",
                   level_of(s->severity));
    }
}

void diag_sarif_begin(const char *version, struct buf *out)
{
    buf_puts(out, "{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\n"
                  " \"version\":\"2.1.0\",\n \"runs\":[{\"tool\":{\"driver\":{"
                  "\"name\":\"pointsman\",\"version\":");
    json_put_string(out, str_from(version));
    buf_puts(out, ",\"rules\":[");
    put_rules(out);
    buf_puts(out, "]}},\n  \"columnKind\":\"unicodeCodePoints\",\n  \"results\":[");
}

/* 3.4.3: relative as the name is, absolute for a file outside of the folder. */
static void put_uri(str name, struct buf *out)
{
    buf_puts(out, str_starts(name, STR("/")) ? "\"file://" : "\"");
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        bool plain =
            ascii_is_alnum((char)c) || (c > ' ' && memchr("-._~/", c, 5) != NULL);
        buf_printf(out, plain ? "%c" : "%%%02X", c);
    }
    buf_putc(out, '"');
}

/* Characters from the start of the line to `end`; a byte that is not UTF-8 is one. */
static unsigned characters(str text, size_t start, size_t end)
{
    unsigned n = 0;
    while (start < end) {
        size_t len = str_utf8(str_sub(text, start, end - start), NULL);
        start += len > 0 ? len : 1;
        n++;
    }
    return n;
}

/* 3.29: the file, and the part of one line. */
static void put_location(const struct sources *sources, struct span span, struct buf *out)
{
    struct place place = span_place(sources, span);
    str text = sources_get(sources, span.source)->text;
    size_t end = span_end_on_line(sources, span);
    size_t at = span.offset < text.len ? span.offset : text.len;
    size_t start = at - (place.column - 1);
    buf_puts(out, "\"physicalLocation\":{\"artifactLocation\":{\"uri\":");
    put_uri(place.file, out);
    buf_printf(
        out, "},\"region\":{\"startLine\":%u,\"startColumn\":%u,\"endColumn\":%u}}",
        place.line, characters(text, start, at) + 1, characters(text, start, end) + 1);
}

static void put_related(const struct sources *sources, struct span at, str text,
                        unsigned id, struct buf *out)
{
    buf_printf(out, "%s{\"id\":%u,", id > 1 ? "," : ",\"relatedLocations\":[", id);
    if (at.source != 0) {
        put_location(sources, at, out);
        buf_putc(out, ',');
    }
    buf_puts(out, "\"message\":{\"text\":");
    json_put_string(out, text);
    buf_puts(out, "}}");
}

static void put_all_related(const struct sources *sources, const struct diag *m,
                            struct buf *out)
{
    unsigned id = 0;
    for (const struct diag *note = m->notes; note != NULL; note = note->next) {
        put_related(sources, note->span, note->text, ++id, out);
    }
    struct span from = source_included_from(sources, m->span.source);
    for (; from.source != 0; from = source_included_from(sources, from.source)) {
        put_related(sources, from, STR("included from here"), ++id, out);
    }
    buf_puts(out, id > 0 ? "]" : "");
}

void diag_sarif_result(const struct diags *d, const struct diag *m, bool first,
                       struct buf *out)
{
    const struct sources *sources = diags_sources(d);
    const struct slug *slug = slug_find(str_from(m->slug));
    buf_printf(out, "%s\n   {\"ruleId\":\"%s\",", first ? "" : ",", m->slug);
    if (slug != NULL) {
        buf_printf(out, "\"ruleIndex\":%zu,", slug_index(slug));
    }
    buf_printf(out, "\"level\":\"%s\",\"message\":{\"text\":",
               m->severity == SEVERITY_ERROR ? "error" : "warning");
    json_put_string(out, m->text);
    buf_putc(out, '}');
    if (m->span.source != 0) {
        buf_puts(out, ",\"locations\":[{");
        put_location(sources, m->span, out);
        buf_puts(out, "}]");
    }
    put_all_related(sources, m, out);
    buf_putc(out, '}');
}

void diag_sarif_end(struct buf *out)
{
    buf_puts(out, "\n  ]}]}\n");
}
