/* test_config: golden tests of configurations. Run in test/config of the source tree
 * (top_srcdir in the environment); cases are *.cnf files or folders.
 *   good/NAME       loads; NAME.out is its dump, which must read back to the same dump;
 *                   NAME.err, if there, are its warnings
 *   bad/SLUG[--VARIANT]   says [SLUG]; .err is all it says. Loads unless there is an
 *                   error; never under --strict. .allow.err, if there, is what it says
 *                   under --allow-unhonoured.
 *   keywords/KEYWORD   as good/, one for each honoured keyword: alone, against
 *                   another word of its group, from defaults and over them
 *   keyword-arguments/KEYWORD   one for each that takes an argument: each line that
 *                   has it is an error; .err is what is said
 * UPDATE_GOLDEN=1 in the environment writes the expectations instead. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "parser/keywords.h"
#include "parser/options.h"
#include "tables/dump.h"
#include "tables/snapshot.h"
#include "test/config/memory_loader.h"

enum { TEXT_MAX = 1 << 22 };

static unsigned test_number, failures;

static void result(bool good, const char *folder, str name, const char *what)
{
    printf("%sok %u - %s/%.*s: %s\n", good ? "" : "not ", ++test_number, folder,
           STR_ARG(name), what);
    failures += !good;
}

static void read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "r");
    char piece[4096];
    size_t n;
    while (f != NULL && (n = fread(piece, 1, sizeof piece, f)) > 0) {
        buf_append(out, piece, n);
    }
    if (f != NULL) {
        fclose(f);
    }
}

/* Shows both texts as TAP comments. */
static void show(const char *label, str text)
{
    str line;
    while (str_split(&text, '\n', &line)) {
        printf("# %s %.*s\n", label, STR_ARG(line));
    }
}

static bool update(const char *path, const struct buf *text)
{
    if (text->len == 0) {
        return remove(path) == 0 || access(path, F_OK) != 0;
    }
    FILE *f = fopen(path, "w");
    bool written = f != NULL && fwrite(text->data, 1, text->len, f) == text->len;
    return f != NULL && fclose(f) == 0 && written;
}

/* Compares with the file, or writes it. What is empty has no file. */
static bool compare(const char *path, const struct buf *text)
{
    if (getenv("UPDATE_GOLDEN") != NULL) {
        return update(path, text);
    }
    struct buf expected;
    buf_init(&expected, TEXT_MAX);
    read_file(path, &expected);
    bool same = str_eq(buf_slice(&expected), buf_slice(text));
    if (!same) {
        printf("# %s differs\n", path);
        show("expected:", buf_slice(&expected));
        show("     got:", buf_slice(text));
    }
    buf_free(&expected);
    return same;
}

struct loaded {
    struct snapshot *snapshot;
    unsigned errors, warnings;
    bool unreadable;
    struct buf messages;
};

static void load(struct loaded *out, struct snapshot_request *req)
{
    struct arena *a = arena_new();
    struct diags *diags;
    buf_init(&out->messages, TEXT_MAX);
    out->snapshot = snapshot_load(req, a, &diags, &out->unreadable);
    out->errors = diags_errors(diags);
    out->warnings = diags_warnings(diags);
    diags_render(diags, false, &out->messages);
    arena_free(&a);
}

static void unload(struct loaded *l)
{
    snapshot_unref(&l->snapshot);
    buf_free(&l->messages);
}

/* The path of a case without its ending, and with another one. */
static str stem_of(str path)
{
    return str_iends(path, STR(".cnf")) ? str_sub(path, 0, path.len - 4) : path;
}

static bool matches(const char *folder, str name, const char *ending,
                    const struct buf *text)
{
    char path[512];
    str stem = stem_of(name);
    snprintf(path, sizeof path, "%s/%.*s%s", folder, STR_ARG(stem), ending);
    return compare(path, text);
}

/* What is printed reads back to the same print. */
static void test_reads_back(const char *folder, str name, const struct buf *dump)
{
    struct loaded l;
    struct memory_loader memory;
    struct buf again;
    buf_init(&again, TEXT_MAX);
    memory_loader_init(&memory, buf_slice(dump));
    struct snapshot_request req = {.path = STR(MEMORY_LOADER_MAIN),
                                   .loader = &memory.loader};
    load(&l, &req);
    if (l.snapshot != NULL) {
        dump_snapshot(l.snapshot, &again);
    }
    bool same = str_eq(buf_slice(dump), buf_slice(&again));
    result(same, folder, name, "the dump reads back");
    if (!same) {
        show("again:", buf_slice(&again));
        show("said:", buf_slice(&l.messages));
    }
    unload(&l);
    buf_free(&again);
}

static void test_good(const char *folder, str name, str path)
{
    struct loaded l;
    struct snapshot_request req = {.path = path};
    load(&l, &req);
    result(l.errors == 0 && l.snapshot != NULL, folder, name, "loads");
    result(matches(folder, name, ".err", &l.messages), folder, name, "warnings");
    if (l.snapshot != NULL) {
        struct buf dump;
        buf_init(&dump, TEXT_MAX);
        dump_snapshot(l.snapshot, &dump);
        result(matches(folder, name, ".out", &dump), folder, name, "dump");
        test_reads_back(folder, name, &dump);
        buf_free(&dump);
    }
    unload(&l);
}

/* Configurations of other tests are golden there. */
static void test_other(const char *folder, str name, str path)
{
    struct loaded l;
    struct snapshot_request req = {.path = path};
    struct buf dump;
    if (!str_iends(name, STR(".cnf"))) {
        return;
    }
    buf_init(&dump, TEXT_MAX);
    load(&l, &req);
    result(l.snapshot != NULL, folder, name, "loads");
    if (l.snapshot != NULL) {
        dump_snapshot(l.snapshot, &dump);
        test_reads_back(folder, name, &dump);
    }
    buf_free(&dump);
    unload(&l);
}

/* Is "[slug]" in the messages, for the slug the case is named after? */
static bool says_slug(str name, const struct buf *messages)
{
    char wanted[128];
    str slug = stem_of(name);
    ptrdiff_t variant = str_find(slug, '-');
    while (variant >= 0 && !str_starts(str_from_pos(slug, (size_t)variant), STR("--"))) {
        ptrdiff_t next = str_find(str_from_pos(slug, (size_t)variant + 1), '-');
        variant = next < 0 ? -1 : variant + 1 + next;
    }
    slug = variant < 0 ? slug : str_sub(slug, 0, (size_t)variant);
    int n = snprintf(wanted, sizeof wanted, "[%.*s]\n", STR_ARG(slug));
    return messages->len > 0 &&
           memmem(messages->data, messages->len, wanted, (size_t)n) != NULL;
}

static void test_bad(const char *folder, str name, str path)
{
    struct loaded l;
    struct snapshot_request req = {.path = path};
    char allowed[512];
    load(&l, &req);
    result(says_slug(name, &l.messages), folder, name, "says what it is named after");
    result(matches(folder, name, ".err", &l.messages), folder, name, "messages");
    result((l.snapshot == NULL) == (l.errors > 0), folder, name, "fails on errors only");
    unload(&l);

    req.strict = true;
    load(&l, &req);
    result(l.snapshot == NULL, folder, name, "fails under --strict");
    unload(&l);

    str stem = stem_of(name);
    snprintf(allowed, sizeof allowed, "%s/%.*s.allow.err", folder, STR_ARG(stem));
    if (access(allowed, F_OK) == 0) {
        req.strict = false;
        req.allow_unhonoured = true;
        load(&l, &req);
        result(matches(folder, name, ".allow.err", &l.messages), folder, name,
               "messages under --allow-unhonoured");
        result((l.snapshot == NULL) == (l.errors > 0), folder, name,
               "fails on errors only, under --allow-unhonoured");
        unload(&l);
    }
}

/* How often the word stands in the text, blanks or line ends around it. */
static unsigned count_word(str text, str word)
{
    unsigned n = 0;
    str line, next;
    while (str_split(&text, '\n', &line)) {
        while (str_split(&line, ' ', &next)) {
            n += str_eq(next, word);
        }
    }
    return n;
}

/* The case is about an honoured keyword, and shows it. Returns how often. */
static unsigned test_shows(const char *folder, str name, str path)
{
    str word = stem_of(name);
    const struct keyword *k = keyword_find(word);
    bool honoured =
        k != NULL && k->status == KEYWORD_HONOURED && str_eq(word, str_from(k->name));
    struct buf text;
    char main_file[600];
    bool folder_case = stem_of(path).len == path.len;
    snprintf(main_file, sizeof main_file, "%.*s%s", STR_ARG(path),
             folder_case ? "/pointsman.cnf" : "");
    buf_init(&text, TEXT_MAX);
    read_file(main_file, &text);
    unsigned shown = count_word(buf_slice(&text), word);
    result(honoured && shown > 0, folder, name, "shows a keyword that is honoured");
    buf_free(&text);
    return shown;
}

static void test_keyword(const char *folder, str name, str path)
{
    test_shows(folder, name, path);
    test_good(folder, name, path);
}

static void test_arguments(const char *folder, str name, str path)
{
    struct loaded l;
    struct snapshot_request req = {.path = path};
    unsigned shown = test_shows(folder, name, path);
    load(&l, &req);
    result(matches(folder, name, ".err", &l.messages), folder, name, "messages");
    result(l.snapshot == NULL && l.errors == shown, folder, name,
           "each line that has the keyword is an error");
    unload(&l);
}

static void test_has_case(const char *folder, const struct keyword *k)
{
    char file[520], path[512];
    snprintf(path, sizeof path, "%s/%s", folder, k->name);
    snprintf(file, sizeof file, "%s.cnf", path);
    result(access(file, F_OK) == 0 || access(path, F_OK) == 0, folder, str_from(k->name),
           "is there");
}

/* A keyword that begins to be honoured needs its cases: copy those of a neighbour. */
static void test_every_keyword(void)
{
    const struct keyword *k;
    for (size_t i = 0; (k = keyword_at(i)) != NULL; i++) {
        if (k->status == KEYWORD_HONOURED) {
            test_has_case("keywords", k);
        }
        if (k->status == KEYWORD_HONOURED && k->args != KEYWORD_ARGS_NONE) {
            test_has_case("keyword-arguments", k);
        }
    }
}

/* An option that begins to be honoured belongs into the case good/options, and into the
 * dump, or `print` and `diff` know nothing of it. */
static void test_every_option(void)
{
    const struct option_row *row;
    struct buf dump;
    buf_init(&dump, TEXT_MAX);
    read_file("good/options.out", &dump);
    for (size_t i = 0; (row = option_at(i)) != NULL; i++) {
        char line[80];
        int n = snprintf(line, sizeof line, "\n%s=", row->name);
        if (row->file == OPTION_SITE && row->status == KEYWORD_HONOURED) {
            result(memmem(dump.data, dump.len, line, (size_t)n) != NULL, "good",
                   str_from(row->name), "is in the dump of options");
        }
    }
    buf_free(&dump);
}

static int is_case(const struct dirent *e)
{
    str name = str_from(e->d_name);
    return name.ptr[0] != '.' &&
           (str_find(name, '.') < 0 || str_iends(name, STR(".cnf")));
}

static void test_folder(const char *folder, void (*test)(const char *, str, str))
{
    struct dirent **names;
    int n = scandir(folder, &names, is_case, alphasort);
    for (int i = 0; i < n; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        test(folder, str_from(names[i]->d_name), str_from(path));
        free(names[i]);
    }
    result(n > 0, folder, STR("*"), "there are cases");
    free(names);
}

int main(void)
{
    const char *top = getenv("top_srcdir");
    if ((top != NULL && chdir(top) != 0) || chdir("test/config") != 0) {
        perror("test/config");
        return 2;
    }
    test_folder("good", test_good);
    test_folder("bad", test_bad);
    test_folder("keywords", test_keyword);
    test_folder("keyword-arguments", test_arguments);
    test_every_keyword();
    test_every_option();
    test_folder("../route", test_other);
    test_folder("../route/imta", test_other);
    test_folder("../route/language", test_other);
    test_folder("../route/percent-local", test_other);
    printf("1..%u\n", test_number);
    return failures > 0;
}
