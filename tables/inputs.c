/* inputs: see inputs.h. */
#include "tables/inputs.h"

struct input_row {
    const char *name;
    enum syntax syntax;
};

static const struct input_row rows[INPUT_FILES] = {
    [INPUT_OPTIONS] = {"option.dat", SYNTAX_OPTIONS},
    [INPUT_SERVICES] = {"dispatcher.cnf", SYNTAX_OPTIONS},
    [INPUT_TLS] = {"tls.cnf", SYNTAX_OPTIONS},
    [INPUT_LOCALDOMAINS] = {"localdomains", SYNTAX_LIST},
    [INPUT_GENERAL] = {"general", SYNTAX_DATABASE},
    [INPUT_REVERSE] = {"reverse", SYNTAX_DATABASE},
    [INPUT_MAPPINGS] = {"mappings", SYNTAX_MAPPINGS},
    [INPUT_ALIASES] = {"aliases", SYNTAX_LIST},
};

const char *input_name(enum input_file file)
{
    return rows[file].name;
}

/* An AST with nothing in it but the text. */
static struct ast *read_text(struct compile *c, str path, str name)
{
    struct ast *ast = arena_new_of(c->arena, struct ast);
    str text, reason;
    if (!c->loader->read(c->loader, c->arena, path, &text, &reason)) {
        diag_error(c->diags, SPAN_NONE, "unreadable-file", "cannot read '%.*s': %.*s",
                   STR_ARG(name), STR_ARG(reason));
        return NULL;
    }
    ast->source = sources_add(c->s->sources, name, path, text, SPAN_NONE);
    return ast;
}

/* Parses a file beside the main one; NULL when there is none. */
static struct ast *parse_beside(struct compile *c, enum input_file file)
{
    str path = locate_beside(c, rows[file].name), name = str_from(rows[file].name);
    if (loader_kind_of(c->loader, path) == LOADER_NOTHING) {
        return NULL;
    }
    if (file == INPUT_ALIASES) {
        return read_text(c, path, name);
    }
    return parse_file(c->arena, c->loader, c->s->sources, path, name, rows[file].syntax,
                      c->diags);
}

bool inputs_parse(struct compile *c, struct inputs *out)
{
    out->main = parse_file(c->arena, c->loader, c->s->sources, c->s->main_file,
                           c->main_name, SYNTAX_CONFIG, c->diags);
    if (out->main->source == 0) {
        return false;
    }
    for (unsigned i = 0; i < INPUT_FILES; i++) {
        out->beside[i] = parse_beside(c, (enum input_file)i);
    }
    return true;
}
