/* diag: the list of messages and the places they point at. How they look on a
 * terminal is in diag_render.c. */
#include "base/diag.h"

#include <stdarg.h>

#include "base/check.h"
#include "base/slugs.h"
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

struct span source_included_from(const struct sources *s, uint32_t id)
{
    const struct source *source = sources_get(s, id);
    return source != NULL && source->from.source < id ? source->from : SPAN_NONE;
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

size_t span_end_on_line(const struct sources *s, struct span span)
{
    str text = sources_get(s, span.source)->text;
    str covered = str_sub(str_from_pos(text, span.offset), 0, span.length);
    ptrdiff_t eol = str_find(covered, '\n');
    size_t length = eol < 0 ? covered.len : (size_t)eol;
    if (eol > 0 && covered.ptr[eol - 1] == '\r') {
        length--;
    }
    return (span.offset < text.len ? span.offset : text.len) + length;
}

str span_text(struct arena *a, const struct sources *s, struct span span)
{
    struct place place = span_place(s, span);
    return place.line == 0 ? arena_str(a, STR("-"))
                           : arena_printf(a, "%.*s:%u", STR_ARG(place.file), place.line);
}

struct span span_join(struct span a, struct span b)
{
    if (a.source != b.source) {
        return a;
    }
    uint32_t start = a.offset < b.offset ? a.offset : b.offset;
    uint32_t end_a = a.offset + a.length, end_b = b.offset + b.length;
    return (struct span){a.source, start, (end_a > end_b ? end_a : end_b) - start};
}

/* The messages, in the order of adding until they are asked for. */
struct diag_list {
    struct diag *first, *last;
    bool sorted;
};

struct diags {
    struct arena *arena;
    struct sources *sources;
    struct diag_list *list;
    bool *silenced; /* by slug_index(); NULL: none is */
    unsigned errors;
    unsigned warnings;
};

struct diags *diags_new(struct arena *a, struct sources *s)
{
    struct diags *d = arena_new_of(a, struct diags);
    d->arena = a;
    d->sources = s;
    d->list = arena_new_of(a, struct diag_list);
    d->list->sorted = true;
    return d;
}

static bool comes_before(const struct diag *a, const struct diag *b)
{
    return a->span.source != b->span.source ? a->span.source < b->span.source
                                            : a->span.offset < b->span.offset;
}

/* Merges two sorted lists; of equal messages those of a come first. Returns where the
 * last `next` is. */
static struct diag **list_merge(struct diag *a, struct diag *b, struct diag **to)
{
    while (a != NULL && b != NULL) {
        struct diag **least = comes_before(b, a) ? &b : &a;
        *to = *least;
        to = &(*least)->next;
        *least = *to;
    }
    *to = a != NULL ? a : b;
    while (*to != NULL) {
        to = &(*to)->next;
    }
    return to;
}

/* Cuts the list behind its first n messages; returns the rest. */
static struct diag *list_cut(struct diag *first, size_t n)
{
    for (; first != NULL && n > 1; n--) {
        first = first->next;
    }
    struct diag *rest = first != NULL ? first->next : NULL;
    if (first != NULL) {
        first->next = NULL;
    }
    return rest;
}

/* Merge sort from the bottom up: stable, and in place however many there are. */
static void list_sort(struct diag_list *list)
{
    bool merged = !list->sorted;
    for (size_t width = 1; merged; width *= 2) {
        struct diag *rest = list->first, **end = &list->first;
        merged = false;
        while (rest != NULL) {
            struct diag *a = rest, *b = list_cut(a, width);
            rest = list_cut(b, width);
            merged = merged || b != NULL;
            end = list_merge(a, b, end);
        }
    }
    while (!list->sorted && list->last->next != NULL) {
        list->last = list->last->next;
    }
    list->sorted = true;
}

static bool is_silenced(const struct diags *d, const struct diag *m)
{
    const struct slug *slug = d->silenced != NULL ? slug_find(str_from(m->slug)) : NULL;
    return slug != NULL && m->severity == SEVERITY_WARNING &&
           d->silenced[slug_index(slug)];
}

static void diags_add(struct diags *d, struct diag *m)
{
    if (is_silenced(d, m)) {
        return;
    }
    struct diag_list *list = d->list;
    if (list->last == NULL) {
        list->first = m;
    } else {
        list->sorted = list->sorted && !comes_before(m, list->last);
        list->last->next = m;
    }
    list->last = m;
    d->errors += m->severity == SEVERITY_ERROR;
    d->warnings += m->severity == SEVERITY_WARNING;
}

void diags_silence(struct diags *d, const struct slug *slug)
{
    if (d->silenced == NULL) {
        size_t count = 0;
        while (slug_at(count) != NULL) {
            count++;
        }
        d->silenced = arena_array(d->arena, bool, count);
    }
    d->silenced[slug_index(slug)] = true;
    d->list->last = NULL;
    for (struct diag **at = &d->list->first; *at != NULL;) {
        if (is_silenced(d, *at)) {
            *at = (*at)->next;
            d->warnings--;
        } else {
            d->list->last = *at;
            at = &(*at)->next;
        }
    }
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
    diags_add(d, m);
    return m;
}

struct diag *diag_warning(struct diags *d, struct span at, const char *slug,
                          const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct diag *m = diag_new(d, SEVERITY_WARNING, at, slug, fmt, ap);
    va_end(ap);
    diags_add(d, m);
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
    list_sort(d->list);
    return d->list->first;
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
