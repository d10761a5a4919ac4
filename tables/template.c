/* template: parsing and running rewrite templates. Adding a sequence: a row in
 * `letters` below, and if it needs a new kind of op, a case in op_run(). A sequence
 * whose result is template text again can parse that text with parse_ops() and run the
 * ops in the same machine. */
#include "tables/template.h"

#include "base/check.h"
#include "base/vec.h"

enum op_kind {
    OP_TEXT,          /* .text */
    OP_PERCENT,       /* separator % */
    OP_AT,            /* separator @ */
    OP_USER,          /* $U */
    OP_UNMATCHED,     /* $H, .number labels dropped */
    OP_MATCHED,       /* $D, .number labels dropped */
    OP_REST,          /* $L */
    OP_LABEL_LEFT,    /* $&n of $H */
    OP_LABEL_RIGHT,   /* $!n of $H */
    OP_MATCHED_LEFT,  /* $*n of $D */
    OP_MATCHED_RIGHT, /* $#n of $D */
    OP_FORM,          /* $E $B: .number is `envelope` */
    OP_DIRECTION,     /* $F $R: .number is `forward` */
    OP_LOCATION,      /* $S $A $P $X: .number is the hostspec kind */
    OP_SOURCE,        /* $M */
    OP_NOT_SOURCE,    /* $N */
    OP_LATER          /* of the language, not supported yet; never compiled */
};

/* The digits a sequence takes. */
enum digits {
    DIGITS_NONE,   /* $U */
    DIGITS_BEFORE, /* $2D: needed */
    DIGITS_EITHER, /* $U, $0U */
    DIGITS_AFTER   /* $&0: one digit, needed */
};

struct letter {
    char letter; /* upper case */
    enum digits digits;
    enum op_kind op;
    int number;        /* fixed operand where DIGITS_NONE */
    bool has_argument; /* text up to the next '$', '%' or '@' */
    const char *text;  /* OP_LATER: what it is */
};

/* The sequences of PMDF 2.2.5 and 2.2.6. The first row that fits letter and digits is
 * taken. */
static const struct letter letters[] = {
    {'U', DIGITS_EITHER, OP_USER, 0, false, ""},
    {'H', DIGITS_EITHER, OP_UNMATCHED, 0, false, ""},
    {'D', DIGITS_EITHER, OP_MATCHED, 0, false, ""},
    {'L', DIGITS_NONE, OP_REST, 0, false, ""},
    {'&', DIGITS_AFTER, OP_LABEL_LEFT, 0, false, ""},
    {'!', DIGITS_AFTER, OP_LABEL_RIGHT, 0, false, ""},
    {'*', DIGITS_AFTER, OP_MATCHED_LEFT, 0, false, ""},
    {'#', DIGITS_AFTER, OP_MATCHED_RIGHT, 0, false, ""},
    {'E', DIGITS_NONE, OP_FORM, 1, false, ""},
    {'B', DIGITS_NONE, OP_FORM, 0, false, ""},
    {'F', DIGITS_NONE, OP_DIRECTION, 1, false, ""},
    {'R', DIGITS_NONE, OP_DIRECTION, 0, false, ""},
    {'S', DIGITS_NONE, OP_LOCATION, HOSTSPEC_ROUTE, false, ""},
    {'A', DIGITS_NONE, OP_LOCATION, HOSTSPEC_AT, false, ""},
    {'P', DIGITS_NONE, OP_LOCATION, HOSTSPEC_PERCENT, false, ""},
    {'X', DIGITS_NONE, OP_LOCATION, HOSTSPEC_BANG, false, ""},
    {'M', DIGITS_NONE, OP_SOURCE, 0, true, ""},
    {'N', DIGITS_NONE, OP_NOT_SOURCE, 0, true, ""},
    {'M', DIGITS_BEFORE, OP_LATER, 0, false, "test for a reprocessing channel"},
    {'N', DIGITS_BEFORE, OP_LATER, 0, false, "test for a reprocessing channel"},
    {'A', DIGITS_BEFORE, OP_LATER, 0, false, "character of the address"},
    {'X', DIGITS_BEFORE, OP_LATER, 0, false, "label of the recipient's mail host"},
    {'Q', DIGITS_NONE, OP_LATER, 0, true, "destination channel test"},
    {'C', DIGITS_NONE, OP_LATER, 0, true, "destination channel test"},
    {'V', DIGITS_NONE, OP_LATER, 0, true, "local domain test"},
    {'Z', DIGITS_NONE, OP_LATER, 0, true, "local domain test"},
    {'T', DIGITS_NONE, OP_LATER, 0, true, "tag"},
    {'?', DIGITS_EITHER, OP_LATER, 0, true, "error text"},
    {'~', DIGITS_BEFORE, OP_LATER, 0, false, "early end of the template"},
    {'W', DIGITS_NONE, OP_LATER, 0, false, "unique string"},
    {'\\', DIGITS_NONE, OP_LATER, 0, false, "change to lower case"},
    {'^', DIGITS_NONE, OP_LATER, 0, false, "change to upper case"},
    {'_', DIGITS_NONE, OP_LATER, 0, false, "end of a case change"},
    {'=', DIGITS_NONE, OP_LATER, 0, false, "quoting for LDAP"},
    {'(', DIGITS_NONE, OP_LATER, 0, true, "general database look-up"},
    {'{', DIGITS_NONE, OP_LATER, 0, true, "mapping table look-up"},
    {'[', DIGITS_NONE, OP_LATER, 0, true, "site routine"},
    {']', DIGITS_NONE, OP_LATER, 0, true, "LDAP look-up"},
    {'.', DIGITS_NONE, OP_LATER, 0, true, "text for directory failures"},
    {',', DIGITS_NONE, OP_LATER, 0, true, "vendor's own sequence"},
};

struct template_op {
    enum op_kind kind;
    bool numbered; /* OP_USER: $0U or $1U */
    unsigned number;
    str text;    /* OP_TEXT, or the argument of a control */
    str written; /* the sequence in the template, for messages */
};

typedef VEC(struct template_op) op_vec;

/* ---- parsing ------------------------------------------------------------------- */

struct parser {
    struct arena *arena;
    struct diags *diags;
    str text;
    struct span at;
    size_t pos;
    bool failed;
    op_vec ops;
};

static struct span parser_span(const struct parser *p, size_t from, size_t to)
{
    return (struct span){p->at.source, p->at.offset + (uint32_t)from,
                         (uint32_t)(to - from)};
}

static const struct letter *letter_find(char c, bool digits_before)
{
    if (c >= 'a' && c <= 'z') {
        c = (char)(c - 'a' + 'A');
    }
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
        enum digits d = letters[i].digits;
        bool fits =
            digits_before ? d == DIGITS_BEFORE || d == DIGITS_EITHER : d != DIGITS_BEFORE;
        if (letters[i].letter == c && fits) {
            return &letters[i];
        }
    }
    return NULL;
}

static char parser_peek(const struct parser *p)
{
    return p->pos < p->text.len ? p->text.ptr[p->pos] : '\0';
}

static void parser_error(struct parser *p, size_t from, const char *slug, str text)
{
    size_t to = p->pos > from ? p->pos : p->text.len;

    diag_error(p->diags, parser_span(p, from, to), slug, "%.*s", STR_ARG(text));
    p->failed = true;
}

/* The number before a letter; false if it is too large to mean anything. */
static bool parse_number(struct parser *p, struct template_op *op, bool *present)
{
    size_t start = p->pos;
    uint64_t value;

    while (ascii_is_digit(parser_peek(p))) {
        p->pos++;
    }
    *present = p->pos > start;
    if (!*present) {
        return true;
    }
    if (!str_u64(str_sub(p->text, start, p->pos - start), UINT32_MAX, &value)) {
        return false;
    }
    op->number = (unsigned)value;
    return true;
}

static str parse_argument(struct parser *p)
{
    size_t start = p->pos;

    while (p->pos < p->text.len && !strchr("$%@", parser_peek(p))) {
        p->pos++;
    }
    return str_sub(p->text, start, p->pos - start);
}

/* Checks of one sequence that the table cannot say. */
static void check_sequence(struct parser *p, size_t start, const struct letter *row,
                           const struct template_op *op)
{
    if (op->kind == OP_USER && op->numbered && op->number > 1) {
        parser_error(p, start, "template-number",
                     STR("only $0U (without subaddress) and $1U (the subaddress) exist"));
    } else if (row->has_argument && op->text.len == 0) {
        parser_error(p, start, "template-argument",
                     arena_printf(p->arena, "'%.*s' needs a channel name behind it",
                                  STR_ARG(op->written)));
    }
}

/* Reads the rest of a sequence whose row is known; p->pos is behind the letter. */
static void parse_operand(struct parser *p, size_t start, const struct letter *row,
                          bool numbered, struct template_op op)
{
    op.kind = row->op;
    op.numbered = numbered;
    if (row->digits == DIGITS_NONE) {
        op.number = (unsigned)row->number;
    }
    if (row->digits == DIGITS_AFTER) {
        if (!ascii_is_digit(parser_peek(p))) {
            parser_error(
                p, start, "template-number",
                arena_printf(p->arena, "'$%c' needs a digit behind it", row->letter));
            return;
        }
        op.number = (unsigned)(p->text.ptr[p->pos++] - '0');
    }
    op.written = str_sub(p->text, start, p->pos - start);
    if (row->op == OP_LATER) {
        parser_error(p, start, "template-unsupported",
                     arena_printf(p->arena, "not supported yet: '%.*s' (%s)",
                                  STR_ARG(op.written), row->text));
        if (row->letter == '?') {
            p->pos = p->text.len; /* its text is the rest of the line, blanks included */
        }
        return;
    }
    if (row->has_argument) {
        op.text = parse_argument(p);
        op.written = str_sub(p->text, start, p->pos - start);
    }
    check_sequence(p, start, row, &op);
    *vec_add(p->arena, &p->ops) = op;
}

static void parse_dollar(struct parser *p)
{
    size_t start = p->pos++;
    struct template_op op = {.kind = OP_TEXT, .text = STR("")};
    bool numbered;
    char c = parser_peek(p);

    if (c == '$' || c == '%' || c == '@') {
        op.text = str_sub(p->text, p->pos++, 1);
        op.written = str_sub(p->text, start, 2);
        *vec_add(p->arena, &p->ops) = op;
        return;
    }
    if (!parse_number(p, &op, &numbered)) {
        parser_error(p, start, "template-number", STR("the number is too large"));
        return;
    }
    if (p->pos >= p->text.len) {
        parser_error(p, start, "template-dollar",
                     STR("nothing stands behind '$'; a dollar sign itself is '$$'"));
        return;
    }
    c = p->text.ptr[p->pos++];
    const struct letter *row = letter_find(c, numbered);
    if (!row) {
        str written = str_sub(p->text, start, p->pos - start);
        parser_error(
            p, start, "template-unknown",
            arena_printf(p->arena,
                         "unknown sequence '%.*s' in the template; a dollar sign "
                         "itself is '$$'",
                         STR_ARG(written)));
        return;
    }
    parse_operand(p, start, row, numbered, op);
}

static void parse_text(struct parser *p)
{
    size_t start = p->pos;

    while (p->pos < p->text.len && !strchr("$%@", parser_peek(p))) {
        unsigned char c = (unsigned char)parser_peek(p);
        if (c <= ' ' || c >= 0x7f) {
            size_t bad = p->pos++;
            parser_error(p, bad, "template-character",
                         STR("only printable ASCII may stand in a template"));
            return;
        }
        p->pos++;
    }
    *vec_add(p->arena, &p->ops) =
        (struct template_op){.kind = OP_TEXT,
                             .text = str_sub(p->text, start, p->pos - start),
                             .written = str_sub(p->text, start, p->pos - start)};
}

static void parse_ops(struct parser *p)
{
    while (p->pos < p->text.len) {
        char c = parser_peek(p);
        if (c == '$') {
            parse_dollar(p);
        } else if (c == '%' || c == '@') {
            *vec_add(p->arena, &p->ops) =
                (struct template_op){.kind = c == '%' ? OP_PERCENT : OP_AT,
                                     .text = STR(""),
                                     .written = str_sub(p->text, p->pos, 1)};
            p->pos++;
        } else if (c == '\0') {
            p->pos++;
            parser_error(p, p->pos - 1, "template-character",
                         STR("only printable ASCII may stand in a template"));
        } else {
            parse_text(p);
        }
    }
}

/* ---- checks of a whole template ------------------------------------------------ */

static bool op_is_separator(const struct template_op *op)
{
    return op->kind == OP_PERCENT || op->kind == OP_AT;
}

/* True for what can put text into a field. */
static bool op_is_material(const struct template_op *op)
{
    return op->kind <= OP_MATCHED_RIGHT && !op_is_separator(op);
}

/* Finds the form from the separators in their order. */
static bool find_form(struct parser *p, struct template *t)
{
    char seen[4] = "";
    size_t n = 0;

    for (size_t i = 0; i < p->ops.n; i++) {
        if (op_is_separator(&p->ops.at[i]) && n < sizeof seen - 1) {
            seen[n++] = p->ops.at[i].kind == OP_AT ? '@' : '%';
        }
    }
    p->pos = p->text.len;
    if (strcmp(seen, "@") == 0) {
        t->form = TEMPLATE_SHORT;
    } else if (strcmp(seen, "%@") == 0) {
        t->form = TEMPLATE_FULL;
    } else if (strcmp(seen, "%") == 0) {
        t->form = TEMPLATE_REPEAT;
    } else if (strcmp(seen, "@@") == 0 || strcmp(seen, "@@@") == 0) {
        parser_error(p, 0, "template-unsupported",
                     STR("not supported yet: templates of the forms A@B@C and A@B@C@D"));
        return false;
    } else {
        parser_error(p, 0, "template-form",
                     STR("not of one of the forms A%B@C, A@C and A%B"));
        return false;
    }
    return true;
}

static void check_filled(struct parser *p, const struct template *t, size_t field,
                         bool filled)
{
    static const char *const full[] = {"user", "domain", "routing host"};
    static const char *const brief[] = {"user", "routing host"};
    const char *name = t->form == TEMPLATE_SHORT ? brief[field] : full[field];

    if (!filled) {
        parser_error(p, 0, "template-empty",
                     arena_printf(p->arena, "the %s is empty", name));
    }
}

/* Reports fields that nothing can ever fill; notes a literal routing host. */
static void check_fields(struct parser *p, struct template *t)
{
    bool filled = false, constant = true;
    size_t field = 0;
    str text = STR("");

    for (size_t i = 0; i < p->ops.n; i++) {
        const struct template_op *op = &p->ops.at[i];
        if (op_is_separator(op)) {
            check_filled(p, t, field++, filled);
            filled = false;
            constant = true;
            text = STR("");
        } else if (op->kind == OP_TEXT) {
            filled = true;
            text = arena_printf(p->arena, "%.*s%.*s", STR_ARG(text), STR_ARG(op->text));
        } else if (op_is_material(op)) {
            filled = true;
            constant = false;
        }
    }
    check_filled(p, t, field, filled);
    if (t->form != TEMPLATE_REPEAT && constant) {
        t->routing_host = text;
    }
}

static void note_behaviour(struct template *t)
{
    bool form[2] = {false}, direction[2] = {false};

    for (size_t i = 0; i < t->op_count; i++) {
        const struct template_op *op = &t->ops[i];
        if (op->kind >= OP_LABEL_LEFT) {
            t->may_fail = true;
        }
        if (op->kind == OP_LABEL_LEFT || op->kind == OP_LABEL_RIGHT) {
            t->uses_labels = true;
        }
        if (op->kind == OP_REST) {
            t->uses_rest = true;
        }
        if (op->kind == OP_FORM) {
            form[op->number] = true;
        }
        if (op->kind == OP_DIRECTION) {
            direction[op->number] = true;
        }
    }
    t->for_clients = !form[0] && !direction[1];
    t->never = (form[0] && form[1]) || (direction[0] && direction[1]);
}

const struct template *template_parse(struct arena *a, str text, struct span at,
                                      struct diags *diags)
{
    struct parser p = {.arena = a, .diags = diags, .text = text, .at = at};
    struct template *t = arena_new_of(a, struct template);

    t->routing_host = STR("");
    parse_ops(&p);
    if (p.failed || !find_form(&p, t)) {
        return NULL;
    }
    check_fields(&p, t);
    t->ops = p.ops.at;
    t->op_count = p.ops.n;
    note_behaviour(t);
    return p.failed ? NULL : t;
}

void template_channels(const struct template *t, struct span at,
                       void (*each)(void *arg, str channel, struct span at), void *arg)
{
    size_t offset = 0;

    for (size_t i = 0; i < t->op_count; i++) {
        const struct template_op *op = &t->ops[i];
        if (op->kind == OP_SOURCE || op->kind == OP_NOT_SOURCE) {
            size_t from = offset + op->written.len - op->text.len;
            each(arg, op->text,
                 (struct span){at.source, at.offset + (uint32_t)from,
                               (uint32_t)op->text.len});
        }
        offset += op->written.len;
    }
}

/* ---- running ------------------------------------------------------------------- */

struct field {
    size_t len;
    char text[TEMPLATE_FIELD_MAX];
};

struct machine {
    const struct template_input *in;
    struct field fields[TEMPLATE_FIELDS];
    size_t current;
    bool overflow;
    /* several $S $A $P $X, or several $M: one hit is enough */
    bool location_asked, location_hit, source_asked, source_hit;
};

/* Field by field: clearing the text of the fields would cost more than the rest. */
static void machine_start(struct machine *m, const struct template_input *in)
{
    m->in = in;
    m->current = 0;
    m->overflow = false;
    m->location_asked = m->location_hit = m->source_asked = m->source_hit = false;
    for (size_t i = 0; i < TEMPLATE_FIELDS; i++) {
        m->fields[i].len = 0;
    }
}

static void put(struct machine *m, str text)
{
    struct field *f = &m->fields[m->current];

    if (text.len > sizeof f->text - f->len) {
        m->overflow = true;
        return;
    }
    if (text.len > 0) {
        memcpy(f->text + f->len, text.ptr, text.len);
    }
    f->len += text.len;
}

/* Position of the subaddress separator of a local part, or its length. What is quoted
 * has none. */
static size_t subaddress_at(str user)
{
    ptrdiff_t plus = user.len > 0 && user.ptr[0] != '"' ? str_find(user, '+') : -1;

    return plus > 0 ? (size_t)plus : user.len;
}

static void put_user(struct machine *m, const struct template_op *op)
{
    str user = m->in->spec->user;

    if (!op->numbered) {
        put(m, user);
    } else if (op->number == 0) {
        put(m, str_sub(user, 0, subaddress_at(user)));
    } else {
        put(m, str_from_pos(user, subaddress_at(user) + 1));
    }
}

/* A name without its n leftmost labels; a leading dot stays. */
static str drop_labels(str name, unsigned n)
{
    bool dotted = name.len > 1 && name.ptr[0] == '.';

    while (n-- > 0 && name.len > 0) {
        size_t start = dotted ? 1 : 0;
        ptrdiff_t dot = str_find(str_from_pos(name, start), '.');
        if (dot < 0) {
            return STR("");
        }
        name = str_from_pos(name, start + (size_t)dot + (dotted ? 0 : 1));
    }
    return name;
}

/* The n-th label of a name from the left or the right; false if there is none. */
static bool label_at(str name, unsigned n, bool from_right, str *label)
{
    if (name.len > 0 && name.ptr[0] == '.') {
        name = str_from_pos(name, 1);
    }
    if (name.len == 0) {
        return false;
    }
    for (;;) {
        ptrdiff_t dot = from_right ? str_rfind(name, '.') : str_find(name, '.');
        if (n-- == 0) {
            size_t at = (size_t)dot;
            *label = dot < 0      ? name
                     : from_right ? str_from_pos(name, at + 1)
                                  : str_sub(name, 0, at);
            return true;
        }
        if (dot < 0) {
            return false;
        }
        name = from_right ? str_sub(name, 0, (size_t)dot)
                          : str_from_pos(name, (size_t)dot + 1);
    }
}

static bool put_label(struct machine *m, const struct template_op *op)
{
    bool matched = op->kind == OP_MATCHED_LEFT || op->kind == OP_MATCHED_RIGHT;
    bool right = op->kind == OP_LABEL_RIGHT || op->kind == OP_MATCHED_RIGHT;
    str label;

    if (!label_at(matched ? m->in->match->matched : m->in->match->unmatched, op->number,
                  right, &label)) {
        return false;
    }
    put(m, label);
    return true;
}

/* One op; false when it makes the rule fail. */
static bool op_run(struct machine *m, const struct template_op *op)
{
    const struct template_input *in = m->in;

    switch (op->kind) {
    case OP_TEXT:
        put(m, op->text);
        return true;
    case OP_PERCENT:
    case OP_AT:
        m->current++;
        check(m->current < TEMPLATE_FIELDS);
        return true;
    case OP_USER:
        put_user(m, op);
        return true;
    case OP_UNMATCHED:
        put(m, drop_labels(in->match->unmatched, op->number));
        return true;
    case OP_MATCHED:
        put(m, drop_labels(in->match->matched, op->number));
        return true;
    case OP_REST:
        put(m, in->match->rest);
        return true;
    case OP_LABEL_LEFT:
    case OP_LABEL_RIGHT:
    case OP_MATCHED_LEFT:
    case OP_MATCHED_RIGHT:
        return put_label(m, op);
    case OP_FORM:
        return in->envelope == (op->number == 1);
    case OP_DIRECTION:
        return in->forward == (op->number == 1);
    case OP_LOCATION:
        m->location_asked = true;
        m->location_hit |= in->spec->kind == (enum hostspec_kind)op->number;
        return true;
    case OP_SOURCE:
        m->source_asked = true;
        m->source_hit |= str_ieq(in->source_channel, op->text);
        return true;
    case OP_NOT_SOURCE:
        return !str_ieq(in->source_channel, op->text);
    case OP_LATER:
        break;
    }
    check(false);
    return false;
}

/* The first of the tests of which one had to hit, but none did. */
static str failed_sequence(const struct machine *m, const struct template *t)
{
    for (size_t i = 0; i < t->op_count; i++) {
        enum op_kind kind = t->ops[i].kind;
        if ((kind == OP_LOCATION && m->location_asked && !m->location_hit) ||
            (kind == OP_SOURCE && m->source_asked && !m->source_hit)) {
            return t->ops[i].written;
        }
    }
    return STR("");
}

static str field_copy(const struct machine *m, size_t i, struct arena *a)
{
    return arena_str(a, str_n(m->fields[i].text, m->fields[i].len));
}

enum template_result template_run(const struct template *t,
                                  const struct template_input *in, struct arena *a,
                                  struct template_output *out)
{
    struct machine m;

    machine_start(&m, in);
    *out = (struct template_output){.failed = STR("")};
    for (size_t i = 0; i < t->op_count; i++) {
        if (!op_run(&m, &t->ops[i])) {
            out->failed = t->ops[i].written;
            return TEMPLATE_FAILS;
        }
    }
    out->failed = failed_sequence(&m, t);
    if (out->failed.len > 0) {
        return TEMPLATE_FAILS;
    }
    if (m.overflow) {
        return TEMPLATE_TOO_LONG;
    }
    out->user = field_copy(&m, 0, a);
    out->domain = field_copy(&m, 1, a);
    out->routing_host = t->form == TEMPLATE_SHORT  ? out->domain
                        : t->form == TEMPLATE_FULL ? field_copy(&m, 2, a)
                                                   : STR("");
    return TEMPLATE_APPLIES;
}
