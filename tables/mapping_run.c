/* mapping_run: running tables. One struct run goes through all tables that call each
 * other; it holds what limits them together. */
#include <limits.h>
#include <sys/random.h>

#include "base/buf.h"
#include "tables/mapping_table.h"

/* What goes on behind an entry. */
enum control {
    CONTROL_END,
    CONTROL_NEXT,      /* $C */
    CONTROL_LAST_PASS, /* $L */
    CONTROL_RESTART,   /* $R */
    CONTROL_NO_MATCH   /* as if the entry had not matched */
};

struct run {
    const struct mapping_input *in;
    struct arena *arena;
    struct mapping_matcher matcher;
    unsigned depth;
    const char *fault;
    struct mapping_step **steps_end;
};

/* What a table makes of a string. */
struct result {
    str text;
    uint64_t flags;
    const struct mapping_entry *entry; /* the last one that matched, or NULL */
};

/* A template being run. */
struct output {
    struct run *run;
    str probe; /* as given, not folded */
    const struct mapping_saved *saved;
    unsigned saved_count;
    struct buf text;
    uint64_t flags;
    enum control control;
    bool controlled; /* the template said how to go on */
    bool exit;
    str failed;  /* the sequence that made the entry fail; empty: none did */
    bool unmet;  /* it was a condition: the entry counts as one that did not match */
    char change; /* '\\', '^' or '_' */
    bool ldap;
};

static bool run_table(struct run *r, const struct mapping *t, str probe,
                      struct result *out);
static void do_ops(struct output *o, const struct mapping_template *t);

/* ---- templates ----------------------------------------------------------------- */

static void give_up(struct run *r, const char *fault)
{
    r->fault = r->fault != NULL ? r->fault : fault;
}

static char changed(char change, char c)
{
    if (change == '\\') {
        return ascii_lower(c);
    }
    return change == '^' && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static void put_char(struct output *o, char c)
{
    if (!buf_putc(&o->text, changed(o->change, c))) {
        give_up(o->run, "the text made by a mapping became too long");
    }
}

/* A step of work stands for some bytes written. */
static void count_bytes(struct run *r, size_t n)
{
    r->matcher.work -= (long)(n / 4);
}

static void put_text(struct output *o, str text)
{
    count_bytes(o->run, text.len);
    for (size_t i = 0; i < text.len && o->run->fault == NULL; i++) {
        put_char(o, text.ptr[i]);
    }
}

/* Text that is not the configuration's own; quoted after $= (RFC 4515 section 3). */
static void put_foreign(struct output *o, str text)
{
    count_bytes(o->run, text.len);
    for (size_t i = 0; i < text.len && o->run->fault == NULL; i++) {
        char c = text.ptr[i];
        if (o->ldap && (c == '\0' || strchr("*()\\", c) != NULL)) {
            static const char digits[] = "0123456789abcdef";
            put_char(o, '\\');
            put_char(o, digits[(unsigned char)c >> 4]);
            put_char(o, digits[(unsigned char)c & 15]);
        } else {
            put_char(o, c);
        }
    }
}

static void fail(struct output *o, const struct mapping_op *op)
{
    o->failed = op->written;
}

/* The argument of a call-out, made in a buffer of its own. */
static str make_argument(struct output *o, const struct mapping_template *t)
{
    struct output inner = *o;
    buf_init(&inner.text, MAPPING_TEXT_MAX);
    inner.change = '_';
    inner.ldap = false;
    do_ops(&inner, t);
    str text = arena_str(o->run->arena, buf_slice(&inner.text));
    buf_free(&inner.text);
    inner.text = o->text;
    inner.change = o->change;
    inner.ldap = o->ldap;
    *o = inner;
    return text;
}

static void do_table(struct output *o, const struct mapping_op *op)
{
    struct result result;
    const struct mapping *t = mapping_find(o->run->in->snapshot, op->text);
    str argument = make_argument(o, &op->argument);
    if (o->failed.len > 0 || o->run->fault != NULL) {
        return;
    }
    if (t == NULL || !run_table(o->run, t, argument, &result) ||
        (result.flags & mapping_flag('Y')) == 0) {
        fail(o, op);
    } else {
        put_foreign(o, result.text);
    }
}

/* A number from 0 to 99, each as likely as the others. */
static unsigned percent(void)
{
    unsigned char byte;
    do {
        if (getrandom(&byte, sizeof byte, 0) != sizeof byte) {
            byte = 255;
        }
    } while (byte >= 200);
    return byte % 100;
}

static void do_saved(struct output *o, unsigned number)
{
    if (number < o->saved_count) {
        put_foreign(o, str_sub(o->probe, o->saved[number].from, o->saved[number].length));
    }
}

static void do_case(struct output *o, char change)
{
    o->change = change;
    o->ldap = o->ldap && change != '_';
}

static enum control control_of(char letter)
{
    switch (letter) {
    case 'c':
        return CONTROL_NEXT;
    case 'l':
        return CONTROL_LAST_PASS;
    case 'r':
        return CONTROL_RESTART;
    default:
        return CONTROL_END;
    }
}

static void require(struct output *o, const struct mapping_op *op, bool met)
{
    if (!met) {
        fail(o, op);
        o->unmet = true;
    }
}

static void set_control(struct output *o, enum control control)
{
    o->control = control;
    o->controlled = true;
}

static void do_op(struct output *o, const struct mapping_op *op)
{
    switch (op->kind) {
    case MAPPING_OP_TEXT:
        put_text(o, op->text);
        break;
    case MAPPING_OP_SAVED:
        do_saved(o, op->number);
        break;
    case MAPPING_OP_CASE:
        do_case(o, (char)op->number);
        break;
    case MAPPING_OP_LDAP:
        o->ldap = true;
        break;
    case MAPPING_OP_RANDOM:
        require(o, op, percent() < op->number);
        break;
    case MAPPING_OP_IF:
        require(o, op, (o->run->in->flags & op->flags) != 0);
        break;
    case MAPPING_OP_UNLESS:
        require(o, op, (o->run->in->flags & op->flags) == 0);
        break;
    case MAPPING_OP_CONTROL:
        set_control(o, control_of((char)op->number));
        break;
    case MAPPING_OP_EXIT:
        set_control(o, CONTROL_END);
        o->exit = true;
        break;
    case MAPPING_OP_FLAG:
        o->flags |= op->flags;
        break;
    case MAPPING_OP_TABLE:
        do_table(o, op);
        break;
    case MAPPING_OP_FAIL:
        fail(o, op);
        break;
    }
}

static void do_ops(struct output *o, const struct mapping_template *t)
{
    for (unsigned i = 0;
         i < t->count && !o->exit && o->failed.len == 0 && o->run->fault == NULL; i++) {
        o->run->matcher.work--;
        do_op(o, &t->ops[i]);
    }
}

/* ---- tables -------------------------------------------------------------------- */

/* One walk through a table. */
struct pass {
    struct run *run;
    const struct mapping *table;
    str text;        /* what is matched */
    size_t length;   /* of the text when this pass began */
    unsigned tiring; /* restarts in a row that did not shorten it */
    bool last_pass;  /* $L: begin once more at the end */
    struct mapping_walk walk;
    char *folded; /* the text in lower case */
    size_t folded_cap;
};

static void look_from(struct pass *p, unsigned entry)
{
    if (p->folded == NULL || p->folded_cap < p->text.len) {
        p->folded_cap = p->text.len;
        p->folded = arena_alloc(p->run->arena, p->folded_cap);
    }
    for (size_t i = 0; i < p->text.len; i++) {
        p->folded[i] = ascii_lower(p->text.ptr[i]);
    }
    count_bytes(p->run, p->text.len);
    mapping_walk_begin(p->table->index, str_n(p->folded, p->text.len), entry,
                       p->run->arena, &p->walk);
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
    struct mapping_matcher *m = &p->run->matcher;
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
            give_up(p->run, "a mapping took too many steps");
            return NULL;
        }
    }
}

static void trace(const struct pass *p, const struct mapping_entry *e,
                  const struct output *o)
{
    static const char *const names[] = {"end", "continue", "last pass", "restart"};
    struct run *r = p->run;
    struct mapping_step *step = arena_new_of(r->arena, struct mapping_step);
    *step = (struct mapping_step){.depth = r->depth,
                                  .table = p->table->name,
                                  .probe = p->text,
                                  .entry = e->at,
                                  .text = STR(""),
                                  .outcome = str_from(names[o->control])};
    if (r->fault != NULL) {
        step->outcome = arena_printf(r->arena, "fault: %s", r->fault);
    } else if (o->failed.len > 0) {
        step->outcome = arena_printf(r->arena, "%s: %.*s",
                                     o->unmet ? "not met" : "failed", STR_ARG(o->failed));
    } else {
        step->text = arena_str(r->arena, buf_slice(&o->text));
    }
    *r->steps_end = step;
    r->steps_end = &step->next;
}

/* Runs the template of an entry that matched; what was saved is in the matcher, which
 * calls to other tables use again. */
static enum control run_entry(struct pass *p, const struct mapping_entry *e,
                              struct result *out)
{
    struct run *r = p->run;
    size_t size = e->pattern.saved * sizeof(struct mapping_saved);
    struct mapping_saved *saved = arena_alloc(r->arena, size);
    struct output o = {.run = r,
                       .probe = p->text,
                       .saved = saved,
                       .saved_count = e->pattern.saved,
                       .change = '_'};
    if (size > 0) {
        memcpy(saved, r->matcher.saved, size);
    }
    buf_init(&o.text, MAPPING_TEXT_MAX);
    do_ops(&o, &e->template);
    if (r->in->trace) {
        trace(p, e, &o);
    }
    if (o.failed.len == 0 && r->fault == NULL) {
        p->text = arena_str(r->arena, buf_slice(&o.text));
        out->flags |= o.flags;
    }
    buf_free(&o.text);
    if (o.unmet && !o.controlled) {
        return CONTROL_NO_MATCH;
    }
    out->text = p->text;
    out->entry = e;
    return o.control;
}

/* Does what the entry asked for. False: the end has come. */
static bool go_on(struct pass *p, const struct mapping_entry *e, enum control control)
{
    switch (control) {
    case CONTROL_END:
        return false;
    case CONTROL_NO_MATCH:
        return true;
    case CONTROL_RESTART:
        return restart(p);
    case CONTROL_NEXT:
    case CONTROL_LAST_PASS:
        break;
    }
    p->last_pass = control == CONTROL_LAST_PASS;
    look_from(p, (unsigned)(e - p->table->entries) + 1);
    return true;
}

static void pass_run(struct pass *p, struct result *out)
{
    const struct mapping_entry *e;
    look_from(p, 0);
    while ((e = next_match(p)) != NULL) {
        enum control control = run_entry(p, e, out);
        if (p->run->fault != NULL || !go_on(p, e, control)) {
            break;
        }
    }
}

/* True when an entry matched and no limit was reached. */
static bool run_table(struct run *r, const struct mapping *t, str probe,
                      struct result *out)
{
    struct pass p = {.run = r, .table = t, .text = probe, .length = probe.len};
    *out = (struct result){.text = probe};
    if (r->depth >= MAPPING_DEPTH_MAX) {
        give_up(r, "mapping tables call each other too deeply");
        return false;
    }
    r->depth++;
    pass_run(&p, out);
    r->depth--;
    return out->entry != NULL && r->fault == NULL;
}

bool mapping_run(const struct mapping *t, const struct mapping_input *in, struct arena *a,
                 struct mapping_output *out)
{
    struct run r = {.in = in, .arena = a, .steps_end = &out->steps};
    struct result result = {.text = in->probe};
    *out = (struct mapping_output){.text = in->probe};
    r.matcher =
        (struct mapping_matcher){.arena = a, .work = MAPPING_WORK_MAX + 100L * t->count};
    if (in->probe.len > MAPPING_TEXT_MAX) {
        give_up(&r, "the string to be mapped is too long");
    } else {
        run_table(&r, t, in->probe, &result);
    }
    out->fault = r.fault;
    if (result.entry == NULL || r.fault != NULL) {
        return false;
    }
    out->text = result.text;
    out->flags = result.flags;
    out->entry = result.entry->at;
    return true;
}
