/* map: what a mapping table makes of a string, and the entry that says so. */
#include <string.h>

#include "tools/configuration.h"
#include "tools/probe.h"
#include "tools/record.h"
#include "tools/text.h"

struct mapped {
    const struct invocation *in;
    const struct configuration *c;
    const struct mapping *table;
    uint64_t flags; /* that the caller sets */
    int code;       /* of the program, so far */
    str probe;
    bool matched;
    struct mapping_output out;
};

/* ---- text ---------------------------------------------------------------------- */

static void print_steps(const struct mapped *m)
{
    struct arena *a = m->c->arena;
    const struct sources *sources = m->c->snapshot->sources;

    for (const struct mapping_step *s = m->out.steps; s; s = s->next) {
        str probe = text_plain(a, s->probe), text = text_plain(a, s->text);
        str outcome = text_plain(a, s->outcome);
        printf("  %*s%.*s \"%.*s\"  %.*s   %.*s  %.*s", (int)(2 * (s->depth - 1)), "",
               STR_ARG(s->table), STR_ARG(probe),
               STR_ARG(span_text(a, sources, s->entry)),
               STR_ARG(text_written(a, sources, s->entry)), STR_ARG(outcome));
        if (text.len > 0) {
            printf(" \"%.*s\"", STR_ARG(text));
        }
        putchar('\n');
    }
}

static void print_text(const struct mapped *m)
{
    struct arena *a = m->c->arena;
    const struct sources *sources = m->c->snapshot->sources;
    const char *bold = m->in->colour ? "\033[1m" : "",
               *end = m->in->colour ? "\033[0m" : "";
    str text = text_plain(a, m->out.text);
    str flags = mapping_flags_text(a, m->out.flags);

    printf("%.*s\n", STR_ARG(text_plain(a, m->probe)));
    print_steps(m);
    if (m->out.fault) {
        printf("  -> given up: %s\n", m->out.fault);
    } else if (!m->matched) {
        printf("  -> no entry of %.*s matches\n", STR_ARG(mapping_name(m->table)));
    } else {
        printf("  -> %s\"%.*s\"%s", bold, STR_ARG(text), end);
        printf(flags.len > 0 ? "  flags %s%.*s%s\n" : "  no flags\n", bold,
               STR_ARG(flags), end);
        printf("  by %.*s   %.*s\n", STR_ARG(span_text(a, sources, m->out.entry)),
               STR_ARG(text_written(a, sources, m->out.entry)));
    }
}

/* ---- JSON ---------------------------------------------------------------------- */

static void record_flags(const struct mapped *m, struct record *out)
{
    str flags = mapping_flags_text(m->c->arena, m->out.flags);

    record_open(out, "flags", '[');
    for (size_t i = 0; i < flags.len; i++) {
        record_str(out, NULL, str_sub(flags, i, 1));
    }
    record_close(out, ']');
}

static void record_steps(const struct mapped *m, struct record *out)
{
    record_open(out, "trace", '[');
    for (const struct mapping_step *s = m->out.steps; s; s = s->next) {
        struct place place = span_place(m->c->snapshot->sources, s->entry);
        record_open(out, NULL, '{');
        record_uint(out, "depth", s->depth - 1);
        record_str(out, "table", s->table);
        record_str(out, "probe", s->probe);
        record_str(out, "file", place.file);
        record_uint(out, "line", place.line);
        record_str(out, "outcome", s->outcome);
        record_str(out, "text", s->text);
        record_close(out, '}');
    }
    record_close(out, ']');
}

static void print_json(const struct mapped *m)
{
    struct record out;

    record_begin(&out);
    record_str(&out, "table", mapping_name(m->table));
    record_str(&out, "input", m->probe);
    record_bool(&out, "matched", m->matched);
    record_str(&out, "output", m->matched ? m->out.text : STR_NONE);
    record_flags(m, &out);
    record_place(&out, "entry", m->c->snapshot->sources, m->out.entry);
    if (m->out.fault) {
        record_str(&out, "fault", str_from(m->out.fault));
    }
    if (m->in->options.trace) {
        record_steps(m, &out);
    }
    record_print(&out);
}

/* ---- the command --------------------------------------------------------------- */

static void map_one(str probe, void *arg)
{
    struct mapped *m = arg;
    struct arena_mark mark = arena_mark(m->c->arena);
    const struct mapping_input in = {.snapshot = m->c->snapshot,
                                     .probe = probe,
                                     .flags = m->flags,
                                     .trace = m->in->options.trace};

    m->probe = probe;
    m->matched = mapping_run(m->table, &in, m->c->arena, &m->out);
    if (m->in->options.json) {
        print_json(m);
    } else {
        print_text(m);
    }
    if (m->out.fault) {
        fflush(stdout);
        fprintf(stderr, "pointsman: map: %s; this is neither a match nor none\n",
                m->out.fault);
        m->code = TOOL_USAGE;
    } else if (!m->matched && m->code == TOOL_OK) {
        m->code = TOOL_NO;
    }
    arena_reset(m->c->arena, mark);
}

/* The strings behind the name of the table; "-", or none, stands for standard input. */
static bool map_all(struct mapped *m)
{
    const struct invocation *in = m->in;

    if (in->arg_count < 2) {
        return strings_of(stdin, map_one, m);
    }
    for (int i = 1; i < in->arg_count; i++) {
        if (strcmp(in->args[i], "-") != 0) {
            map_one(str_from(in->args[i]), m);
        } else if (!strings_of(stdin, map_one, m)) {
            return false;
        }
    }
    return true;
}

int cmd_map(const struct invocation *in)
{
    struct configuration c;
    struct mapped m = {.in = in, .c = &c, .code = TOOL_OK};
    struct invocation loading = *in;

    loading.options.allow_unhonoured =
        true; /* also to try what the daemon does not ask */
    if (!flags_given(in->options.flags, &m.flags) || !configuration_need(&c, &loading)) {
        return TOOL_USAGE;
    }
    m.table = table_given(c.snapshot, str_from(in->args[0]));
    if (!m.table || !map_all(&m)) {
        m.code = TOOL_USAGE;
    }
    configuration_free(&c);
    return m.code;
}
