/* template_parse: the text of a template into ops. What can only be said of the whole is
 * in template_check.c. */
#include <stdarg.h>

#include "base/check.h"
#include "tables/template_ops.h"

enum { STATUS_DEFAULT = 5001002 }; /* 5.1.2 */

static struct span parser_span(const struct template_parser *p, size_t from)
{
    size_t to = p->pos > from ? p->pos : p->text.len;

    return (struct span){p->at.source, p->at.offset + (uint32_t)from,
                         (uint32_t)(to - from)};
}

void template_error(struct template_parser *p, size_t from, const char *slug,
                    const char *fmt, ...)
{
    va_list ap;

    p->failed = true;
    if (!p->diags) {
        return;
    }
    va_start(ap, fmt);
    str text = arena_vprintf(p->arena, fmt, ap);
    va_end(ap);
    diag_error(p->diags, parser_span(p, from), slug, "%.*s", STR_ARG(text));
}

static void template_warning(struct template_parser *p, size_t from, const char *slug,
                             const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void template_warning(struct template_parser *p, size_t from, const char *slug,
                             const char *fmt, ...)
{
    va_list ap;

    if (!p->diags) {
        return;
    }
    va_start(ap, fmt);
    str text = arena_vprintf(p->arena, fmt, ap);
    va_end(ap);
    diag_warning(p->diags, parser_span(p, from), slug, "%.*s", STR_ARG(text));
}

static struct template_op *op_add(struct template_parser *p, enum template_op_kind kind,
                                  size_t from)
{
    if (p->op_count == p->op_cap) {
        size_t cap = p->op_cap ? p->op_cap * 2 : 8;
        struct template_op *ops = arena_array(p->arena, struct template_op, cap);
        if (p->op_count > 0) {
            memcpy(ops, p->ops, p->op_count * sizeof *ops);
        }
        p->ops = ops;
        p->op_cap = cap;
    }
    struct template_op *op = &p->ops[p->op_count++];
    *op = (struct template_op){
        .kind = (uint8_t)kind, .at = (uint16_t)from, .length = (uint16_t)(p->pos - from)};
    return op;
}

static void op_text(struct template_op *op, size_t from, size_t to)
{
    op->text_at = (uint16_t)from;
    op->text_len = (uint16_t)(to - from);
}

static char peek(const struct template_parser *p)
{
    return p->pos < p->text.len ? p->text.ptr[p->pos] : '\0';
}

static str written(const struct template_parser *p, size_t from)
{
    return str_sub(p->text, from, p->pos - from);
}

/* May the next character not stand in a template? */
static bool at_bad_character(const struct template_parser *p, bool blanks)
{
    unsigned char c = (unsigned char)peek(p);
    bool blank = c == ' ' || c == '\t';
    return p->pos < p->text.len && ((c <= ' ' && !(blank && blanks)) || c >= 0x7f);
}

/* Runs of plain text up to one of the characters of `end`; false when there are
 * characters that may not stand in a template (told together: UTF-8 has several bytes
 * for one). */
static bool skip_text(struct template_parser *p, const char *end, bool blanks)
{
    while (p->pos < p->text.len && !(peek(p) && strchr(end, peek(p)))) {
        size_t from = p->pos;
        while (at_bad_character(p, blanks)) {
            p->pos++;
        }
        if (p->pos > from) {
            template_error(p, from, "template-character",
                           "only printable ASCII without blanks may stand here");
            return false;
        }
        p->pos++;
    }
    return true;
}

static void parse_text(struct template_parser *p, const char *end)
{
    size_t from = p->pos;

    if (skip_text(p, end, false)) {
        op_text(op_add(p, OP_TEXT, from), from, p->pos);
    }
}

static void parse_dollar(struct template_parser *p, bool in_argument);

/* ---- arguments ----------------------------------------------------------------- */

/* Text and substitutions up to the character `end`, which is taken too. */
static void parse_callout_argument(struct template_parser *p, size_t start, char end)
{
    const char stop[] = {'$', end, '\0'};

    while (p->pos < p->text.len && peek(p) != end) {
        if (peek(p) == '$') {
            parse_dollar(p, true);
        } else {
            parse_text(p, stop);
        }
    }
    if (p->pos >= p->text.len) {
        template_error(p, start, "template-callout", "the call-out has no closing '%c'",
                       end);
        return;
    }
    p->pos++;
    op_add(p, OP_CALL_END, start);
}

static void parse_table(struct template_parser *p, size_t start)
{
    size_t from = p->pos;

    skip_text(p, "$,}", false);
    size_t to = p->pos;
    if (peek(p) != ',' || to == from) {
        template_error(p, start, "template-callout",
                       "a mapping call-out is written ${table,argument}");
        p->pos = p->text.len;
        return;
    }
    p->pos++;
    op_text(op_add(p, OP_MAPPING, start), from, to);
    parse_callout_argument(p, start, '}');
}

/* A call-out that there is none of here, up to `end`. */
static void parse_unsupported(struct template_parser *p, size_t start, char end,
                              const char *what)
{
    while (p->pos < p->text.len && peek(p) != end) {
        p->pos++;
    }
    if (p->pos >= p->text.len) {
        template_error(p, start, "template-callout", "the call-out has no closing '%c'",
                       end);
        return;
    }
    p->pos++;
    op_add(p, OP_ROUTINE, start);
    template_warning(p, start, "unsupported-callout",
                     "%s cannot be called: the rule always fails here, and the next one "
                     "is tried; use a mapping table (${table,argument}) or the general "
                     "database ($(key))",
                     what);
}

/* True when nothing but controls and their arguments stands before. */
static bool stands_alone(const struct template_parser *p)
{
    bool in_domain = false; /* of $V or $Z: takes text until something else comes */

    for (size_t i = 0; i < p->op_count; i++) {
        unsigned kind = p->ops[i].kind;
        bool material = op_is_material(kind);
        if ((material && !in_domain) || op_is_separator(kind) || op_is_reexpanded(kind)) {
            return false;
        }
        in_domain = kind == OP_LOCAL ||
                    (in_domain && (material || kind == OP_CASE || kind == OP_QUOTE));
    }
    return true;
}

/* Is this '$' the beginning of a control that ends the text of an error: $N $M $Q $C $T,
 * $? or one of them with its number? Other sequences are text there (PMDF 2.2.6). */
static bool ends_error_text(const struct template_parser *p)
{
    size_t at = p->pos + 1;

    while (at < p->text.len && ascii_is_digit(p->text.ptr[at])) {
        at++;
    }
    return at < p->text.len && strchr("nmqct?NMQCT", p->text.ptr[at]) &&
           p->text.ptr[at] != '\0';
}

/* Over the text of an error; a character of the templates behind '$' is itself. */
static void skip_error_text(struct template_parser *p, bool alone)
{
    const char *end = alone ? "$" : "$%@";

    while (skip_text(p, end, true) && peek(p) == '$' && !ends_error_text(p)) {
        p->pos++;
        if (p->pos < p->text.len && str_find(STR("$%@"), peek(p)) >= 0) {
            p->pos++;
        }
    }
}

static void parse_error_text(struct template_parser *p, size_t start, bool numbered,
                             uint32_t number)
{
    unsigned status[3];
    size_t from = p->pos;

    if (numbered && !template_status(number, status)) {
        template_error(p, start, "template-number",
                       "the number before '?' is a status x.y.z as x*1000000 + y*1000 + "
                       "z, and x is 4 or 5: 4004003 is 4.4.3");
    }
    skip_error_text(p, stands_alone(p));
    struct template_op *op = op_add(p, OP_ERROR, start);
    op->number = numbered ? number : STATUS_DEFAULT;
    op->numbered = numbered;
    op_text(op, from, p->pos);
}

static void parse_name(struct template_parser *p, size_t start,
                       enum template_op_kind kind)
{
    size_t from = p->pos;

    skip_text(p, "$%@", false);
    if (p->pos == from) {
        template_error(p, start, "template-argument", "'%.*s' needs %s behind it",
                       STR_ARG(written(p, start)),
                       kind == OP_TAG ? "a tag" : "a channel name");
        return;
    }
    op_text(op_add(p, kind, start), from, p->pos);
    if (kind == OP_TAG && p->text.ptr[p->pos - 1] != '|') {
        template_warning(p, start, "tag-without-bar",
                         "the tag does not end in '|': rules for it are written without "
                         "one, too");
    }
}

/* ---- sequences ----------------------------------------------------------------- */

/* The number before a letter; false if it is too large to mean anything. */
static bool parse_number(struct template_parser *p, uint32_t *number, bool *present)
{
    size_t start = p->pos;
    uint64_t value = 0;

    while (ascii_is_digit(peek(p))) {
        p->pos++;
    }
    *present = p->pos > start;
    bool good = !*present || str_u64(written(p, start), UINT32_MAX, &value);
    *number = (uint32_t)value;
    return good;
}

static void parse_plain(struct template_parser *p, size_t start, const struct letter *row,
                        bool numbered, uint32_t number)
{
    if (row->digits == DIGITS_AFTER) {
        if (!ascii_is_digit(peek(p))) {
            template_error(p, start, "template-number", "'$%c' needs a digit behind it",
                           row->letter);
            return;
        }
        number = (uint32_t)(p->text.ptr[p->pos++] - '0');
    } else if (row->digits == DIGITS_NONE || row->op == OP_REPROCESS) {
        if (numbered && number != 1) {
            template_error(p, start, "template-number", "only '$1%c' exists",
                           row->letter);
            return;
        }
        number = row->number;
    }
    if (row->op == OP_STOP && number != 1) {
        template_error(p, start, "template-number", "only '$1~' exists");
    } else if (row->op == OP_USER && number > 1) {
        template_error(p, start, "template-number",
                       "only $0U (without subaddress) and $1U (the subaddress) exist");
    } else {
        struct template_op *op = op_add(p, row->op, start);
        op->number = number;
        op->numbered = numbered;
    }
}

static void parse_sequence(struct template_parser *p, size_t start,
                           const struct letter *row, bool numbered, uint32_t number)
{
    size_t from = p->pos;

    switch (row->argument) {
    case ARGUMENT_NONE:
        parse_plain(p, start, row, numbered, number);
        break;
    case ARGUMENT_NAME:
        parse_name(p, start, row->op);
        break;
    case ARGUMENT_TEXT:
        skip_text(p, "$%@", false);
        op_text(op_add(p, row->op, start), from, p->pos);
        template_warning(p, start, "template-ignored",
                         "'$%c' does nothing here: no directory is asked in rewriting",
                         row->letter);
        break;
    case ARGUMENT_ERROR:
        parse_error_text(p, start, numbered, number);
        break;
    case ARGUMENT_KEY:
        if (peek(p) == ')') {
            template_error(p, start, "template-callout",
                           "a call-out of the general database is written $(key)");
        }
        op_add(p, row->op, start);
        parse_callout_argument(p, start, ')');
        break;
    case ARGUMENT_TABLE:
        parse_table(p, start);
        break;
    case ARGUMENT_BRACKET:
        parse_unsupported(p, start, ']', "a site routine");
        break;
    case ARGUMENT_URL:
        parse_unsupported(p, start, '[', "an LDAP directory");
        break;
    }
}

/* In the argument of a call-out only substitutions make sense. */
static bool fits_argument(const struct letter *row)
{
    return op_is_material(row->op) || row->op == OP_CASE || row->op == OP_QUOTE;
}

static void parse_dollar(struct template_parser *p, bool in_argument)
{
    size_t start = p->pos++;
    uint32_t number;
    bool numbered;
    char c = peek(p);

    if (c == '$' || c == '%' || c == '@') {
        p->pos++;
        op_text(op_add(p, OP_TEXT, start), p->pos - 1, p->pos);
        return;
    }
    if (!parse_number(p, &number, &numbered)) {
        template_error(p, start, "template-number", "the number is too large");
        return;
    }
    if (p->pos >= p->text.len) {
        template_error(p, start, "template-dollar",
                       "nothing stands behind '$'; a dollar sign itself is '$$'");
        return;
    }
    c = p->text.ptr[p->pos++];
    const struct letter *row = letter_find(c, numbered);
    if (!row) {
        template_error(p, start, "template-unknown",
                       "unknown sequence '%.*s' in the template; a dollar sign itself is "
                       "'$$'",
                       STR_ARG(written(p, start)));
    } else if (in_argument && !fits_argument(row)) {
        template_error(p, start, "template-callout",
                       "only substitutions may stand in the argument of a call-out, not "
                       "'%.*s'",
                       STR_ARG(written(p, start)));
    } else {
        parse_sequence(p, start, row, numbered, number);
    }
}

static void parse_ops(struct template_parser *p)
{
    while (p->pos < p->text.len) {
        char c = peek(p);
        if (c == '$') {
            parse_dollar(p, false);
        } else if (c == '%' || c == '@') {
            p->pos++;
            op_add(p, c == '%' ? OP_PERCENT : OP_AT, p->pos - 1);
        } else {
            parse_text(p, "$%@");
        }
    }
}

bool template_parse_part(struct arena *a, str text, struct span at, struct diags *diags,
                         struct template *out)
{
    struct template_parser p = {.arena = a, .diags = diags, .text = text, .at = at};

    *out =
        (struct template){.text = text, .form = TEMPLATE_OPEN, .routing_host = STR("")};
    if (text.len > TEMPLATE_TEXT_MAX) {
        template_error(&p, 0, "line-too-long", "the template is longer than %d bytes",
                       TEMPLATE_TEXT_MAX);
        return false;
    }
    parse_ops(&p);
    out->ops = p.ops;
    out->op_count = p.op_count;
    return !p.failed;
}

bool template_parse(struct arena *a, str text, struct span at, struct diags *diags,
                    struct template *out)
{
    struct template_parser p = {.arena = a, .diags = diags, .text = text, .at = at};

    if (!template_parse_part(a, text, at, diags, out)) {
        return false;
    }
    return template_check(&p, out);
}
