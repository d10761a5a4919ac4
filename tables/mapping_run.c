/* mapping_run: running tables. */
#include <limits.h>

#include "tables/mapping_output.h"

/* A walk costs as much as so many bytes. */
enum { WALK_BYTES = 256 };

/* One walk through a table. */
struct pass {
    struct mapping_machine *machine;
    const struct mapping *table;
    str text;        /* what is matched */
    size_t length;   /* of the text when this pass began */
    unsigned tiring; /* restarts in a row that did not shorten it */
    bool last_pass;  /* $L: begin once more at the end */
    struct mapping_walk walk;
    char *folded; /* the text in lower case */
    size_t folded_cap;
};

/* Begins a walk; what that costs in time and storage is counted, so that tables calling
 * tables come to an end soon enough. */
static void look_from(struct pass *p, unsigned entry)
{
    if (p->folded == NULL || p->folded_cap < p->text.len) {
        p->folded_cap = p->text.len;
        p->folded = arena_alloc(p->machine->arena, p->folded_cap);
    }
    for (size_t i = 0; i < p->text.len; i++) {
        p->folded[i] = ascii_lower(p->text.ptr[i]);
    }
    mapping_machine_count(p->machine, WALK_BYTES + p->text.len);
    mapping_walk_begin(p->table->index, str_n(p->folded, p->text.len), entry,
                       p->machine->arena, &p->walk);
}

/* Begins again at the first entry, unless that was done too often: then false, and the
 * request is ignored (PMDF 5.3.2, the loop guard). */
static bool restart(struct pass *p)
{
    p->tiring = p->text.len >= p->length ? p->tiring + 1 : 0;
    if (p->tiring > MAPPING_RESTARTS_MAX) {
        return false;
    }
    p->length = p->text.len;
    p->last_pass = false;
    look_from(p, 0);
    return true;
}

/* The next entry that matches, or NULL. */
static const struct mapping_entry *next_match(struct pass *p)
{
    struct mapping_matcher *m = &p->machine->matcher;
    for (;;) {
        unsigned i = mapping_walk_next(&p->walk);
        str text = str_n(p->folded, p->text.len);
        if (i != UINT_MAX) {
            const struct mapping_entry *e = &p->table->entries[i];
            if (mapping_pattern_match(&e->pattern, text, m)) {
                return e;
            }
        } else if (!p->last_pass || !restart(p)) {
            return NULL;
        }
        if (m->work < 0) {
            mapping_machine_stop(p->machine, "a mapping took too many steps");
            return NULL;
        }
    }
}

static void trace(const struct pass *p, const struct mapping_entry *e,
                  const struct mapping_outcome *o)
{
    static const char *const names[] = {"end", "continue", "last pass", "restart"};
    struct mapping_machine *m = p->machine;
    struct mapping_step *step = arena_new_of(m->arena, struct mapping_step);
    *step = (struct mapping_step){.depth = m->depth,
                                  .table = p->table->name,
                                  .probe = p->text,
                                  .entry = e->at,
                                  .text = STR("")};
    if (m->fault != NULL) {
        step->outcome = arena_printf(m->arena, "fault: %s", m->fault);
    } else if (o->failed.len > 0) {
        step->outcome = arena_printf(m->arena, "%s: %.*s",
                                     o->unmet ? "not met" : "failed", STR_ARG(o->failed));
    } else {
        step->outcome = str_from(names[o->control]);
        step->text = o->text;
    }
    *m->steps_end = step;
    m->steps_end = &step->next;
}

static enum mapping_control run_entry(struct pass *p, const struct mapping_entry *e,
                                      struct mapping_result *out)
{
    struct mapping_outcome o;
    mapping_output_make(p->machine, e, p->text, &o);
    if (p->machine->in->trace) {
        trace(p, e, &o);
    }
    if (o.control != MAPPING_CONTROL_NO_MATCH) {
        p->text = o.text;
        *out = (struct mapping_result){o.text, out->flags | o.flags, e};
    }
    return o.control;
}

/* Does what the entry asked for. False: the end has come. */
static bool go_on(struct pass *p, const struct mapping_entry *e,
                  enum mapping_control control)
{
    switch (control) {
    case MAPPING_CONTROL_END:
        return false;
    case MAPPING_CONTROL_NO_MATCH:
        return true;
    case MAPPING_CONTROL_RESTART:
        return restart(p);
    case MAPPING_CONTROL_NEXT:
    case MAPPING_CONTROL_LAST_PASS:
        break;
    }
    p->last_pass = control == MAPPING_CONTROL_LAST_PASS;
    look_from(p, (unsigned)(e - p->table->entries) + 1);
    return true;
}

static void pass_run(struct pass *p, struct mapping_result *out)
{
    const struct mapping_entry *e;
    look_from(p, 0);
    while ((e = next_match(p)) != NULL) {
        enum mapping_control control = run_entry(p, e, out);
        if (p->machine->fault != NULL || !go_on(p, e, control)) {
            break;
        }
    }
}

bool mapping_machine_run(struct mapping_machine *m, const struct mapping *t, str probe,
                         struct mapping_result *out)
{
    struct pass p = {.machine = m, .table = t, .text = probe, .length = probe.len};
    *out = (struct mapping_result){.text = probe};
    if (m->depth >= MAPPING_DEPTH_MAX) {
        mapping_machine_stop(m, "mapping tables call each other too deeply");
        return false;
    }
    m->depth++;
    pass_run(&p, out);
    m->depth--;
    return out->entry != NULL && m->fault == NULL;
}

/* Runs the entries of one walk, each by itself. */
static void pass_each(struct pass *p, mapping_each_fn *each, void *arg)
{
    const struct mapping_entry *e;
    struct mapping_outcome o;
    bool more = true;
    look_from(p, 0);
    while (more && (e = next_match(p)) != NULL) {
        mapping_output_make(p->machine, e, p->text, &o);
        if (p->machine->fault != NULL) {
            return;
        }
        struct mapping_hit hit = {.number = (unsigned)(e - p->table->entries),
                                  .entry = e->at,
                                  .text = o.text,
                                  .flags = o.flags};
        more = o.failed.len > 0 || (each(&hit, arg) && !o.ended);
    }
}

const char *mapping_each(const struct mapping *t, const struct mapping_input *in,
                         struct arena *a, mapping_each_fn *each, void *arg)
{
    struct mapping_step *steps = NULL;
    struct mapping_machine m = {.in = in, .arena = a, .steps_end = &steps, .depth = 1};
    struct pass p = {
        .machine = &m, .table = t, .text = in->probe, .length = in->probe.len};
    m.matcher =
        (struct mapping_matcher){.arena = a, .work = MAPPING_WORK_MAX + 100L * t->count};
    if (in->probe.len > MAPPING_TEXT_MAX) {
        mapping_machine_stop(&m, "the string to be mapped is too long");
    } else {
        pass_each(&p, each, arg);
    }
    return m.fault;
}

bool mapping_run(const struct mapping *t, const struct mapping_input *in, struct arena *a,
                 struct mapping_output *out)
{
    struct mapping_machine m = {.in = in, .arena = a, .steps_end = &out->steps};
    struct mapping_result result = {.text = in->probe};
    *out = (struct mapping_output){.text = in->probe};
    m.matcher =
        (struct mapping_matcher){.arena = a, .work = MAPPING_WORK_MAX + 100L * t->count};
    if (in->probe.len > MAPPING_TEXT_MAX) {
        mapping_machine_stop(&m, "the string to be mapped is too long");
    } else {
        mapping_machine_run(&m, t, in->probe, &result);
    }
    out->fault = m.fault;
    out->work = MAPPING_WORK_MAX + 100L * t->count - m.matcher.work;
    if (result.entry == NULL || m.fault != NULL) {
        return false;
    }
    out->text = result.text;
    out->flags = result.flags;
    out->entry = result.entry->at;
    return true;
}
