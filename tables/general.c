/* general: compiling and asking the text database. */
#include "tables/general.h"

#include "tables/compile.h"
#include "tables/mapping.h"
#include "tables/mapping_template.h"
#include "tables/template.h"

bool general_find(const struct snapshot *s, str key, str *value)
{
    const struct general_entry *e = map_get(s->general, key);
    *value = e != NULL ? e->value : STR("");
    return e != NULL;
}

/* Can the value be part of a rewrite template? */
static bool fits_rules(const struct ast_entry *e)
{
    struct arena *scratch = arena_new();
    struct template t;
    bool fits = template_parse_part(scratch, e->template, e->template_at, NULL, &t);
    arena_free(&scratch);
    return fits;
}

/* A value is put into a template, so what is wrong with it is found here, not by the
 * first mail that needs it. Where mapping tables ask the database too, what does not fit
 * a rewrite template is theirs. */
static void check_value(struct compile *c, bool mapped, const struct ast_entry *e)
{
    struct arena *scratch = arena_new();
    struct mapping_template for_mapping;
    struct template t;
    if (mapped && !fits_rules(e)) {
        mapping_value_compile(scratch, scratch, e->template, e->template_at, c->diags,
                              &for_mapping);
    } else if (template_parse_part(scratch, e->template, e->template_at, c->diags, &t) &&
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
    bool mapped = mapping_asks_general(c->s);
    for (const struct ast_table *t = ast != NULL ? ast->tables : NULL; t; t = t->next) {
        for (const struct ast_entry *e = t->entries; e != NULL; e = e->next) {
            check_value(c, mapped, e);
            add_entry(c, e);
        }
    }
}
