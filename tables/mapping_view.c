/* mapping_view: see mapping_view.h. */
#include "tables/mapping_view.h"

#include "tables/mapping_table.h"

struct span mapping_span(const struct mapping *t)
{
    return t->at;
}

unsigned mapping_entry_count(const struct mapping *t)
{
    return t->count;
}

struct mapping_view mapping_entry_view(const struct mapping *t, unsigned n)
{
    const struct mapping_entry *e = &t->entries[n];
    return (struct mapping_view){e->pattern_text, e->template_text, e->at, &e->template};
}

enum mapping_says mapping_entry_says(const struct mapping_view *e, char flag)
{
    enum mapping_says says =
        mapping_template_asks(e->compiled) ? MAPPING_SAYS_PERHAPS : MAPPING_SAYS_NOT;
    for (unsigned i = 0; i < e->compiled->count; i++) {
        const struct mapping_op *op = &e->compiled->ops[i];
        if (op->kind == MAPPING_OP_FLAG && (op->flags & mapping_flag(flag)) != 0) {
            return MAPPING_SAYS_YES;
        }
    }
    return says;
}

bool mapping_entry_has_text(const struct mapping_view *e)
{
    for (unsigned i = 0; i < e->compiled->count; i++) {
        switch (e->compiled->ops[i].kind) {
        case MAPPING_OP_TEXT:
        case MAPPING_OP_SAVED:
        case MAPPING_OP_TABLE:
        case MAPPING_OP_GENERAL:
            return true;
        default:
            break;
        }
    }
    return false;
}

bool mapping_entry_constant(const struct mapping_view *e, struct arena *a, str *text,
                            uint64_t *flags)
{
    *text = STR("");
    *flags = 0;
    for (unsigned i = 0; i < e->compiled->count; i++) {
        const struct mapping_op *op = &e->compiled->ops[i];
        switch (op->kind) {
        case MAPPING_OP_TEXT:
            *text = arena_printf(a, "%.*s%.*s", STR_ARG(*text), STR_ARG(op->text));
            break;
        case MAPPING_OP_FLAG:
            *flags |= op->flags;
            break;
        case MAPPING_OP_EXIT:
            return true;
        case MAPPING_OP_IF:
        case MAPPING_OP_UNLESS:
        case MAPPING_OP_RANDOM:
            break;
        case MAPPING_OP_CONTROL:
            if (op->number != 'e') {
                return false;
            }
            break;
        case MAPPING_OP_SAVED:
        case MAPPING_OP_CASE:
        case MAPPING_OP_LDAP:
        case MAPPING_OP_TABLE:
        case MAPPING_OP_GENERAL:
        case MAPPING_OP_FAIL:
            return false;
        }
    }
    return true;
}

unsigned mapping_fields(str pattern, str *fields, unsigned max)
{
    unsigned n = 0;
    size_t from = 0;
    for (size_t i = 0; i <= pattern.len; i++) {
        char c = i < pattern.len ? pattern.ptr[i] : '|';
        if (c == '$' && i + 1 < pattern.len && pattern.ptr[++i] == '[') {
            while (i < pattern.len && pattern.ptr[i] != ']') {
                i += pattern.ptr[i] == '\\' ? 2 : 1;
            }
        } else if (c == '|') {
            if (n < max) {
                fields[n] = str_sub(pattern, from, i - from);
            }
            n++;
            from = i + 1;
        }
    }
    return n;
}

/* The length of the plain text that a piece begins with. */
static size_t plain_length(str piece)
{
    size_t n = 0;
    while (n < piece.len && strchr("$*%", piece.ptr[n]) == NULL) {
        n++;
    }
    return n;
}

bool mapping_is_plain(str piece)
{
    return plain_length(piece) == piece.len;
}

bool mapping_may_match(str piece, str text)
{
    str plain = str_sub(piece, 0, plain_length(piece));
    return plain.len == piece.len ? str_ieq(plain, text) : str_istarts(text, plain);
}

bool mapping_may_be_empty(str piece)
{
    size_t n = 0;
    while (n < piece.len && piece.ptr[n] == '*') {
        n++;
    }
    return n == piece.len || piece.ptr[n] == '$';
}
