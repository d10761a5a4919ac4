/* keywords: the rows of the keyword table, for reading and for the test that compares
 * them with the manual. */
#include "parser/keywords.h"

#include "tools/record.h"
#include "tools/tool.h"

static const char *const statuses[] = {
    [KEYWORD_HONOURED] = "honoured",
    [KEYWORD_NO_EFFECT] = "no-effect",
    [KEYWORD_LATER] = "later",
    [KEYWORD_RESTRICTS] = "restricts",
};

/* The arguments as a reader writes them: "port", "[host]", "ip...". */
static void arguments_text(const struct keyword *k, char *out, size_t size)
{
    const char *name = k->argument[0] ? k->argument : "value";

    switch (k->args) {
    case KEYWORD_ARGS_NONE:
        snprintf(out, size, "-");
        break;
    case KEYWORD_ARGS_ONE:
        snprintf(out, size, "%s", name);
        break;
    case KEYWORD_ARGS_ONE_OPTIONAL:
        snprintf(out, size, "[%s]", name);
        break;
    default:
        snprintf(out, size, "%s...", name);
        break;
    }
}

static void print_json(const struct keyword *k)
{
    struct record out;
    char arguments[128];

    arguments_text(k, arguments, sizeof arguments);
    record_begin(&out);
    record_str(&out, "name", str_from(k->name));
    record_str(&out, "arguments",
               str_from(k->args == KEYWORD_ARGS_NONE ? "" : arguments));
    record_str(&out, "status", str_from(statuses[k->status]));
    record_str(&out, "group", str_from(k->group));
    record_bool(&out, "default", k->is_default);
    record_str(&out, "text", str_from(k->text));
    record_print(&out);
}

static void print_line(const struct keyword *k)
{
    char arguments[128];

    arguments_text(k, arguments, sizeof arguments);
    printf("%-28s  %-16s  %-9s  %s%s\n", k->name, arguments, statuses[k->status], k->text,
           k->is_default ? " (default)" : "");
}

static void print_one(const struct keyword *k)
{
    char arguments[128];

    arguments_text(k, arguments, sizeof arguments);
    printf("keyword    %s\narguments  %s\nstatus     %s%s\n", k->name, arguments,
           statuses[k->status], k->is_default ? ", the default of its group" : "");
    if (k->group[0]) {
        printf("group      %s\n", k->group);
    }
    printf("meaning    %s\n", k->text);
}

static int unknown_keyword(const char *name)
{
    const struct keyword *near = keyword_nearest(str_from(name), 3);

    fprintf(stderr, "pointsman: nobody knows the keyword '%s'", name);
    if (near) {
        fprintf(stderr, "; did you mean '%s'?", near->name);
    }
    fputc('\n', stderr);
    return TOOL_NO;
}

int cmd_keywords(const struct invocation *in)
{
    const struct keyword *k;

    if (in->arg_count == 1) {
        k = keyword_find(str_from(in->args[0]));
        if (!k) {
            return unknown_keyword(in->args[0]);
        }
        if (in->options.json) {
            print_json(k);
        } else {
            print_one(k);
        }
        return TOOL_OK;
    }
    if (!in->options.json) {
        printf("%-28s  %-16s  %-9s  %s\n", "KEYWORD", "ARGUMENTS", "STATUS", "MEANING");
    }
    for (size_t i = 0; (k = keyword_at(i)); i++) {
        if (in->options.json) {
            print_json(k);
        } else {
            print_line(k);
        }
    }
    return TOOL_OK;
}
