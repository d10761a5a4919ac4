/* golden: see golden.h. */
#include "test/golden.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/config/memory_loader.h"

enum { OUTPUT_MAX = 1 << 20 };

void golden_show(str text)
{
    str line;
    while (str_split(&text, '\n', &line)) {
        if (line.len > 0) {
            printf("# %.*s\n", STR_ARG(line));
        }
    }
}

void golden_show_diags(const struct diags *diags)
{
    struct buf text;
    buf_init(&text, OUTPUT_MAX);
    diags_render(diags, false, &text);
    golden_show(buf_slice(&text));
    buf_free(&text);
}

str golden_beside(struct arena *a, str path, const char *suffix)
{
    ptrdiff_t dot = str_rfind(path, '.');
    size_t stem = dot < 0 ? path.len : (size_t)dot;
    return arena_printf(a, "%.*s.%s", (int)stem, path.ptr, suffix);
}

struct snapshot *golden_load(struct arena *a, str text, bool allow_unhonoured)
{
    struct memory_loader memory;
    struct snapshot_request request = {.path = STR(MEMORY_LOADER_MAIN),
                                       .allow_unhonoured = allow_unhonoured,
                                       .loader = &memory.loader};
    struct diags *diags;
    bool unreadable;
    memory_loader_init(&memory, text);
    struct snapshot *s = snapshot_load(&request, a, &diags, &unreadable);
    golden_show_diags(diags);
    return s;
}

static void show_difference(str got, str want)
{
    str a, b;
    bool more_a = str_split(&got, '\n', &a), more_b = str_split(&want, '\n', &b);
    while (more_a && more_b && str_eq(a, b)) {
        more_a = str_split(&got, '\n', &a);
        more_b = str_split(&want, '\n', &b);
    }
    printf("# got:      %.*s\n", STR_ARG(more_a ? a : STR("(nothing more)")));
    printf("# expected: %.*s\n", STR_ARG(more_b ? b : STR("(nothing more)")));
}

static bool file_write(str path, str text)
{
    FILE *f = fopen(path.ptr, "w");
    bool good = f != NULL && fwrite(text.ptr, 1, text.len, f) == text.len;
    return f != NULL && fclose(f) == 0 && good;
}

bool golden_compare(struct arena *a, str path, golden_answer_fn answer, void *arg)
{
    str want, reason;
    struct buf out;
    if (!loader_files.read(&loader_files, a, path, &want, &reason)) {
        printf("# %.*s: %.*s\n", STR_ARG(path), STR_ARG(reason));
        return false;
    }
    buf_init(&out, OUTPUT_MAX);
    bool good = answer(want, &out, arg);
    str got = buf_slice(&out);
    if (good && !str_eq(got, want)) {
        if (getenv("UPDATE_GOLDEN") != NULL) {
            good = file_write(path, got);
        } else {
            show_difference(got, want);
            good = false;
        }
    }
    buf_free(&out);
    return good;
}

int golden_main(const char *const *patterns, bool (*run_case)(str path))
{
    const char *top = getenv("top_srcdir");
    char pattern[4096];
    glob_t found = {0};
    int failed = 0;
    for (unsigned i = 0; patterns[i] != NULL; i++) {
        snprintf(pattern, sizeof pattern, "%s/%s", top != NULL ? top : ".", patterns[i]);
        if (glob(pattern, i > 0 ? GLOB_APPEND : 0, NULL, &found) != 0) {
            printf("Bail out! no file %s\n", pattern);
            return 1;
        }
    }
    printf("1..%zu\n", found.gl_pathc);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        bool good = run_case(str_from(found.gl_pathv[i]));
        const char *slash = strrchr(found.gl_pathv[i], '/');
        printf("%sok %zu - %s\n", good ? "" : "not ", i + 1,
               slash != NULL ? slash + 1 : found.gl_pathv[i]);
        failed += !good;
    }
    globfree(&found);
    return failed > 0;
}
