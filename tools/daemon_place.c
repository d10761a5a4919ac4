/* daemon_place: see daemon_place.h. */
#include "tools/daemon_place.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "parser/parse.h"

/* The configuration folder: -c itself, or the folder of the file it names. */
static str configuration_folder(struct arena *a, const char *config)
{
    struct stat st;
    str path = str_from(config);

    if (stat(config, &st) == 0 && S_ISDIR(st.st_mode)) {
        return path;
    }
    ptrdiff_t slash = str_rfind(path, '/');
    if (slash < 0) {
        return STR(".");
    }
    return slash == 0 ? STR("/") : arena_str(a, str_sub(path, 0, (size_t)slash));
}

/* A path of option.dat, or the default. */
static str option_path(struct arena *a, const struct invocation *in, const char *option,
                       str otherwise)
{
    str folder = configuration_folder(a, in->options.config);
    str file = arena_printf(a, "%.*s/option.dat", STR_ARG(folder));
    struct sources *sources = sources_new(a);
    str found = otherwise;
    struct stat st;

    if (stat(file.ptr, &st) != 0) {
        return found;
    }
    const struct ast *ast = parse_file(a, &loader_files, sources, file, STR("option.dat"),
                                       SYNTAX_OPTIONS, diags_new(a, sources));
    for (const struct ast_section *s = ast->sections; s; s = s->next) {
        for (const struct ast_option *o = s->options; o; o = o->next) {
            if (s->name.len == 0 && str_ieq(o->name, str_from(option))) {
                found = o->value;
            }
        }
    }
    if (found.len > 0 && found.ptr[0] != '/') {
        found = arena_printf(a, "%.*s/%.*s", STR_ARG(folder), STR_ARG(found));
    }
    return arena_str(a, found);
}

str daemon_socket(struct arena *a, const struct invocation *in)
{
    const char *given = in->options.socket;

    return given ? str_from(given)
                 : option_path(a, in, "CONTROL_SOCKET", STR(POINTSMAN_CONTROL_SOCKET));
}

str daemon_path(struct arena *a, str path)
{
    char *real = realpath(arena_str(a, path).ptr, NULL);
    str out = arena_str(a, real ? str_from(real) : path);

    free(real);
    return out;
}

str daemon_queue(struct arena *a, const struct invocation *in)
{
    return daemon_path(
        a, option_path(a, in, "QUEUE_DIRECTORY", STR(POINTSMAN_QUEUE_DIRECTORY)));
}
