/* parse: drives lexer and grammar over one file and its includes. */
#include "parser/parse.h"

#include <stdarg.h>

#include "parser/grammar.h"
#include "parser/parse_state.h"

struct diag *parse_error(struct parse *p, struct span at, const char *slug,
                         const char *fmt, ...)
{
    if (p->reported || p->stopped) {
        return NULL;
    }
    p->reported = true;
    va_list ap;
    va_start(ap, fmt);
    str text = arena_vprintf(p->arena, fmt, ap);
    va_end(ap);
    return diag_error(p->diags, at, slug, "%.*s", STR_ARG(text));
}

/* The folder part of a path with its slash; empty if there is none. */
static str folder_of(str path)
{
    return str_sub(path, 0, (size_t)(str_rfind(path, '/') + 1));
}

/* Registers a text and makes it the frame at `depth`. False (and reported) when it can
 * be no configuration; *text is what is left to read. */
static bool open_frame(struct parse *p, unsigned depth, str path, str name,
                       struct span from, str *text)
{
    uint32_t id = sources_add(p->sources, name, path, *text, from);
    const char *nul = text->len > 0 ? memchr(text->ptr, '\0', text->len) : NULL;
    if (nul != NULL) {
        struct span at = {id, (uint32_t)(nul - text->ptr), 1};
        diag_error(p->diags, at, "nul-byte",
                   "there is a NUL byte here; this is no text file, it is not read");
        return false;
    }
    size_t bom = str_starts(*text, STR("\xEF\xBB\xBF")) ? 3 : 0;
    p->frames[depth] = (struct parse_frame){id, bom, path};
    *text = str_from_pos(*text, bom);
    return true;
}

/* The file being read that has this path, or NULL. */
static const struct parse_frame *open_as(const struct parse *p, str path)
{
    for (unsigned i = 0; i <= p->depth; i++) {
        if (str_eq(p->frames[i].path, path)) {
            return &p->frames[i];
        }
    }
    return NULL;
}

static size_t bytes_max(const struct loader *l)
{
    return l->bytes_max > 0 ? l->bytes_max : LOADER_BYTES_MAX;
}

/* Adds a text; false when it is too much. */
static bool count_bytes(struct parse *p, size_t len)
{
    p->bytes += len;
    return p->bytes <= bytes_max(p->loader);
}

/* The logical names that the originals have for the folder of the configuration. */
static const char *const TABLE_FOLDERS[] = {"IMTA_TABLE:", "PMDF_TABLE:"};

/* Where a name that is written in the file being read leads. */
static str included_path(const struct parse *p, str name)
{
    str folder = folder_of(p->frames[p->depth].path);
    for (size_t i = 0; i < sizeof TABLE_FOLDERS / sizeof *TABLE_FOLDERS; i++) {
        str logical = str_from(TABLE_FOLDERS[i]);
        if (str_istarts(name, logical)) {
            name = str_from_pos(name, logical.len);
            folder = p->root;
        }
    }
    return arena_printf(p->arena, "%.*s%.*s", STR_ARG(folder), STR_ARG(name));
}

/* Says that a file cannot be read; and if one of the name is where the configuration is,
 * how it is included: paths of the old system are often the only thing wrong. */
static void report_missing(struct parse *p, str name, struct span at, str path,
                           str reason)
{
    bool is_folder = loader_kind_of(p->loader, path) == LOADER_FOLDER;
    str base = str_from_pos(name, (size_t)(str_rfind(name, '/') + 1));
    str here = arena_printf(p->arena, "%.*s%.*s", STR_ARG(p->root), STR_ARG(base));
    bool beside = !is_folder && base.len > 0 && !str_eq(here, path) &&
                  loader_kind_of(p->loader, here) == LOADER_FILE;
    str hint = beside ? arena_printf(p->arena, "; there is '%.*s' beside the main file",
                                     STR_ARG(base))
                      : STR("");
    parse_error(p, at, is_folder ? "include-folder" : "include-missing",
                "cannot read '%.*s': %.*s%.*s", STR_ARG(name), STR_ARG(reason),
                STR_ARG(hint));
}

bool parse_include(struct parse *p, str name, struct span at, str *text)
{
    p->reported = false;
    if (name.len > PARSE_LINE_MAX) {
        parse_error(p, at, "line-too-long", "the line is longer than %d bytes",
                    PARSE_LINE_MAX);
        p->reported = false;
        return false;
    }
    name = arena_str(p->arena, name);
    str path = str_starts(name, STR("/")) ? name : included_path(p, name);
    str reason = STR("");
    const struct parse_frame *open;
    if (name.len == 0) {
        parse_error(p, at, "include-name", "'<' in column 1 needs the name of a file");
    } else if (p->depth == PARSE_INCLUDE_DEPTH) {
        parse_error(p, at, "include-depth", "includes can be nested %d deep, not deeper",
                    PARSE_INCLUDE_DEPTH);
    } else if ((open = open_as(p, path)) != NULL) {
        struct diag *d =
            parse_error(p, at, "include-loop", "'%.*s' includes itself", STR_ARG(name));
        struct span from = source_included_from(p->sources, open->source);
        if (d != NULL && from.source != 0) {
            diag_note(p->diags, d, from, "it is being read because of this");
        }
    } else if (++p->includes > PARSE_INCLUDES_MAX) {
        parse_error(p, at, "include-count", "more than %d files are included",
                    PARSE_INCLUDES_MAX);
        p->stopped = true;
    } else if (!p->loader->read(p->loader, p->arena, path, text, &reason)) {
        report_missing(p, name, at, path, reason);
    } else if (!count_bytes(p, text->len)) {
        parse_error(p, at, "include-size",
                    "the files are larger than %zu MiB together, each counted as often "
                    "as it is included",
                    bytes_max(p->loader) >> 20);
        p->stopped = true;
    } else {
        str shown = str_starts(path, p->root) ? str_from_pos(path, p->root.len) : path;
        if (open_frame(p, p->depth + 1, path, shown, at, text)) {
            p->depth++;
            return true;
        }
    }
    p->reported = false;
    return false;
}

enum loader_kind loader_kind_of(const struct loader *l, str path)
{
    if (l->kind != NULL) {
        return l->kind(l, path);
    }
    struct arena *a = arena_new();
    str text, reason;
    bool there = l->read(l, a, path, &text, &reason);
    arena_free(&a);
    return there ? LOADER_FILE : LOADER_NOTHING;
}

bool loader_list(const struct loader *l, struct arena *a, str folder, str ending,
                 str **names, size_t *count)
{
    *names = NULL;
    *count = 0;
    return l->list != NULL && l->list(l, a, folder, ending, names, count);
}

struct ast *parse_file(struct arena *a, const struct loader *loader,
                       struct sources *sources, str path, str name, enum syntax syntax,
                       struct diags *diags)
{
    static const int START[] = {
        [SYNTAX_CONFIG] = START_CONFIG,     [SYNTAX_OPTIONS] = START_OPTIONS,
        [SYNTAX_MAPPINGS] = START_MAPPINGS, [SYNTAX_LIST] = START_LIST,
        [SYNTAX_DATABASE] = START_DATABASE, [SYNTAX_ALIASES] = START_ALIASES,
        [SYNTAX_MEMBERS] = START_MEMBERS};
    struct parse p = {.arena = a,
                      .loader = loader,
                      .sources = sources,
                      .diags = diags,
                      .syntax = syntax,
                      .root = folder_of(path),
                      .start_token = START[syntax]};
    str text, reason = STR("");
    ast_begin(&p.build, a);
    if (!loader->read(loader, a, path, &text, &reason)) {
        diag_error(diags, SPAN_NONE, "unreadable-file", "cannot read '%.*s': %.*s",
                   STR_ARG(name), STR_ARG(reason));
        return p.build.ast;
    }
    p.bytes = text.len;
    if (open_frame(&p, 0, path, name, SPAN_NONE, &text)) {
        p.scanner = lexer_open(&p, text);
        grammar_parse(&p);
        lexer_close(p.scanner);
    }
    p.build.ast->source = p.frames[0].source;
    return p.build.ast;
}
