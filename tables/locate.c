/* locate: which file is the main one, and where paths written in files lead. */
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "tables/compile.h"

static const char *const MAIN_NAMES[] = {"pointsman.cnf", "pmdf.cnf", "imta.cnf"};
enum { MAIN_NAME_COUNT = sizeof MAIN_NAMES / sizeof MAIN_NAMES[0] };

/* Absolute, and without slashes at its end. */
static str absolute(struct arena *a, str path)
{
    char here[PATH_MAX];
    while (path.len > 1 && path.ptr[path.len - 1] == '/') {
        path.len--;
    }
    if (str_starts(path, STR("/")) || getcwd(here, sizeof here) == NULL) {
        return arena_str(a, path);
    }
    if (path.len == 0 || str_eq(path, STR("."))) {
        return str_from(arena_strdup(a, here));
    }
    return arena_printf(a, "%s/%.*s", here, STR_ARG(path));
}

/* Looks for the main file in the folder; the number found, the first one in *found. */
static unsigned candidates(struct compile *c, const char **found, const char **second)
{
    unsigned n = 0;
    for (int i = 0; i < MAIN_NAME_COUNT; i++) {
        str path = locate_beside(c, MAIN_NAMES[i]);
        if (loader_kind_of(c->loader, path) == LOADER_FILE) {
            *(n == 0 ? found : second) = MAIN_NAMES[i];
            n++;
        }
    }
    return n;
}

/* A main file's name that is a folder, or NULL. */
static const char *folder_instead(struct compile *c)
{
    for (int i = 0; i < MAIN_NAME_COUNT; i++) {
        if (loader_kind_of(c->loader, locate_beside(c, MAIN_NAMES[i])) == LOADER_FOLDER) {
            return MAIN_NAMES[i];
        }
    }
    return NULL;
}

static bool locate_in_folder(struct compile *c, str path, bool is_folder)
{
    const char *found = NULL, *second = NULL;
    unsigned n = candidates(c, &found, &second);
    const char *folder = n == 0 && is_folder ? folder_instead(c) : NULL;
    if (folder != NULL) {
        diag_error(c->diags, SPAN_NONE, "no-configuration",
                   "'%s' in '%.*s' is a folder, not a file", folder, STR_ARG(path));
    } else if (n == 0 && is_folder) {
        diag_error(c->diags, SPAN_NONE, "no-configuration",
                   "there is no %s, %s or %s in '%.*s'", MAIN_NAMES[0], MAIN_NAMES[1],
                   MAIN_NAMES[2], STR_ARG(path));
    } else if (n == 0) {
        diag_error(c->diags, SPAN_NONE, "no-configuration",
                   "there is no file or folder '%.*s'", STR_ARG(path));
    }
    if (n > 1) {
        diag_error(c->diags, SPAN_NONE, "several-main-files",
                   "both %s and %s are in the folder; name the one to use", found,
                   second);
    }
    if (n != 1) {
        return false;
    }
    c->main_name = str_from(found);
    c->s->main_file = locate_beside(c, found);
    return true;
}

bool locate_main(struct compile *c, str path)
{
    struct snapshot *s = c->s;
    str full = absolute(c->arena, path);
    enum loader_kind kind = loader_kind_of(c->loader, full);
    if (kind != LOADER_FILE) {
        s->directory = full;
        return locate_in_folder(c, path, kind == LOADER_FOLDER);
    }
    ptrdiff_t slash = str_rfind(full, '/');
    s->main_file = full;
    s->directory = arena_str(c->arena, str_sub(full, 0, slash > 0 ? (size_t)slash : 1));
    c->main_name = str_from_pos(full, (size_t)(slash + 1));
    return true;
}

str locate_beside(const struct compile *c, const char *name)
{
    return locate_written(c, str_from(name));
}

str locate_written(const struct compile *c, str path)
{
    str folder = c->s->directory;
    if (str_starts(path, STR("/"))) {
        return arena_str(c->arena, path);
    }
    return arena_printf(c->arena, "%.*s%s%.*s", STR_ARG(folder),
                        str_eq(folder, STR("/")) ? "" : "/", STR_ARG(path));
}
