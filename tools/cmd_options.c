/* options: the rows of the options of all NAME=value files, for reading and for the test
 * that compares them with the manual. */
#include "parser/options.h"

#include "tools/record.h"
#include "tools/tool.h"

enum { NEAREST_DISTANCE = 3 };

static const char *const statuses[] = {
    [KEYWORD_HONOURED] = "honoured",
    [KEYWORD_NO_EFFECT] = "no-effect",
    [KEYWORD_LATER] = "later",
    [KEYWORD_RESTRICTS] = "restricts",
};

/* The name as a reader writes it: a row that stands for many ends with '*'. */
static void name_text(const struct option_row *o, char *out, size_t size)
{
    snprintf(out, size, "%s%s", o->name, option_is_family(o) ? "*" : "");
}

static void print_row(const struct invocation *in, const struct option_row *o)
{
    struct record out;
    char name[64];

    name_text(o, name, sizeof name);
    if (!in->options.json) {
        printf("%-42s  %-16s  %-9s  %s\n", name, option_file_name(o->file),
               statuses[o->status], o->text);
        return;
    }
    record_begin(&out);
    record_str(&out, "name", str_from(name));
    record_str(&out, "file", str_from(option_file_name(o->file)));
    record_str(&out, "status", str_from(statuses[o->status]));
    record_str(&out, "text", str_from(o->text));
    record_print(&out);
}

/* In whatever files there is an option of that name. */
static int print_named(const struct invocation *in, const char *name)
{
    const struct option_row *o, *near = NULL;
    bool found = false;

    for (unsigned file = 0; file < OPTION_FILES; file++) {
        o = option_find((enum option_file)file, str_from(name));
        if (o) {
            found = true;
            print_row(in, o);
        }
        near = near ? near
                    : option_nearest((enum option_file)file, str_from(name),
                                     NEAREST_DISTANCE);
    }
    if (found) {
        return TOOL_OK;
    }
    fprintf(stderr, "pointsman: nobody knows the option '%s'", name);
    if (near) {
        fprintf(stderr, "; did you mean '%s'?", near->name);
    }
    fputc('\n', stderr);
    return TOOL_NO;
}

int cmd_options(const struct invocation *in)
{
    const struct option_row *o;

    if (in->arg_count == 1) {
        return print_named(in, in->args[0]);
    }
    if (!in->options.json) {
        printf("%-42s  %-16s  %-9s  %s\n", "OPTION", "FILE", "STATUS", "MEANING");
    }
    for (size_t i = 0; (o = option_at(i)); i++) {
        print_row(in, o);
    }
    return TOOL_OK;
}
