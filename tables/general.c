/* general: compiling and asking the text database. */
#include "tables/general.h"

#include "tables/compile.h"
#include "tables/template.h"

bool general_find(const struct snapshot *s, str key, str *value)
{
    const struct general_entry *e = map_get(s->general, key);
    *value = e != NULL ? e->value : STR("");
    return e != NULL;
}

/* A value is put into a template, so what is wrong with it is found here, not by the
 * first mail that needs it. */
static void check_value(struct compile *c, const struct ast_entry *e)
{
    struct arena *scratch = arena_new();
    struct template t;
    if (template_parse_part(scratch, e->template, e->template_at, c->diags, &t) &&
        template_asks_general(&t)) {
        diag_error(c->diags, e->template_at, "general-recursion",
                   "a value of the general database cannot ask it again with $(...)");
    }
    arena_free(&scratch);
}

static void add_entry(struct compile *c, const struct ast_entry *e)
{
    struct general_entry *made = arena_new_of(c->arena, struct general_entry);
    *made = (struct general_entry){e->template, e->template_at};
    const struct general_entry *first = map_add(c->s->general, e->pattern, made);
    if (first != made) {
        struct diag *d = diag_warning(c->diags, e->pattern_at, "duplicate-key",
                                      "'%.*s' stands in the general database already; "
                                      "this line is passed over",
                                      STR_ARG(e->pattern));
        diag_note(c->diags, d, first->at, "the line that counts");
    }
}

void general_compile(struct compile *c, const struct ast *ast)
{
    for (const struct ast_table *t = ast != NULL ? ast->tables : NULL; t; t = t->next) {
        for (const struct ast_entry *e = t->entries; e != NULL; e = e->next) {
            check_value(c, e);
            add_entry(c, e);
        }
    }
}
