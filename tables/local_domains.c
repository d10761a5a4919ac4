/* local_domains: the file localdomains, one "domain" or ".domain" a line. */
#include "base/address.h"
#include "tables/compile.h"

void local_domains_compile(struct compile *c, const struct ast *ast)
{
    for (const struct ast_word *w = ast != NULL ? ast->words : NULL; w; w = w->next) {
        str name = str_starts(w->text, STR(".")) ? str_from_pos(w->text, 1) : w->text;
        bool literal = name.len == w->text.len && domain_literal_ok(name);
        if (!domain_name_ok(name) && !literal) {
            diag_error(c->diags, w->at, "bad-domain", "'%.*s' is no domain",
                       STR_ARG(w->text));
            continue;
        }
        struct span *at = arena_new_of(c->arena, struct span);
        *at = w->at;
        const struct span *first = map_add(c->s->localdomains, w->text, at);
        if (first != at) {
            struct diag *d = diag_warning(c->diags, w->at, "duplicate-domain",
                                          "'%.*s' is listed twice", STR_ARG(w->text));
            diag_note(c->diags, d, *first, "here it was listed first");
        }
    }
}
