/* diag: the list of messages and the places they point at. How they look on a
 * terminal is in diag_render.c. */
#include "base/diag.h"

#include <stdarg.h>

#include "base/check.h"
#include "base/vec.h"

enum { LINES_STEP = 4096 };

struct sources {
    struct arena *arena;
    VEC(struct source *) list; /* pointers, so that sources_get() stays valid */
};

struct sources *sources_new(struct arena *a)
{
    struct sources *s = arena_new_of(a, struct sources);
    s->arena = a;
    return s;
}

static uint32_t count_lines(str text)
{
    uint32_t lines = 0;
    for (ptrdiff_t end; (end = str_find(text, '\n')) >= 0; lines++) {
        text = str_from_pos(text, (size_t)end + 1);
    }
    return lines;
}

/* One count for every LINES_STEP bytes, so that a place is found by looking at no more
 * than that many. */
static const uint32_t *index_lines(struct arena *a, str text)
{
    size_t steps = text.len / LINES_STEP;
    uint32_t *before = arena_array(a, uint32_t, steps + 1);
    for (size_t i = 0; i < steps; i++) {
        before[i + 1] =
            before[i] + count_lines(str_sub(text, i * LINES_STEP, LINES_STEP));
    }
    return before;
}

uint32_t sources_add(struct sources *s, str name, str path, str text, struct span from)
{
    struct source *entry = arena_new_of(s->arena, struct source);
    *entry = (struct source){name, path, text, from, index_lines(s->arena, text)};
    *vec_add(s->arena, &s->list) = entry;
    return (uint32_t)s->list.n;
}

const struct source *sources_get(const struct sources *s, uint32_t id)
{
    return s != NULL && id >= 1 && id <= s->list.n ? s->list.at[id - 1] : NULL;
}

uint32_t sources_count(const struct sources *s)
{
    return (uint32_t)s->list.n;
}

struct place span_place(const struct sources *s, struct span span)
{
    const struct source *source = sources_get(s, span.source);
    if (source == NULL) {
        return (struct place){STR(""), 0, 0};
    }
    str text = source->text;
    size_t offset = span.offset < text.len ? span.offset : text.len;
    size_t step = offset / LINES_STEP;
    struct place place = {source->name, source->lines_before[step] + 1, 0};
    place.line += count_lines(str_sub(text, step * LINES_STEP, offset % LINES_STEP));
    ptrdiff_t before = str_rfind(str_sub(text, 0, offset), '\n');
    place.column = (unsigned)(offset - (size_t)(before + 1)) + 1;
    return place;
}

str span_text(struct arena *a, const struct sources *s, struct span span)
{
    struct place place = span_place(s, span);
    return place.line == 0 ? arena_str(a, STR("-"))
                           : arena_printf(a, "%.*s:%u", STR_ARG(place.file), place.line);
}

struct span span_join(struct span a, struct span b)
{
    check(a.source == b.source);
    uint32_t start = a.offset < b.offset ? a.offset : b.offset;
    uint32_t end_a = a.offset + a.length, end_b = b.offset + b.length;
    return (struct span){a.source, start, (end_a > end_b ? end_a : end_b) - start};
}

struct diags {
    struct arena *arena;
    struct sources *sources;
    struct diag *first;
    struct diag *latest; /* the last one added: the next mostly belongs behind it */
    unsigned errors;
    unsigned warnings;
};

struct diags *diags_new(struct arena *a, struct sources *s)
{
    struct diags *d = arena_new_of(a, struct diags);
    d->arena = a;
    d->sources = s;
    return d;
}

static bool comes_before(const struct diag *a, const struct diag *b)
{
    return a->span.source != b->span.source ? a->span.source < b->span.source
                                            : a->span.offset < b->span.offset;
}

/* Inserts behind all that do not come after m. Passes report in file order, so
 * beginning at the last insertion keeps this linear in practice. */
static void diags_insert(struct diags *d, struct diag *m)
{
    struct diag **at = &d->first;
    if (d->latest != NULL && !comes_before(m, d->latest)) {
        at = &d->latest->next;
    }
    while (*at != NULL && !comes_before(m, *at)) {
        at = &(*at)->next;
    }
    m->next = *at;
    *at = m;
    d->latest = m;
}

static struct diag *diag_new(struct diags *d, enum severity severity, struct span at,
                             const char *slug, const char *fmt, va_list ap)
{
    struct diag *m = arena_new_of(d->arena, struct diag);
    m->severity = severity;
    m->slug = slug;
    m->span = at;
    m->text = arena_vprintf(d->arena, fmt, ap);
    return m;
}

struct diag *diag_error(struct diags *d, struct span at, const char *slug,
                        const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct diag *m = diag_new(d, SEVERITY_ERROR, at, slug, fmt, ap);
    va_end(ap);
    diags_insert(d, m);
    d->errors++;
    return m;
}

struct diag *diag_warning(struct diags *d, struct span at, const char *slug,
                          const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct diag *m = diag_new(d, SEVERITY_WARNING, at, slug, fmt, ap);
    va_end(ap);
    diags_insert(d, m);
    d->warnings++;
    return m;
}

static void diag_attach(struct diag *to, struct diag *note)
{
    struct diag **at = &to->notes;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = note;
}

void diag_note(struct diags *d, struct diag *to, struct span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    diag_attach(to, diag_new(d, SEVERITY_NOTE, at, NULL, fmt, ap));
    va_end(ap);
}

void diag_mark(struct diags *d, struct diag *to, struct span at)
{
    (void)d;
    to->mark = at;
}

const struct diag *diags_first(const struct diags *d)
{
    return d->first;
}

unsigned diags_errors(const struct diags *d)
{
    return d->errors;
}

unsigned diags_warnings(const struct diags *d)
{
    return d->warnings;
}

bool diags_failed(const struct diags *d, bool warnings_as_errors)
{
    return d->errors > 0 || (warnings_as_errors && d->warnings > 0);
}

const struct sources *diags_sources(const struct diags *d)
{
    return d->sources;
}
