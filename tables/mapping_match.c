/* mapping_match: matching a text with a compiled pattern. Wildcards take as much as they
 * can, or as little when lazy, the first ones first; what follows decides, and if it
 * cannot match, the last choice is changed. That a wildcard ended at some position and
 * the rest did not match there is noted, and is not tried again: so the work is bounded
 * by (wildcards) x (length). A back match breaks this, because then it matters what was
 * matched before; wildcards it can see are noted nowhere, and m->work is the bound. */
#include "base/check.h"
#include "tables/mapping_pattern.h"

/* A wildcard that has taken text[from .. at) and may end elsewhere too. */
struct mapping_choice {
    unsigned element;
    unsigned run; /* number of the wildcard among the runs */
    size_t from;
    size_t low, high; /* the ends not yet tried: low <= end < high */
};

struct match {
    const struct mapping_pattern *pattern;
    str text;
    struct mapping_matcher *m;
    size_t depth; /* choices that are open */
};

/* Room for n elements, kept from match to match. */
static void *room(struct arena *a, void *at, size_t n, size_t *cap, size_t size)
{
    if (n <= *cap) {
        return at;
    }
    *cap = n > *cap * 2 ? n : *cap * 2;
    return arena_alloc_n(a, *cap, size);
}

static void prepare(const struct match *t)
{
    struct mapping_matcher *m = t->m;
    const struct mapping_pattern *p = t->pattern;
    m->saved = room(m->arena, m->saved, p->saved, &m->saved_cap, sizeof *m->saved);
    m->choices = room(m->arena, m->choices, p->runs, &m->choices_cap, sizeof *m->choices);
    if (p->runs > 1) {
        size_t words = (p->runs * (t->text.len + 1) + 63) / 64;
        m->failed = room(m->arena, m->failed, words, &m->failed_cap, sizeof *m->failed);
        memset(m->failed, 0, words * sizeof *m->failed);
        m->work -= (long)(words / 8);
    }
}

static bool set_has(const struct mapping_set *set, char c)
{
    unsigned char u = (unsigned char)c;
    return set == NULL || (set->bits[u >> 6] >> (u & 63) & 1) != 0;
}

/* With one wildcard no position is ever come to twice. */
static bool is_noted(const struct match *t, unsigned element)
{
    return t->pattern->runs > 1 && element >= t->pattern->backs;
}

static size_t bit_of(const struct match *t, unsigned run, size_t end)
{
    return run * (t->text.len + 1) + end;
}

static bool has_failed(const struct match *t, unsigned run, size_t end)
{
    size_t bit = bit_of(t, run, end);
    return (t->m->failed[bit >> 6] >> (bit & 63) & 1) != 0;
}

static void note_failed(const struct match *t, unsigned run, size_t end)
{
    size_t bit = bit_of(t, run, end);
    t->m->failed[bit >> 6] |= (uint64_t)1 << (bit & 63);
}

static void save(const struct match *t, const struct mapping_element *e, size_t from,
                 size_t to)
{
    if (e->saves) {
        t->m->saved[e->number] = (struct mapping_saved){from, to - from};
    }
}

static bool step_literal(const struct match *t, str literal, size_t *pos)
{
    if (t->text.len - *pos < literal.len ||
        memcmp(t->text.ptr + *pos, literal.ptr, literal.len) != 0) {
        return false;
    }
    *pos += literal.len;
    return true;
}

static bool step_ip(const struct match *t, const struct mapping_element *e, size_t *pos)
{
    uint8_t address[16];
    size_t n = mapping_ip_read(str_from_pos(t->text, *pos), e->ip->size, address);
    if (n == 0 || !mapping_ip_holds(e->ip, address)) {
        return false;
    }
    save(t, e, *pos, *pos + n);
    *pos += n;
    return true;
}

/* Matches an element that leaves no choice, at *pos, and moves behind it. */
static bool step(const struct match *t, const struct mapping_element *e, size_t *pos)
{
    struct mapping_saved before;
    switch (e->kind) {
    case ELEMENT_LITERAL:
        t->m->work -= (long)(e->text.len / 16);
        return step_literal(t, e->text, pos);
    case ELEMENT_ONE:
        if (*pos >= t->text.len || !set_has(e->set, t->text.ptr[*pos])) {
            return false;
        }
        save(t, e, *pos, *pos + 1);
        ++*pos;
        return true;
    case ELEMENT_BACK:
        before = t->m->saved[e->number];
        t->m->work -= (long)(before.length / 16);
        return step_literal(t, str_sub(t->text, before.from, before.length), pos);
    case ELEMENT_IP:
        return step_ip(t, e, pos);
    case ELEMENT_RUN:
        break;
    }
    check(!"a wildcard leaves a choice");
    return false;
}

/* Opens the choice where a wildcard that begins at pos ends. Ends tried before are left
 * out: those are all from some position to the end of the same stretch of characters,
 * because a choice is closed only when nothing is left of it. */
static void open_choice(struct match *t, unsigned element, unsigned run, size_t pos)
{
    const struct mapping_element *e = &t->pattern->elements[element];
    bool noted = is_noted(t, element);
    size_t high = pos;
    while (!(noted && has_failed(t, run, high))) {
        high++;
        if (high > t->text.len || !set_has(e->set, t->text.ptr[high - 1])) {
            break;
        }
    }
    t->m->work -= (long)((high - pos) / 8);
    t->m->choices[t->depth++] = (struct mapping_choice){element, run, pos, pos, high};
}

/* Can what stands behind a wildcard begin at pos? Tells most ends from those worth a try.
 */
static bool may_follow(const struct match *t, unsigned element, size_t pos)
{
    const struct mapping_element *e = &t->pattern->elements[element];
    if (element == t->pattern->count) {
        return pos == t->text.len;
    }
    return e->kind != ELEMENT_LITERAL ||
           (pos < t->text.len && t->text.ptr[pos] == e->text.ptr[0]);
}

/* Takes the next end of the choice opened last; closes those that have none left. False
 * when none is open any more. */
static bool next_end(struct match *t, unsigned *element, unsigned *run, size_t *pos)
{
    while (t->depth > 0 && --t->m->work >= 0) {
        struct mapping_choice *c = &t->m->choices[t->depth - 1];
        const struct mapping_element *e = &t->pattern->elements[c->element];
        if (c->low >= c->high) {
            t->depth--;
            continue;
        }
        *pos = e->lazy ? c->low++ : --c->high;
        if (is_noted(t, c->element)) {
            note_failed(t, c->run, *pos); /* when we come back, it has */
        }
        if (!may_follow(t, c->element + 1, *pos)) {
            continue;
        }
        save(t, e, c->from, *pos);
        *element = c->element + 1;
        *run = c->run + 1;
        return true;
    }
    return false;
}

/* Goes on until a wildcard, or the end. False when something does not match. */
static bool run_steps(const struct match *t, unsigned *element, size_t *pos)
{
    while (*element < t->pattern->count &&
           t->pattern->elements[*element].kind != ELEMENT_RUN) {
        if (!step(t, &t->pattern->elements[*element], pos)) {
            return false;
        }
        ++*element;
    }
    return true;
}

/* Most patterns of a table do not match, and most of those for want of some text. */
static bool turned_away(const struct mapping_pattern *p, str text)
{
    return text.len < p->length_min || !str_starts(text, p->prefix) ||
           memcmp(text.ptr + text.len - p->suffix.len, p->suffix.ptr, p->suffix.len) !=
               0 ||
           (p->needle.ptr != p->prefix.ptr &&
            memmem(text.ptr, text.len, p->needle.ptr, p->needle.len) == NULL);
}

bool mapping_pattern_match(const struct mapping_pattern *p, str folded,
                           struct mapping_matcher *m)
{
    struct match t = {.pattern = p, .text = folded, .m = m};
    unsigned element = 0, run = 0;
    size_t pos = 0;
    m->work -= 1 + (long)(folded.len / 64);
    if (m->work < 0 || turned_away(p, folded)) {
        return false;
    }
    prepare(&t);
    do {
        if (!run_steps(&t, &element, &pos)) {
            continue;
        }
        if (element < p->count) {
            open_choice(&t, element, run, pos);
        } else if (pos == folded.len) {
            return true;
        }
    } while (next_end(&t, &element, &run, &pos));
    return false;
}
