/* inputs: see inputs.h. */
#include "tables/inputs.h"

#include "tables/alias_compile.h"

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
    [INPUT_ALIASES] = {"aliases", SYNTAX_ALIASES},
    [INPUT_FORWARD] = {"forward", SYNTAX_DATABASE},
    [INPUT_JOBS] = {"job_controller.cnf", SYNTAX_OPTIONS},
};

const char *input_name(enum input_file file)
{
    return rows[file].name;
}

/* Parses a file beside the main one; NULL when there is none. */
static struct ast *parse_beside(struct compile *c, enum input_file file)
{
    str path = locate_beside(c, rows[file].name), name = str_from(rows[file].name);
    if (loader_kind_of(c->loader, path) == LOADER_NOTHING) {
        return NULL;
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

/* Parses a list file. What is wrong with its text makes it one that cannot be read. */
static void parse_list(struct compile *c, struct input_list *l, str name)
{
    struct arena *scratch = arena_new();
    struct diags *own = diags_new(scratch, c->s->sources);
    str text, reason;
    if (!c->loader->read(c->loader, scratch, l->path, &text, &reason)) {
        l->reason = arena_str(c->arena, reason);
    } else {
        l->ast = parse_file(c->arena, c->loader, c->s->sources, l->path, name,
                            SYNTAX_MEMBERS, own);
    }
    const struct diag *first = diags_first(own);
    if (first != NULL) {
        str where = span_text(scratch, c->s->sources, first->span);
        l->reason =
            arena_printf(c->arena, "%.*s: %.*s", STR_ARG(where), STR_ARG(first->text));
        l->ast = NULL;
    }
    arena_free(&scratch);
}

static void add_list(struct compile *c, struct map *known, str name, struct inputs *out,
                     struct input_list ***end)
{
    str path = locate_written(c, name);
    if (name.len == 0 || map_get(known, path) != NULL) {
        return;
    }
    struct input_list *l = arena_new_of(c->arena, struct input_list);
    *l = (struct input_list){.path = path, .reason = STR("")};
    map_add(known, path, out);
    **end = l;
    *end = &l->next;
    parse_list(c, l, name);
}

static void parse_lists(struct compile *c, struct inputs *out)
{
    const struct ast *aliases = out->beside[INPUT_ALIASES];
    struct map *known = map_new(c->arena, MAP_CASE);
    struct input_list **end = &out->lists;
    const struct ast_alias *alias = aliases != NULL ? aliases->aliases : NULL;
    for (; alias != NULL; alias = alias->next) {
        for (const struct ast_word *w = alias->items; w != NULL; w = w->next) {
            struct alias_item item;
            alias_item_read(w->text, &item);
            bool named = item.kind == ALIAS_ITEM_PARAMETER &&
                         alias_parameter_is_file(item.name) && !alias_is_url(item.value);
            if (item.kind == ALIAS_ITEM_FILE || named) {
                add_list(c, known, item.value, out, &end);
            }
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
    parse_lists(c, out);
    return true;
}
