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

/* What is left of path below the folder of the configuration. */
static str below_memory(str path)
{
    static const str FOLDER = {"/memory", 7};
    path = str_starts(path, FOLDER) ? str_from_pos(path, FOLDER.len) : path;
    return str_starts(path, STR("/")) ? str_from_pos(path, 1) : path;
}

static bool memory_read(const struct loader *l, struct arena *a, str path, str *text,
                        str *reason)
{
    const struct memory_loader *m = (const struct memory_loader *)l;
    str rest = m->text, name, wanted = below_memory(path), found;
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

/* True, with what follows: the file is in the folder (empty: that of the configuration),
 * or in one below it. */
static bool inside(str folder, str name, str *rest)
{
    if (folder.len > 0 && (!str_starts(name, folder) || name.len <= folder.len ||
                           name.ptr[folder.len] != '/')) {
        return false;
    }
    *rest = folder.len > 0 ? str_from_pos(name, folder.len + 1) : name;
    return true;
}

/* In the order of the text: the dump is sorted. */
static bool memory_list(const struct loader *l, struct arena *a, str folder, str ending,
                        str **names, size_t *count)
{
    const struct memory_loader *m = (const struct memory_loader *)l;
    str rest = m->text, name, text, in, one;
    VEC(str) found = {0};
    while (next_file(&rest, &name, &text)) {
        bool there = inside(below_memory(folder), name, &in) &&
                     str_split(&in, '/', &one) && one.len > ending.len &&
                     str_iends(one, ending);
        for (size_t i = 0; there && i < found.n; i++) {
            there = !str_eq(found.at[i], one);
        }
        if (there && found.n < LOADER_NAMES_MAX) {
            *vec_add(a, &found) = arena_str(a, one);
        }
    }
    *names = found.at;
    *count = found.n;
    return true;
}

static enum loader_kind memory_kind(const struct loader *l, str path)
{
    const struct memory_loader *m = (const struct memory_loader *)l;
    str rest = m->text, name, text, in, wanted = below_memory(path);
    enum loader_kind kind = LOADER_NOTHING;
    if (rest.len == 0 && str_eq(wanted, STR("pointsman.cnf"))) {
        return LOADER_FILE;
    }
    while (kind != LOADER_FILE && next_file(&rest, &name, &text)) {
        if (str_eq(name, wanted)) {
            kind = LOADER_FILE;
        } else if (inside(wanted, name, &in)) {
            kind = LOADER_FOLDER;
        }
    }
    return kind;
}

void memory_loader_init(struct memory_loader *m, str text)
{
    *m = (struct memory_loader){
        .loader = {.read = memory_read, .kind = memory_kind, .list = memory_list},
        .text = text};
}
