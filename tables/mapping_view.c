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
