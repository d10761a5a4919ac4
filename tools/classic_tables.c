/* classic_tables: `test -mapping` and `test -match`: the prompts and the layout of PMDF's
 * commands. Prompts are shown to a terminal only, so that the output of a script is what
 * it asked for. */
#include <stdlib.h>
#include <unistd.h>

#include "tools/classic.h"
#include "tools/configuration.h"
#include "tools/matching.h"
#include "tools/probe.h"
#include "tools/text.h"

struct testing {
    const struct classic *options;
    const struct configuration *c;
    const struct mapping *table;
    uint64_t flags;
    int code;
};

/* The next line of standard input, in the arena, without its end; STR_NONE at the end of
 * input. */
static str ask(struct arena *a, const char *prompt)
{
    char *line = NULL;
    size_t size = 0;
    str answer = STR_NONE;

    if (isatty(STDIN_FILENO)) {
        fputs(prompt, stdout);
        fflush(stdout);
    }
    ssize_t n = getline(&line, &size, stdin);
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) {
        n--;
    }
    if (n >= 0) {
        answer = arena_str(a, str_n(line, (size_t)n));
    }
    free(line);
    return answer;
}

/* ---- test -mapping ------------------------------------------------------------- */

static void print_debug(const struct testing *t, const struct mapping_step *steps)
{
    struct arena *a = t->c->arena;
    const struct sources *sources = t->c->snapshot->sources;

    for (const struct mapping_step *s = steps; s; s = s->next) {
        printf("Mapping %.*s, string \"%.*s\": entry %.*s: %.*s\n", STR_ARG(s->table),
               STR_ARG(text_plain(a, s->probe)), STR_ARG(span_text(a, sources, s->entry)),
               STR_ARG(text_written(a, sources, s->entry)));
        printf("  %.*s, new string \"%.*s\"\n", STR_ARG(text_plain(a, s->outcome)),
               STR_ARG(text_plain(a, s->text)));
    }
}

/* The originals have a number before the letters that nothing tells the meaning of; in
 * their samples it is 0. */
static void print_flags(const struct testing *t, uint64_t flags)
{
    str text = mapping_flags_text(t->c->arena, flags);

    fputs("Output flags: [0", stdout);
    for (size_t i = 0; i < text.len; i++) {
        printf(", '%c' (%d)", text.ptr[i], text.ptr[i]);
    }
    puts("]");
}

static void map_one(str probe, void *arg)
{
    struct testing *t = arg;
    struct arena *a = t->c->arena;
    struct arena_mark mark = arena_mark(a);
    const struct mapping_input in = {.snapshot = t->c->snapshot,
                                     .probe = probe,
                                     .flags = t->flags,
                                     .trace = t->options->debug};
    struct mapping_output out;
    bool matched = mapping_run(t->table, &in, a, &out);

    print_debug(t, out.steps);
    if (out.fault) {
        printf("*** %s\n", out.fault);
        t->code = TOOL_USAGE;
    } else {
        printf("Output string: %.*s\n", STR_ARG(text_plain(a, out.text)));
        print_flags(t, out.flags);
    }
    if (!matched && !out.fault) {
        puts("No match.");
        t->code = t->code == TOOL_OK ? TOOL_NO : t->code;
    }
    arena_reset(a, mark);
}

static bool map_all(struct testing *t)
{
    const struct classic *o = t->options;

    for (int i = 0; i < o->arg_count; i++) {
        map_one(str_from(o->args[i]), t);
    }
    if (o->arg_count > 0) {
        return true;
    }
    if (!isatty(STDIN_FILENO)) {
        return strings_of(stdin, map_one, t);
    }
    struct arena *lines = arena_new();
    str line;
    while ((line = ask(lines, "Input string: ")).ptr != NULL) {
        map_one(line, t);
    }
    putchar('\n');
    arena_free(&lines);
    return true;
}

static int map_json(struct arena *a, const struct invocation *loading,
                    const struct classic *o, str table)
{
    struct invocation map = *loading;

    map.args = arena_array(a, char *, o->arg_count + 1);
    map.args[0] = arena_strndup(a, table.ptr, table.len);
    for (int i = 0; i < o->arg_count; i++) {
        map.args[i + 1] = o->args[i];
    }
    map.arg_count = o->arg_count + 1;
    map.options.json = true;
    map.options.trace = o->debug;
    map.options.flags = o->flags;
    return cmd_map(&map);
}

int classic_mapping(const struct invocation *loading, const struct classic *o)
{
    struct configuration c;
    struct testing t = {.options = o, .c = &c, .code = TOOL_OK};
    struct arena *a = arena_new();
    int code = TOOL_USAGE;
    str table = o->table ? str_from(o->table) : str_trim(ask(a, "Enter table name: "));

    if (!table.ptr) {
        fputs("pointsman: test: -table= is needed\n", stderr);
    } else if (o->json) {
        code = map_json(a, loading, o, table);
    } else if (flags_given(o->flags, &t.flags) && configuration_need(&c, loading)) {
        t.table = table_given(c.snapshot, table);
        code = t.table && map_all(&t) ? t.code : TOOL_USAGE;
        configuration_free(&c);
    }
    arena_free(&a);
    return code;
}

/* ---- test -match --------------------------------------------------------------- */

static int match_one(struct arena *a, str pattern, str target)
{
    const struct mapping_trial *t = matching_pattern(a, pattern);

    if (!t) {
        return TOOL_USAGE;
    }
    matching_print_pattern(a, t);
    return matching_print_target(a, t, target);
}

/* Pairs of a pattern and a target, until the end of input. */
static int match_input(struct arena *a)
{
    int code = TOOL_OK;

    for (;;) {
        struct arena_mark mark = arena_mark(a);
        str pattern = ask(a, "Pattern: ");
        str target = pattern.ptr ? ask(a, "Target: ") : STR_NONE;
        if (!target.ptr) {
            break;
        }
        int one = match_one(a, pattern, target);
        code = one > code ? one : code;
        arena_reset(a, mark);
    }
    return code;
}

int classic_match(const struct invocation *in, const struct classic *o)
{
    struct arena *a = arena_new();
    struct invocation match = *in;
    int code = TOOL_USAGE;

    match.args = o->args;
    match.arg_count = o->arg_count;
    match.options.json = o->json;
    if (o->arg_count == 2) {
        code = o->json ? cmd_match(&match)
                       : match_one(a, str_from(o->args[0]), str_from(o->args[1]));
    } else if (o->arg_count != 0 || o->json) {
        fputs("pointsman: test -match takes a pattern and a target\n", stderr);
    } else {
        code = match_input(a);
    }
    arena_free(&a);
    return code;
}
