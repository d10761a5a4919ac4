/* memory_loader: see memory_loader.h. */
#include "test/config/memory_loader.h"

#include "base/vec.h"

/* Takes the next file off *rest: its name, its text. */
static bool next_file(str *rest, str *name, str *text)
{
    static const str MARK = {"!== ", 4};
    str line;
    if (rest->len == 0) {
        return false;
    }
    *name = STR("pointsman.cnf");
    if (str_starts(*rest, MARK)) {
        str_split(rest, '\n', &line);
        *name = str_trim(str_from_pos(line, MARK.len));
    }
    const char *begin = rest->ptr;
    while (rest->len > 0 && !str_starts(*rest, MARK)) {
        str_split(rest, '\n', &line);
    }
    size_t len = begin == NULL ? 0 : rest->ptr != NULL ? (size_t)(rest->ptr - begin) : 0;
    if (begin != NULL && rest->ptr == NULL) {
        len = (size_t)(line.ptr + line.len - begin);
    }
    *text = str_n(begin, len);
    return true;
}

static bool memory_read(const struct loader *l, struct arena *a, str path, str *text,
                        str *reason)
{
    const struct memory_loader *m = (const struct memory_loader *)l;
    str rest = m->text, name, wanted = path, found;
    static const str FOLDER = {"/memory/", 8};
    if (str_starts(path, FOLDER)) {
        wanted = str_from_pos(path, FOLDER.len);
    }
    if (rest.len == 0 && str_eq(wanted, STR("pointsman.cnf"))) {
        *text = STR("");
        return true;
    }
    while (next_file(&rest, &name, &found)) {
        if (str_eq(name, wanted)) {
            *text = arena_str(a, found);
            return true;
        }
    }
    *reason = STR("there is no such file in memory");
    return false;
}

/* In the order of the text: the dump is sorted. */
static bool memory_list(const struct loader *l, struct arena *a, str folder, str ending,
                        str **names, size_t *count)
{
    const struct memory_loader *m = (const struct memory_loader *)l;
    str rest = m->text, name, text;
    VEC(str) found = {0};
    (void)folder;
    while (next_file(&rest, &name, &text)) {
        if (name.len > ending.len && str_iends(name, ending) &&
            found.n < LOADER_NAMES_MAX) {
            *vec_add(a, &found) = arena_str(a, name);
        }
    }
    *names = found.at;
    *count = found.n;
    return true;
}

void memory_loader_init(struct memory_loader *m, str text)
{
    *m = (struct memory_loader){.loader = {.read = memory_read, .list = memory_list},
                                .text = text};
}
