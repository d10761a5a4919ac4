/* template_check: what can be said of a whole template: its form, fields that nothing
 * ever fills, controls that exclude each other, names it uses. */
#include "base/check.h"
#include "tables/template_ops.h"

/* A call-out, or an argument that is being collected, takes the text of these ops. */
enum collecting { COLLECTING_FIELD, COLLECTING_CALLOUT, COLLECTING_DOMAIN };

static enum collecting collecting_next(enum collecting now, unsigned kind)
{
    if (op_is_reexpanded(kind)) {
        return COLLECTING_CALLOUT;
    }
    if (kind == OP_CALL_END) {
        return COLLECTING_FIELD;
    }
    if (kind == OP_LOCAL) {
        return COLLECTING_DOMAIN;
    }
    bool control = !op_is_material(kind) && kind != OP_CASE && kind != OP_QUOTE;
    return now == COLLECTING_DOMAIN && control ? COLLECTING_FIELD : now;
}

static bool is_open(const struct template *t)
{
    for (size_t i = 0; i < t->op_count; i++) {
        if (op_is_reexpanded(t->ops[i].kind) || t->ops[i].kind == OP_ROUTINE) {
            return true;
        }
    }
    return false;
}

static bool has_material(const struct template *t)
{
    enum collecting now = COLLECTING_FIELD;

    for (size_t i = 0; i < t->op_count; i++) {
        now = collecting_next(now, t->ops[i].kind);
        if (now == COLLECTING_FIELD && op_is_material(t->ops[i].kind)) {
            return true;
        }
    }
    return false;
}

/* Is there what makes a template without separators worth writing? */
static bool has_refusal(const struct template *t)
{
    for (size_t i = 0; i < t->op_count; i++) {
        if (t->ops[i].kind == OP_ERROR) {
            return true;
        }
    }
    return false;
}

/* Finds the form from the separators in their order. */
static bool find_form(struct template_parser *p, struct template *t)
{
    char seen[TEMPLATE_FIELDS + 1] = "";
    size_t n = 0;

    for (size_t i = 0; i < t->op_count; i++) {
        if (op_is_separator(t->ops[i].kind) && n < sizeof seen - 1) {
            seen[n++] = t->ops[i].kind == OP_AT ? '@' : '%';
        }
    }
    p->pos = p->text.len;
    if (is_open(t)) {
        t->form = TEMPLATE_OPEN;
        return true;
    }
    bool known = template_form_of(seen, &t->form);
    if (known && (t->form != TEMPLATE_AS_IS || (!has_material(t) && has_refusal(t)))) {
        return true;
    }
    template_error(p, 0, "template-form",
                   "not of one of the forms A%%B@C, A@C, A%%B, A@B@C, A@B@C@D and "
                   "$?text");
    return false;
}

/* ---- fields -------------------------------------------------------------------- */

static void check_filled(struct template_parser *p, const struct template *t,
                         size_t field, bool filled)
{
    static const char *const full[] = {"user", "domain", "routing host"};
    static const char *const brief[] = {"user", "routing host"};
    static const char *const routed[] = {"user", "domain", "source route",
                                         "routing host"};
    const char *name = t->form == TEMPLATE_SHORT    ? brief[field]
                       : t->form >= TEMPLATE_ROUTED ? routed[field]
                                                    : full[field];

    if (!filled) {
        template_error(p, 0, "template-empty", "the %s is empty", name);
    }
}

static void check_domain_argument(struct template_parser *p, const struct template *t,
                                  size_t i)
{
    if (i + 1 >= t->op_count || !op_is_material(t->ops[i + 1].kind)) {
        template_error(p, t->ops[i].at, "template-argument",
                       "'$V' and '$Z' need a domain behind them");
    }
}

/* Reports fields that nothing can ever fill; notes a literal routing host. */
static void check_fields(struct template_parser *p, struct template *t)
{
    enum collecting now = COLLECTING_FIELD;
    bool filled = false, constant = true;
    size_t field = 0;
    str text = STR("");

    for (size_t i = 0; i < t->op_count; i++) {
        const struct template_op *op = &t->ops[i];
        now = collecting_next(now, op->kind);
        if (op->kind == OP_LOCAL) {
            check_domain_argument(p, t, i);
        } else if (op_is_separator(op->kind)) {
            check_filled(p, t, field++, filled);
            filled = false;
            constant = true;
            text = STR("");
        } else if (now == COLLECTING_FIELD && op->kind == OP_TEXT) {
            filled = true;
            text = arena_printf(p->arena, "%.*s%.*s", STR_ARG(text), (int)op->text_len,
                                t->text.ptr + op->text_at);
        } else if (now == COLLECTING_FIELD && op_is_material(op->kind)) {
            filled = true;
            constant = false;
        }
    }
    check_filled(p, t, field, filled);
    if (t->form != TEMPLATE_REPEAT && constant) {
        t->routing_host = text;
    }
}

/* The routing host of a template with call-outs: what stands behind the last '@', if
 * that is literal text only. */
static void note_routing_host(struct template_parser *p, struct template *t)
{
    bool constant = false;
    str text = STR("");

    for (size_t i = 0; i < t->op_count; i++) {
        const struct template_op *op = &t->ops[i];
        if (op_is_separator(op->kind)) {
            constant = op->kind == OP_AT;
            text = STR("");
        } else if (op->kind == OP_TEXT) {
            text = arena_printf(p->arena, "%.*s%.*s", STR_ARG(text), (int)op->text_len,
                                t->text.ptr + op->text_at);
        } else if (op_is_material(op->kind) || op->kind == OP_CALL_END) {
            constant = false;
        }
    }
    t->routing_host = constant ? text : STR("");
}

/* ---- behaviour ----------------------------------------------------------------- */

static bool op_can_fail(unsigned kind)
{
    return kind >= OP_LABEL_LEFT && kind != OP_CASE && kind != OP_QUOTE &&
           kind != OP_TAG && kind != OP_ERROR && kind != OP_STOP && kind != OP_IGNORED;
}

static unsigned op_traits(const struct template_op *op)
{
    unsigned traits = op_can_fail(op->kind) ? TEMPLATE_MAY_FAIL : 0;

    switch (op->kind) {
    case OP_LABEL_LEFT:
    case OP_LABEL_RIGHT:
        return traits | TEMPLATE_LABELS;
    case OP_REST:
        return traits | TEMPLATE_REST;
    case OP_TAG:
        return traits | TEMPLATE_SETS_TAG;
    case OP_GENERAL:
    case OP_MAPPING:
        return traits | TEMPLATE_CALLS;
    case OP_ROUTINE:
        return traits | TEMPLATE_NEVER;
    default:
        return traits;
    }
}

static void note_behaviour(struct template *t)
{
    bool form[2] = {false}, direction[2] = {false};

    for (size_t i = 0; i < t->op_count; i++) {
        const struct template_op *op = &t->ops[i];
        t->traits |= op_traits(op);
        if (op->kind == OP_FORM) {
            form[op->number] = true;
        }
        if (op->kind == OP_DIRECTION) {
            direction[op->number] = true;
        }
    }
    if (!form[0] && !direction[1]) {
        t->traits |= TEMPLATE_FOR_CLIENTS;
    }
    if ((form[0] && form[1]) || (direction[0] && direction[1])) {
        t->traits |= TEMPLATE_NEVER;
    }
}

bool template_check(struct template_parser *p, struct template *t)
{
    if (!find_form(p, t)) {
        return false;
    }
    if (t->form < TEMPLATE_AS_IS) {
        check_fields(p, t);
    } else if (t->form == TEMPLATE_OPEN) {
        note_routing_host(p, t);
    }
    note_behaviour(t);
    return !p->failed;
}

/* ---- names --------------------------------------------------------------------- */

void template_names(const struct template *t, struct span at,
                    void (*each)(void *arg, enum template_name what, str name,
                                 struct span at),
                    void *arg)
{
    for (size_t i = 0; i < t->op_count; i++) {
        const struct template_op *op = &t->ops[i];
        bool channel = op->kind == OP_SOURCE || op->kind == OP_NOT_SOURCE ||
                       op->kind == OP_DESTINATION || op->kind == OP_NOT_DESTINATION;
        if (channel || op->kind == OP_MAPPING) {
            each(arg, channel ? TEMPLATE_NAMES_CHANNEL : TEMPLATE_NAMES_TABLE,
                 str_sub(t->text, op->text_at, op->text_len),
                 (struct span){at.source, at.offset + op->text_at, op->text_len});
        }
    }
}

bool template_asks_general(const struct template *t)
{
    for (size_t i = 0; i < t->op_count; i++) {
        if (t->ops[i].kind == OP_GENERAL) {
            return true;
        }
    }
    return false;
}

/* Numbers that index or choose are in range; others may be anything. */
static bool number_valid(const struct template_op *op)
{
    unsigned status[3];

    switch (op->kind) {
    case OP_FORM:
    case OP_DIRECTION:
    case OP_REPROCESS:
    case OP_LOCAL:
        return op->number <= 1;
    case OP_CASE:
        return op->number <= CASE_UPPER;
    case OP_ERROR:
        return template_status(op->number, status);
    default:
        return true;
    }
}

bool template_op_valid(const struct template_op *op, size_t text_len)
{
    return op->kind < OP_KINDS && op->numbered <= 1 && op->zero == 0 &&
           (size_t)op->at + op->length <= text_len &&
           (size_t)op->text_at + op->text_len <= text_len && number_valid(op);
}
