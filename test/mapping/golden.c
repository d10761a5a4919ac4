/* Golden mappings: test/mapping/<name>.map is a mapping file (behind it, other files may
 * follow, each with "!== NAME" in front, as the memory loader reads them); the queries of
 * <name>.probes are asked, and the answers compared with what stands there. A query reads
 *   TABLE[/FLAGS] <STRING>        -> <STRING> FLAGS by LINE | no match | fault: TEXT
 *   trace TABLE[/FLAGS] <STRING>  -> LINE: OUTCOME <STRING>, ...
 * with a digit in front of the line for what another table was called for. Lines that
 * begin with '#' and empty lines are kept. UPDATE_GOLDEN=1 writes the answers into the
 * files instead. Speaks TAP. */
#include <string.h>

#include "tables/mapping.h"
#include "test/golden.h"

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

struct asked {
    struct arena *a;
    const struct snapshot *s;
};

/* The queries with their answers. */
static bool answer_all(str queries, struct buf *out, void *arg)
{
    struct asked *x = arg;
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
                       STR_ARG(answer(x->a, x->s, query)));
        } else {
            buf_printf(out, "%.*s\n", STR_ARG(line));
        }
    }
    return true;
}

static bool run_case(str path)
{
    struct arena *a = arena_new();
    str text = STR(""), reason;
    loader_files.read(&loader_files, a, path, &text, &reason);
    struct snapshot *s =
        golden_load(a, arena_printf(a, "%s%.*s", config, STR_ARG(text)), false);
    struct asked x = {a, s};
    bool good =
        s != NULL && golden_compare(a, golden_beside(a, path, "probes"), answer_all, &x);
    snapshot_unref(&s);
    arena_free(&a);
    return good;
}

int main(void)
{
    static const char *const patterns[] = {"test/mapping/*.map", NULL};
    return golden_main(patterns, run_case);
}
