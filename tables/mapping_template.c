/* mapping_template: compiling a template (PMDF 5.3.2; Oracle's later sequences). Adding a
 * sequence: a case in parse_dollar(), and one in tables/mapping_output.c. */
#include "tables/mapping_template.h"

#include <limits.h>

#include "base/vec.h"
#include "tables/mapping.h"

typedef VEC(struct mapping_op) op_vec;

struct parser {
    struct arena *arena, *scratch; /* what stays; what is thrown away */
    struct diags *diags;
    str text;
    struct span at;
    size_t pos;
    unsigned saved;
    unsigned nesting;
    bool is_value; /* of the general database */
    bool failed;
};

static void parse_ops(struct parser *p, char end, struct mapping_template *out);

static struct span parser_span(const struct parser *p, size_t from)
{
    size_t to = p->pos < p->text.len ? p->pos : p->text.len;
    return (struct span){p->at.source, p->at.offset + (uint32_t)from,
                         (uint32_t)(to > from ? to - from : 1)};
}

/* A fault from `from` to where the parser stands; the first one of a template only. */
static void template_error(struct parser *p, size_t from, str text)
{
    if (!p->failed && p->diags != NULL) {
        diag_error(p->diags, parser_span(p, from), "mapping-template", "%.*s",
                   STR_ARG(text));
    }
    p->failed = true;
}

static char peek(const struct parser *p)
{
    return p->pos < p->text.len ? p->text.ptr[p->pos] : '\0';
}

static str written(const struct parser *p, size_t from)
{
    return str_sub(p->text, from, p->pos - from);
}

static void add(struct parser *p, op_vec *ops, size_t from, struct mapping_op op)
{
    op.at = parser_span(p, from);
    op.written = written(p, from);
    *vec_add(p->scratch, ops) = op;
}

/* The text up to the character that ends a sequence; '$' quotes the next character. */
static bool parse_until(struct parser *p, size_t from, char end, str *out)
{
    size_t start = p->pos;
    while (p->pos < p->text.len && p->text.ptr[p->pos] != end) {
        p->pos += p->text.ptr[p->pos] == '$' && p->pos + 1 < p->text.len ? 2 : 1;
    }
    *out = str_sub(p->text, start, p->pos - start);
    if (p->pos >= p->text.len) {
        template_error(p, from,
                       arena_printf(p->arena, "the '%c' that ends this is missing", end));
        return false;
    }
    p->pos++;
    return true;
}

/* Call-outs to what this router does not have: the entry fails when it comes to them. */
static void parse_unsupported(struct parser *p, op_vec *ops, size_t from, char end,
                              const char *instead)
{
    str argument;
    p->pos++;
    if (!parse_until(p, from, end, &argument)) {
        return;
    }
    if (p->diags != NULL) {
        diag_warning(p->diags, parser_span(p, from), "unsupported-callout",
                     "'%.*s' is not supported, and the entry fails there; %s",
                     STR_ARG(written(p, from)), instead);
    }
    add(p, ops, from, (struct mapping_op){.kind = MAPPING_OP_FAIL});
}

/* An argument is template text; its last character is `end`, which is not part of it. */
static bool parse_argument(struct parser *p, size_t from, char end,
                           struct mapping_template *out)
{
    if (++p->nesting > MAPPING_NESTING_MAX) {
        template_error(p, from, STR("call-outs can be nested 8 deep, not deeper"));
        return false;
    }
    parse_ops(p, end, out);
    p->nesting--;
    if (p->pos >= p->text.len) {
        template_error(p, from,
                       arena_printf(p->arena, "the '%c' that ends this is missing", end));
        return false;
    }
    p->pos++;
    return !p->failed;
}

/* $|table;argument| */
static void parse_table(struct parser *p, op_vec *ops, size_t from)
{
    struct mapping_op op = {.kind = MAPPING_OP_TABLE};
    size_t start = ++p->pos;
    while (p->pos < p->text.len && strchr(";|$", peek(p)) == NULL) {
        p->pos++;
    }
    op.text = str_sub(p->text, start, p->pos - start);
    if (peek(p) != ';' || op.text.len == 0) {
        template_error(p, from,
                       STR("a call to another table is written "
                           "'$|TABLE;argument|', the name without '$'"));
        return;
    }
    p->pos++;
    if (parse_argument(p, from, '|', &op.argument)) {
        add(p, ops, from, op);
    }
}

/* ${key} */
static void parse_general(struct parser *p, op_vec *ops, size_t from)
{
    struct mapping_op op = {.kind = MAPPING_OP_GENERAL};
    p->pos++;
    if (!parse_argument(p, from, '}', &op.argument)) {
        return;
    }
    if (p->is_value) {
        op = (struct mapping_op){.kind = MAPPING_OP_FAIL};
    }
    if (p->is_value && p->diags != NULL) {
        diag_error(p->diags, parser_span(p, from), "general-recursion",
                   "a value of the general database cannot ask it again with ${...}");
    }
    add(p, ops, from, op);
}

/* $?x? */
static void parse_random(struct parser *p, op_vec *ops, size_t from)
{
    str number;
    uint64_t percent;
    p->pos++;
    if (!parse_until(p, from, '?', &number)) {
        return;
    }
    if (!str_u64(number, 100, &percent)) {
        template_error(p, from,
                       STR("a percentage from 0 to 100 must stand between the "
                           "question marks"));
        return;
    }
    add(p, ops, from,
        (struct mapping_op){.kind = MAPPING_OP_RANDOM, .number = (unsigned)percent});
}

/* $:f and $;f */
static void parse_test(struct parser *p, op_vec *ops, size_t from)
{
    bool set = p->text.ptr[p->pos++] == ':';
    uint64_t flag = mapping_flag(peek(p));
    if (flag == 0) {
        template_error(p, from,
                       STR("the letter of a flag must stand behind '$:' or '$;'"));
        return;
    }
    p->pos++;
    add(p, ops, from,
        (struct mapping_op){.kind = set ? MAPPING_OP_IF : MAPPING_OP_UNLESS,
                            .flags = flag});
}

static void parse_saved(struct parser *p, op_vec *ops, size_t from)
{
    unsigned number = (unsigned)(p->text.ptr[p->pos++] - '0');
    if (number >= p->saved && p->diags != NULL) {
        diag_warning(p->diags, parser_span(p, from), "mapping-substitution",
                     "the pattern saves %u text%s, counted from 0; '$%u' is always empty",
                     p->saved, p->saved == 1 ? "" : "s", number);
    }
    add(p, ops, from, (struct mapping_op){.kind = MAPPING_OP_SAVED, .number = number});
}

/* Punctuation that is known to nobody here. To ignore it could turn an entry that
 * refuses into one that does not, so the entry fails. */
static void parse_unknown(struct parser *p, op_vec *ops, size_t from)
{
    p->pos++;
    if (p->diags != NULL) {
        diag_warning(p->diags, parser_span(p, from), "mapping-metacharacter",
                     "'%.*s' has no meaning in a template, and the entry fails there; a "
                     "dollar sign itself is '$$'",
                     STR_ARG(written(p, from)));
    }
    add(p, ops, from, (struct mapping_op){.kind = MAPPING_OP_FAIL});
}

/* $+1E; the other sequences with '+' are not documented. */
static void parse_plus(struct parser *p, op_vec *ops, size_t from)
{
    str rest = str_from_pos(p->text, p->pos + 1);
    if (!str_istarts(rest, STR("1E"))) {
        parse_unknown(p, ops, from);
        return;
    }
    p->pos += 3;
    add(p, ops, from, (struct mapping_op){.kind = MAPPING_OP_EXIT});
}

/* A letter: control of the scan, or a flag for the caller. */
static void parse_letter(struct parser *p, op_vec *ops, size_t from)
{
    char c = ascii_lower(p->text.ptr[p->pos++]);
    bool control = c == 'c' || c == 'e' || c == 'l' || c == 'r';
    struct mapping_op op = {.kind = control ? MAPPING_OP_CONTROL : MAPPING_OP_FLAG,
                            .number = (unsigned char)c,
                            .flags = control ? 0 : mapping_flag(c)};
    add(p, ops, from, op);
}

/* A sequence whose first character behind '$' is punctuation. */
static void parse_punctuation(struct parser *p, op_vec *ops, size_t from, char c)
{
    switch (c) {
    case '|':
        parse_table(p, ops, from);
        break;
    case '{':
        parse_general(p, ops, from);
        break;
    case '?':
        parse_random(p, ops, from);
        break;
    case ':':
    case ';':
        parse_test(p, ops, from);
        break;
    case '+':
        parse_plus(p, ops, from);
        break;
    case '[':
        parse_unsupported(
            p, ops, from, ']',
            "use a table of its own ('$|TABLE;...|') or the general database");
        break;
    case ']':
        parse_unsupported(p, ops, from, '[',
                          "export the directory to the general database, '${key}'");
        break;
    case '}':
        parse_unsupported(p, ops, from, '{',
                          "export the directory to the general database, '${key}'");
        break;
    case '#':
        parse_unsupported(p, ops, from, '#', "there are no sequence files here");
        break;
    default:
        parse_unknown(p, ops, from);
    }
}

static void parse_dollar(struct parser *p, op_vec *ops)
{
    size_t from = p->pos++;
    char c = peek(p);
    if (p->pos >= p->text.len) {
        template_error(p, from,
                       STR("nothing stands behind '$'; a dollar sign itself is '$$'"));
    } else if (ascii_is_digit(c)) {
        parse_saved(p, ops, from);
    } else if (c == '$' || ascii_is_space(c)) {
        str text = str_sub(p->text, p->pos++, 1);
        add(p, ops, from, (struct mapping_op){.kind = MAPPING_OP_TEXT, .text = text});
    } else if (c == '\\' || c == '^' || c == '_') {
        p->pos++;
        add(p, ops, from,
            (struct mapping_op){.kind = MAPPING_OP_CASE, .number = (unsigned char)c});
    } else if (c == '=') {
        p->pos++;
        add(p, ops, from, (struct mapping_op){.kind = MAPPING_OP_LDAP});
    } else if (ascii_is_alnum(c)) {
        parse_letter(p, ops, from);
    } else if (mapping_flag(c) != 0) {
        p->pos++;
        add(p, ops, from,
            (struct mapping_op){.kind = MAPPING_OP_FLAG, .flags = mapping_flag(c)});
    } else {
        parse_punctuation(p, ops, from, c);
    }
}

/* Up to the character `end`, or to the end of the text when that is NUL. */
static void parse_ops(struct parser *p, char end, struct mapping_template *out)
{
    op_vec ops = {0};
    while (p->pos < p->text.len && !p->failed) {
        char c = peek(p);
        size_t from = p->pos;
        if (end != '\0' && c == end) {
            break;
        }
        if (c == '$') {
            parse_dollar(p, &ops);
            continue;
        }
        while (p->pos < p->text.len && peek(p) != '$' &&
               (end == '\0' || peek(p) != end)) {
            p->pos++;
        }
        str text = written(p, from);
        add(p, &ops, from, (struct mapping_op){.kind = MAPPING_OP_TEXT, .text = text});
    }
    size_t size = ops.n * sizeof *ops.at;
    struct mapping_op *kept = arena_alloc(p->arena, size);
    if (size > 0) {
        memcpy(kept, ops.at, size);
    }
    *out = (struct mapping_template){kept, (unsigned)ops.n};
}

bool mapping_template_compile(struct arena *a, struct arena *scratch, str text,
                              struct span at, unsigned saved, struct diags *d,
                              struct mapping_template *out)
{
    struct parser p = {.arena = a,
                       .scratch = scratch,
                       .diags = d,
                       .text = text,
                       .at = at,
                       .saved = saved};
    parse_ops(&p, '\0', out);
    return !p.failed;
}

bool mapping_value_compile(struct arena *a, struct arena *scratch, str text,
                           struct span at, struct diags *d, struct mapping_template *out)
{
    /* How many texts there are depends on who asks. */
    struct parser p = {.arena = a,
                       .scratch = scratch,
                       .diags = d,
                       .text = text,
                       .at = at,
                       .saved = UINT_MAX,
                       .is_value = true};
    parse_ops(&p, '\0', out);
    return !p.failed;
}

bool mapping_template_asks(const struct mapping_template *t)
{
    for (unsigned i = 0; i < t->count; i++) {
        if (t->ops[i].kind == MAPPING_OP_GENERAL ||
            mapping_template_asks(&t->ops[i].argument)) {
            return true;
        }
    }
    return false;
}
