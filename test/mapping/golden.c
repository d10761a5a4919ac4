/* Golden mappings: test/mapping/<name>.map is a mapping file (behind it, other files may
 * follow, each with "!== NAME" in front, as the memory loader reads them); the queries of
 * <name>.probes are asked, and the answers compared with what stands there. A query reads
 *   TABLE[/FLAGS] <STRING>        -> <STRING> FLAGS by LINE | no match | fault: TEXT
 *   trace TABLE[/FLAGS] <STRING>  -> LINE: OUTCOME <STRING>, ...
 * with a digit in front of the line for what another table was called for. Lines that
 * begin with '#' and empty lines are kept. UPDATE_GOLDEN=1 writes the answers into the
 * files instead. Speaks TAP. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "tables/mapping.h"
#include "test/config/memory_loader.h"

enum { OUTPUT_MAX = 1 << 20 };

static const char config[] = ". $U%$H@tcp-daemon\n\nl\nhere.test\n\n"
                             "tcp_local smtp mx\ntcp-daemon\n!== mappings\n";

struct query {
    const struct mapping *table;
    struct mapping_input in;
};

static bool query_parse(const struct snapshot *s, str line, struct query *q)
{
    str word, flags;
    *q = (struct query){.in = {.snapshot = s}};
    str_word(&line, &word);
    if (str_eq(word, STR("trace"))) {
        q->in.trace = true;
        str_word(&line, &word);
    }
    str_split(&word, '/', &flags);
    q->table = mapping_find(s, flags);
    for (size_t i = 0; i < word.len; i++) {
        q->in.flags |= mapping_flag(word.ptr[i]);
    }
    ptrdiff_t from = str_find(line, '<'), to = str_rfind(line, '>');
    if (q->table == NULL || from < 0 || to <= from) {
        return false;
    }
    q->in.probe = str_sub(line, (size_t)from + 1, (size_t)(to - from) - 1);
    return true;
}

static unsigned line_of(const struct snapshot *s, struct span at)
{
    return span_place(s->sources, at).line;
}

static str answer_trace(struct arena *a, const struct snapshot *s,
                        const struct mapping_output *out)
{
    str all = STR("");
    for (const struct mapping_step *step = out->steps; step != NULL; step = step->next) {
        str depth = step->depth > 1 ? arena_printf(a, "%u/", step->depth - 1) : STR("");
        all =
            arena_printf(a, "%.*s%s%.*s%u: %.*s <%.*s>", STR_ARG(all),
                         all.len > 0 ? ", " : "", STR_ARG(depth), line_of(s, step->entry),
                         STR_ARG(step->outcome), STR_ARG(step->text));
    }
    return all;
}

static str answer(struct arena *a, const struct snapshot *s, str line)
{
    struct query q;
    struct mapping_output out;
    if (!query_parse(s, line, &q)) {
        return STR("bad query");
    }
    bool matched = mapping_run(q.table, &q.in, a, &out);
    if (q.in.trace) {
        return answer_trace(a, s, &out);
    }
    if (out.fault != NULL) {
        return arena_printf(a, "fault: %s", out.fault);
    }
    if (!matched) {
        return STR("no match");
    }
    return arena_printf(a, "<%.*s> %.*s by %u", STR_ARG(out.text),
                        STR_ARG(mapping_flags_text(a, out.flags)), line_of(s, out.entry));
}

/* The queries with their answers. */
static void answer_all(struct arena *a, const struct snapshot *s, str queries,
                       struct buf *out)
{
    str line;
    while (str_split(&queries, '\n', &line)) {
        if (line.len == 0 && queries.ptr == NULL) {
            break;
        }
        const char *arrow = line.len > 0 ? memmem(line.ptr, line.len, " -> ", 4) : NULL;
        if (line.len > 0 && line.ptr[0] != '#') {
            str query =
                arrow != NULL ? str_sub(line, 0, (size_t)(arrow - line.ptr)) : line;
            query = str_trim(query);
            buf_printf(out, "%-32.*s -> %.*s\n", STR_ARG(query),
                       STR_ARG(answer(a, s, query)));
        } else {
            buf_printf(out, "%.*s\n", STR_ARG(line));
        }
    }
}

static bool file_write(const char *path, const struct buf *text)
{
    FILE *f = fopen(path, "w");
    if (f == NULL) {
        return false;
    }
    size_t n = fwrite(text->data, 1, text->len, f);
    return fclose(f) == 0 && n == text->len;
}

/* Shows text as TAP comments. */
static void show(str text)
{
    str line;
    while (str_split(&text, '\n', &line)) {
        if (line.len > 0) {
            printf("# %.*s\n", STR_ARG(line));
        }
    }
}

/* Compares (or writes) the answers; true when they are as expected. */
static bool run_queries(struct arena *a, const struct snapshot *s, str path)
{
    str queries, reason;
    struct buf out;
    if (!loader_files.read(&loader_files, a, path, &queries, &reason)) {
        printf("# %.*s: %.*s\n", STR_ARG(path), STR_ARG(reason));
        return false;
    }
    buf_init(&out, OUTPUT_MAX);
    answer_all(a, s, queries, &out);
    bool good = str_eq(buf_slice(&out), queries);
    if (!good && getenv("UPDATE_GOLDEN") != NULL) {
        good = file_write(path.ptr, &out);
    } else if (!good) {
        printf("# got:\n");
        show(buf_slice(&out));
    }
    buf_free(&out);
    return good;
}

static bool run_case(str path)
{
    struct arena *a = arena_new();
    struct memory_loader memory;
    struct snapshot_request request = {.path = STR(MEMORY_LOADER_MAIN),
                                       .loader = &memory.loader};
    struct diags *diags;
    str text = STR(""), reason;
    bool unreadable;
    loader_files.read(&loader_files, a, path, &text, &reason);
    memory_loader_init(&memory, arena_printf(a, "%s%.*s", config, STR_ARG(text)));
    struct snapshot *s = snapshot_load(&request, a, &diags, &unreadable);
    struct buf messages;
    buf_init(&messages, OUTPUT_MAX);
    diags_render(diags, false, &messages);
    show(buf_slice(&messages));
    buf_free(&messages);
    str stem = str_sub(path, 0, path.len - 4);
    bool good =
        s != NULL && run_queries(a, s, arena_printf(a, "%.*s.probes", STR_ARG(stem)));
    snapshot_unref(&s);
    arena_free(&a);
    return good;
}

int main(void)
{
    const char *top = getenv("top_srcdir");
    char pattern[4096];
    glob_t found;
    int failed = 0;
    snprintf(pattern, sizeof pattern, "%s/test/mapping/*.map", top != NULL ? top : ".");
    if (glob(pattern, 0, NULL, &found) != 0) {
        printf("Bail out! no file %s\n", pattern);
        return 1;
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
