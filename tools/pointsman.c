/* pointsman: the offline and operator tool: finds the command, prints help, exits. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/commands.h"
#include "tools/options.h"

static int unknown_command(const char *name)
{
    const char *nearest = command_nearest(name);

    fprintf(stderr, "pointsman: unknown command '%s'", name);
    if (nearest) {
        fprintf(stderr, "; did you mean '%s'?", nearest);
    }
    fputs("\nTry 'pointsman --help'.\n", stderr);
    return TOOL_USAGE;
}

static void usage(FILE *out)
{
    fputs("Usage: pointsman [-c FILE-or-DIR] COMMAND [OPTION...] [ARGUMENT...]\n", out);
    const struct command *c;
    for (size_t i = 0; (c = command_at(i)); i++) {
        if (c->run != cmd_help) { /* the next line tells of it: all fits a screen */
            fprintf(out, "  %-10s  %s\n", c->name, c->summary);
        }
    }
    fputs("'pointsman help COMMAND' tells more, as 'COMMAND --help'. Examples:\n"
          "  pointsman check\n"
          "  pointsman rewrite ann@sales.example.com\n",
          out);
}

static bool arguments_fit(const struct invocation *in)
{
    const struct command *c = in->command;

    if (in->arg_count >= c->min_args &&
        (c->max_args < 0 || in->arg_count <= c->max_args)) {
        return true;
    }
    if (in->arg_count < c->min_args) {
        fprintf(stderr, "pointsman: %s needs an argument: %s\n", c->name, c->arguments);
    } else {
        fprintf(stderr, "pointsman: %s: too many arguments: '%s'\n", c->name,
                in->args[c->max_args]);
    }
    fprintf(stderr, "Try 'pointsman %s --help'.\n", c->name);
    return false;
}

bool tool_screen(FILE *stream)
{
    const char *term = getenv("TERM");

    return isatty(fileno(stream)) && term && strcmp(term, "dumb") != 0;
}

bool tool_colour(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR");

    return tool_screen(stream) && (!no_color || !*no_color);
}

int cmd_version(const struct invocation *in)
{
    (void)in;
    puts("pointsman " PACKAGE_VERSION);
    return TOOL_OK;
}

int cmd_help(const struct invocation *in)
{
    if (in->arg_count == 0) {
        usage(stdout);
        return TOOL_OK;
    }
    const struct command *c = command_find(in->args[0]);
    if (!c) {
        return unknown_command(in->args[0]);
    }
    command_usage(c);
    return TOOL_OK;
}

/* A full disk or a closed pipe must not look like success. */
static int finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return code;
    }
    perror("pointsman: standard output");
    return TOOL_USAGE;
}

int main(int argc, char **argv)
{
    struct invocation in = {.options = {.config = POINTSMAN_SYSCONFDIR}};

    if (!options_read(&in, argc, argv, command_find)) {
        return TOOL_USAGE;
    }
    if (!in.command && in.arg_count > 0) {
        return unknown_command(in.args[0]);
    }
    if (in.options.version) {
        return finish(cmd_version(&in));
    }
    if (!in.command) {
        usage(in.options.help ? stdout : stderr);
        return in.options.help ? finish(TOOL_OK) : TOOL_USAGE;
    }
    if (in.options.help) {
        command_usage(in.command);
        return finish(TOOL_OK);
    }
    in.args++;
    in.arg_count--;
    in.colour = tool_colour(stdout);
    if (!arguments_fit(&in)) {
        return TOOL_USAGE;
    }
    return finish(in.command->run(&in));
}
