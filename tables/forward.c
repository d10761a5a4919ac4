/* forward: see forward.h. */
#include "tables/forward.h"

#include "tables/access.h"
#include "tables/alias_item.h"
#include "tables/compile.h"
#include "tables/mapping.h"

/* ---- the file ---------------------------------------------------------------------- */

static void add_entry(struct compile *c, const struct ast_entry *from)
{
    struct forward_entry *e = arena_new_of(c->arena, struct forward_entry);
    *e = (struct forward_entry){.value = from->template,
                                .at = span_join(from->pattern_at, from->template_at)};
    const char *reason = alias_address_read(c->arena, from->template, &e->address);
    if (reason != NULL) {
        diag_error(c->diags, from->template_at, "alias-address", "the address '%.*s' %s",
                   STR_ARG(from->template), reason);
        return;
    }
    const struct forward_entry *first = map_add(c->s->forward, from->pattern, e);
    if (first != e) {
        struct diag *d =
            diag_error(c->diags, from->pattern_at, "duplicate-key",
                       "there is a value for '%.*s' already", STR_ARG(from->pattern));
        diag_note(c->diags, d, first->at, "here it was given first");
    }
}

void forward_compile(struct compile *c, const struct ast *ast)
{
    const struct ast_entry *first =
        ast != NULL && ast->tables != NULL ? ast->tables->entries : NULL;
    for (const struct ast_entry *e = first; e != NULL; e = e->next) {
        add_entry(c, e);
    }
    if (first != NULL && (c->s->options.forward_bits & FORWARD_FILE) == 0) {
        diag_warning(c->diags, first->pattern_at, "forward-unused",
                     "this file is not asked: USE_FORWARD_DATABASE=1 in option.dat is "
                     "missing");
    }
}

static const struct forward_entry *find_entry(const struct forward_query *q, str key)
{
    bool asked = (q->snapshot->options.forward_bits & FORWARD_FILE) != 0;
    return asked ? map_get(q->snapshot->forward, key) : NULL;
}

/* ---- probes ------------------------------------------------------------------------ */

/* Where fields are asked for, an address with '|' in it has no probe: another character
 * in its place would come out as another address. */
static bool has_probe(const struct forward_query *q, str to, unsigned bits)
{
    return (q->snapshot->options.forward_bits & bits) == 0 || str_find(to, '|') < 0;
}

static str probe(const struct forward_query *q, str to, unsigned from_bit,
                 unsigned to_bit, struct arena *a)
{
    unsigned bits = q->snapshot->options.forward_bits;
    str out = to;
    if ((bits & to_bit) != 0) {
        out = arena_printf(a, "%.*s|%.*s", STR_ARG(q->destination->name), STR_ARG(out));
    }
    if ((bits & from_bit) != 0) {
        str sender = access_escape(q->snapshot, a, q->sender);
        out = arena_printf(a, "%.*s|%.*s|%.*s", STR_ARG(q->source->name), STR_ARG(sender),
                           STR_ARG(out));
    }
    return out;
}

/* ---- asking ------------------------------------------------------------------------ */

static void take_entry(const struct forward_entry *e, struct forward_answer *out)
{
    out->changed = true;
    out->to = e->address;
    out->at = e->at;
    out->again = true;
}

static void ask_file(const struct forward_query *q, str to, struct arena *a,
                     struct forward_answer *out)
{
    const struct forward_entry *e = find_entry(q, probe(q, to, FORWARD_FILE_FROM, 0, a));
    if (e != NULL) {
        take_entry(e, out);
    }
}

/* One of the many spellings of the address, so that none gets past an entry. What could
 * be read as a host keeps its quotes. */
static str spelled(const struct address *to, struct arena *a)
{
    struct address one = *to;
    one.local = address_canonical_local(a, to->local);
    bool hosts = str_find(one.local, '%') >= 0 || str_find(one.local, '!') >= 0;
    one.local = hosts ? to->local : one.local;
    return address_print(a, &one);
}

/* What the entry that decided made of it. */
static void take_output(const struct forward_query *q, const struct mapping_output *m,
                        struct arena *a, struct forward_answer *out)
{
    const struct forward_entry *e = NULL;
    out->at = m->entry;
    out->again = (m->flags & mapping_flag('D')) != 0;
    out->last = (m->flags & mapping_flag('H')) != 0;
    out->hold = (m->flags & mapping_flag('I')) != 0;
    if ((m->flags & mapping_flag('Y')) == 0 || (m->flags & mapping_flag('N')) != 0) {
        return;
    }
    if ((m->flags & mapping_flag('G')) != 0) {
        e = find_entry(q, probe(q, m->text, FORWARD_FILE_FROM, 0, a));
    }
    str text = e != NULL ? e->value : m->text;
    /* not as in a file: a part of it may be the client's, who could write a phrase */
    const char *reason = e != NULL ? alias_address_read(a, text, &out->to)
                                   : address_parse(str_trim(text), &out->to);
    reason = reason == NULL && out->to.local.len == 0 ? "has no local part" : reason;
    if (reason != NULL) {
        out->fault =
            arena_printf(a, "FORWARD made '%.*s', which %s", STR_ARG(text), reason);
        return;
    }
    out->changed = true;
}

void forward_ask(const struct forward_query *q, struct arena *a,
                 struct forward_answer *out)
{
    const struct mapping *table = mapping_find(q->snapshot, STR("FORWARD"));
    struct mapping_output m = {.entry = SPAN_NONE};
    *out = (struct forward_answer){.at = SPAN_NONE, .probe = STR("")};
    if (table == NULL && map_count(q->snapshot->forward) == 0) {
        return;
    }
    str to = spelled(q->to, a);
    if (table != NULL && has_probe(q, to, FORWARD_TABLE_FROM | FORWARD_TABLE_TO)) {
        out->probe = probe(q, to, FORWARD_TABLE_FROM, FORWARD_TABLE_TO, a);
        struct mapping_input in = {
            .snapshot = q->snapshot, .probe = out->probe, .flags = q->flags};
        bool matched = mapping_run(table, &in, a, &m);
        if (m.fault != NULL) {
            out->at = m.entry;
            out->fault = arena_printf(a, "FORWARD: %s", m.fault);
            return;
        }
        if (matched) {
            take_output(q, &m, a, out);
        }
    }
    if (!out->changed && !out->last && out->fault.ptr == NULL &&
        has_probe(q, to, FORWARD_FILE_FROM)) {
        ask_file(q, to, a, out);
    }
}
