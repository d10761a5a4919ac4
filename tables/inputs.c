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

str input_channel_name(str file)
{
    return str_sub(file, 0, file.len - STR(INPUT_CHANNEL_ENDING).len);
}

bool input_channel_files(const struct loader *loader, struct arena *a, str folder,
                         str **names, size_t *count)
{
    return loader_list(loader, a, folder, STR(INPUT_CHANNEL_ENDING), names, count);
}

static void parse_channel(struct compile *c, str file, struct input_channel ***end)
{
    str path = locate_written(c, file);
    if (loader_kind_of(c->loader, path) != LOADER_FILE) {
        return;
    }
    struct input_channel *in = arena_new_of(c->arena, struct input_channel);
    in->file = arena_str(c->arena, file);
    in->ast = parse_file(c->arena, c->loader, c->s->sources, path, in->file,
                         SYNTAX_OPTIONS, c->diags);
    **end = in;
    *end = &in->next;
}

/* All files that look like one, so that a slip in the name is seen; where the folder
 * cannot be listed, those of the channels there are. */
static void parse_channels(struct compile *c, struct inputs *out)
{
    struct input_channel **end = &out->channels;
    str *names;
    size_t count;
    if (input_channel_files(c->loader, c->arena, c->s->directory, &names, &count)) {
        for (size_t i = 0; i < count; i++) {
            parse_channel(c, names[i], &end);
        }
        return;
    }
    for (const struct ast_block *b = out->main->blocks; b != NULL; b = b->next) {
        if (b->kind == AST_CHANNEL) {
            parse_channel(
                c, arena_printf(c->arena, "%.*s" INPUT_CHANNEL_ENDING, STR_ARG(b->name)),
                &end);
        }
    }
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
    parse_channels(c, out);
    return true;
}
