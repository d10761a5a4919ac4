/* mapping: the tables of `mappings`. None is run yet; what that loses is said here,
 * and what it would let through is an error. */
#include "tables/compile.h"

static void check_table(struct compile *c, const struct ast_table *t)
{
    if (str_iends(t->name, STR("_ACCESS"))) {
        compile_restriction(c, t->at,
                            "table %.*s is not honoured yet: what it refuses would be "
                            "accepted",
                            STR_ARG(t->name));
    } else {
        diag_warning(c->diags, t->at, "unhonoured-mapping",
                     "table %.*s is not honoured yet: nothing is mapped by it",
                     STR_ARG(t->name));
    }
}

void mapping_check(struct compile *c, const struct ast *ast)
{
    struct map *seen = map_new(c->arena, MAP_NOCASE);
    for (const struct ast_table *t = ast != NULL ? ast->tables : NULL; t; t = t->next) {
        if (t->name.len == 0) {
            continue;
        }
        const struct ast_table *first = map_add(seen, t->name, (void *)(uintptr_t)t);
        if (first != t) {
            struct diag *d =
                diag_error(c->diags, t->at, "duplicate-mapping",
                           "there is a table %.*s already", STR_ARG(t->name));
            diag_note(c->diags, d, first->at, "here it was given first");
        } else {
            check_table(c, t);
        }
    }
}
