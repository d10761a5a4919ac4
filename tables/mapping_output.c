/* mapping_output: running the template of one entry. */
#include "tables/mapping_output.h"

#include <sys/random.h>

#include "base/buf.h"
#include "base/check.h"
#include "tables/general.h"

/* A template, or an argument in it, being run. */
struct output {
    struct mapping_machine *machine;
    str probe;
    const struct mapping_saved *saved;
    unsigned saved_count;
    struct buf text;
    uint64_t flags;
    enum mapping_control control;
    bool controlled; /* the template said how to go on */
    bool exit;
    str failed;  /* the sequence that made the entry fail; empty: none did */
    bool unmet;  /* it was a condition */
    char change; /* '\\', '^' or '_' */
    bool ldap;
};

static void do_ops(struct output *o, const struct mapping_template *t);

void mapping_machine_stop(struct mapping_machine *m, const char *fault)
{
    m->fault = m->fault != NULL ? m->fault : fault;
}

void mapping_machine_count(struct mapping_machine *m, size_t bytes)
{
    m->matcher.work -= (long)(bytes / 4);
}

static char changed(char change, char c)
{
    if (change == '\\') {
        return ascii_lower(c);
    }
    return change == '^' && c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static void put(struct output *o, str text)
{
    size_t from = o->text.len;
    mapping_machine_count(o->machine, text.len);
    if (!buf_str(&o->text, text)) {
        mapping_machine_stop(o->machine, "the text made by a mapping became too long");
        return;
    }
    for (size_t i = from; o->change != '_' && i < o->text.len; i++) {
        o->text.data[i] = changed(o->change, o->text.data[i]);
    }
}

/* Text that is not the configuration's own; quoted after $= (RFC 4515 section 3). */
static void put_foreign(struct output *o, str text)
{
    size_t done = 0;
    for (size_t i = 0; o->ldap && i < text.len && o->machine->fault == NULL; i++) {
        static const char digits[] = "0123456789abcdef";
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '\0' || strchr("*()\\", c) != NULL) {
            char quoted[3] = {'\\', digits[c >> 4], digits[c & 15]};
            put(o, str_sub(text, done, i - done));
            put(o, str_n(quoted, sizeof quoted));
            done = i + 1;
        }
    }
    put(o, str_from_pos(text, done));
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
    str text = arena_str(o->machine->arena, buf_slice(&inner.text));
    buf_free(&inner.text);
    inner.text = o->text;
    inner.change = o->change;
    inner.ldap = o->ldap;
    *o = inner;
    return text;
}

static void do_table(struct output *o, const struct mapping_op *op)
{
    struct mapping_result result;
    const struct mapping *t = mapping_find(o->machine->in->snapshot, op->text);
    str argument = make_argument(o, &op->argument);
    if (o->failed.len > 0 || o->machine->fault != NULL) {
        return;
    }
    if (t == NULL && o->machine->in->strict) {
        mapping_machine_stop(o->machine, "it calls a table that is not there");
    }
    if (t == NULL || !mapping_machine_run(o->machine, t, argument, &result) ||
        (result.flags & mapping_flag('Y')) == 0) {
        fail(o, op);
    } else {
        put_foreign(o, result.text);
    }
}

/* Work of compiling a value, in bytes written. */
enum { VALUE_BYTES = 256 };

/* What the database has is template text: flags and all (PMDF 16.1.7). */
static void do_general(struct output *o, const struct mapping_op *op)
{
    struct mapping_template t;
    struct arena *a = o->machine->arena;
    str key = make_argument(o, &op->argument), value;
    if (o->failed.len > 0 || o->machine->fault != NULL) {
        return;
    }
    bool found = general_find(o->machine->in->snapshot, key, &value);
    if (!found || !mapping_value_compile(a, a, value, SPAN_NONE, NULL, &t)) {
        fail(o, op);
        if (found && o->machine->in->strict) {
            mapping_machine_stop(o->machine,
                                 "a value of the general database is no template");
        }
        return;
    }
    mapping_machine_count(o->machine, VALUE_BYTES + value.len);
    str text = make_argument(o, &t);
    if (o->failed.len == 0) {
        put_foreign(o, text);
    }
}

/* A number from 0 to 99, each as likely as the others. */
static unsigned percent(void)
{
    unsigned char byte;
    do {
        check(getrandom(&byte, sizeof byte, 0) == sizeof byte);
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

static enum mapping_control control_of(char letter)
{
    switch (letter) {
    case 'c':
        return MAPPING_CONTROL_NEXT;
    case 'l':
        return MAPPING_CONTROL_LAST_PASS;
    case 'r':
        return MAPPING_CONTROL_RESTART;
    default:
        return MAPPING_CONTROL_END;
    }
}

static void require(struct output *o, const struct mapping_op *op, bool met)
{
    if (!met) {
        fail(o, op);
        o->unmet = true;
    }
}

static void set_control(struct output *o, enum mapping_control control)
{
    o->control = control;
    o->controlled = true;
}

static void do_op(struct output *o, const struct mapping_op *op)
{
    switch (op->kind) {
    case MAPPING_OP_TEXT:
        put(o, op->text);
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
        require(o, op, (o->machine->in->flags & op->flags) != 0);
        break;
    case MAPPING_OP_UNLESS:
        require(o, op, (o->machine->in->flags & op->flags) == 0);
        break;
    case MAPPING_OP_CONTROL:
        set_control(o, control_of((char)op->number));
        break;
    case MAPPING_OP_EXIT:
        set_control(o, MAPPING_CONTROL_END);
        o->exit = true;
        break;
    case MAPPING_OP_FLAG:
        o->flags |= op->flags;
        break;
    case MAPPING_OP_TABLE:
        do_table(o, op);
        break;
    case MAPPING_OP_GENERAL:
        do_general(o, op);
        break;
    case MAPPING_OP_FAIL:
        fail(o, op);
        if (o->machine->in->strict) {
            mapping_machine_stop(o->machine, "it has a sequence that is not supported");
        }
        break;
    }
}

static void do_ops(struct output *o, const struct mapping_template *t)
{
    for (unsigned i = 0;
         i < t->count && !o->exit && o->failed.len == 0 && o->machine->fault == NULL;
         i++) {
        o->machine->matcher.work--;
        do_op(o, &t->ops[i]);
    }
}

/* The matcher's saved texts, kept from tables that are called. */
static const struct mapping_saved *keep_saved(struct mapping_machine *m, unsigned n)
{
    struct mapping_saved *kept = arena_array(m->arena, struct mapping_saved, n);
    if (n > 0) {
        memcpy(kept, m->matcher.saved, n * sizeof *kept);
    }
    return kept;
}

void mapping_output_make(struct mapping_machine *m, const struct mapping_entry *e,
                         str probe, struct mapping_outcome *out)
{
    struct output o = {.machine = m,
                       .probe = probe,
                       .saved = keep_saved(m, e->pattern.saved),
                       .saved_count = e->pattern.saved,
                       .change = '_'};
    buf_init(&o.text, MAPPING_TEXT_MAX);
    do_ops(&o, &e->template);
    bool good = o.failed.len == 0 && m->fault == NULL;
    *out = (struct mapping_outcome){
        .text = good ? arena_str(m->arena, buf_slice(&o.text)) : probe,
        .flags = good ? o.flags : 0,
        .control = o.unmet && !o.controlled ? MAPPING_CONTROL_NO_MATCH : o.control,
        .failed = o.failed,
        .unmet = o.unmet,
        .ended = o.controlled && o.control == MAPPING_CONTROL_END};
    buf_free(&o.text);
}
