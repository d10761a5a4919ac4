/* pointsman: the offline and operator tool. One row per command; a command is a file
 * cmd_<name>.c beside this one. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "tools/options.h"
#include "tools/tool.h"

static const struct command commands[] = {
    {"check", "", "check the whole configuration",
     "Prints every error and warning with file, line and column, then a summary.\n"
     "Exit: 0 clean or warnings only, 1 errors, 2 the main file cannot be read.\n",
     "  pointsman check\n"
     "  pointsman check -c ./new --strict\n",
     TAKES_STRICT | TAKES_ALLOW, 0, 0, cmd_check},
    {"rewrite", "ADDRESS...", "where mail to an address goes, and which line says so",
     "Prints the rewritten address, the channel and the deciding line. The relay rule\n"
     "is not applied: it depends on who sends.\n"
     "Exit: 0 every address has a route, 1 one has none, 2 the configuration is bad.\n",
     "  pointsman rewrite ann@sales.example.com\n"
     "  pointsman rewrite --backward --source-channel tcp_local --trace "
     "'x@[192.0.2.7]'\n",
     TAKES_ALLOW | TAKES_SOURCE | TAKES_ENVELOPE | TAKES_HEADER | TAKES_FORWARD |
         TAKES_BACKWARD | TAKES_TRACE | TAKES_JSON,
     1, -1, cmd_rewrite},
    {"keywords", "[NAME]", "the channel keywords and what becomes of each",
     "Without a name: one line for each keyword. Status is one of honoured, no-effect\n"
     "(never means anything here), later (not honoured yet: a warning) and restricts\n"
     "(not honoured yet and would restrict: an error).\n"
     "Exit: 0, or 1 when nobody knows the name.\n",
     "  pointsman keywords tlsswitchchannel\n"
     "  pointsman keywords --json\n",
     TAKES_JSON, 0, 1, cmd_keywords},
    {"print", "", "the configuration in its canonical form",
     "Prints what the configuration means after includes and defaults.\n"
     "Exit: 0, or 2 when the configuration is bad.\n",
     "  pointsman print\n"
     "  pointsman print -c etc/demo > before.txt\n",
     TAKES_ALLOW, 0, 0, cmd_print},
    {"status", "", "ask the running daemon how it does",
     "Exit: 0, 1 the daemon said no, 2 it cannot be reached.\n",
     "  pointsman status\n"
     "  pointsman status --socket /run/pointsman/control\n",
     TAKES_SOCKET | TAKES_JSON, 0, 0, cmd_control},
    {"reload", "", "make the running daemon load its configuration again",
     "Everything is loaded and checked first, certificates included; with any error\n"
     "the daemon goes on as before and the errors are shown here.\n"
     "Exit: 0 the new configuration is in force, 1 refused, 2 no daemon.\n",
     "  pointsman reload\n"
     "  pointsman check && pointsman reload\n",
     TAKES_SOCKET | TAKES_JSON, 0, 0, cmd_control},
    {"stop", "", "make the running daemon end in good order",
     "Sessions under way are finished or told to come back; nothing accepted is lost.\n"
     "Exit: 0 it is ending, 1 refused, 2 no daemon.\n",
     "  pointsman stop\n"
     "  pointsman stop --socket /run/pointsman/control\n",
     TAKES_SOCKET | TAKES_JSON, 0, 0, cmd_control},
    {"version", "", "the version of this program", "Exit: 0.\n",
     "  pointsman version\n"
     "  pointsman -c etc/demo version\n",
     0, 0, 0, cmd_version},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands, SUGGEST_DISTANCE = 2 };

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static const char *command_nearest(const char *name)
{
    const char *nearest = NULL;
    unsigned best = SUGGEST_DISTANCE + 1;

    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        unsigned distance =
            str_distance(str_from(name), str_from(commands[i].name), SUGGEST_DISTANCE);
        if (distance < best) {
            best = distance;
            nearest = commands[i].name;
        }
    }
    return nearest;
}

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
    fputs("Usage: pointsman [-c FILE-or-DIR] COMMAND [OPTION...] [ARGUMENT...]\n\n"
          "The offline and operator tool of the mail router pointsmand.\n\n"
          "Commands:\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(out, "  %-10s  %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\nOptions of every command:\n", out);
    options_print(out, TAKES_CONFIG | TAKES_HELP);
    fputs("\n'pointsman COMMAND --help' tells more. Examples:\n"
          "  pointsman check\n"
          "  pointsman rewrite ann@sales.example.com\n",
          out);
}

static void command_usage(const struct command *c)
{
    printf("Usage: pointsman %s [OPTION...]%s%s\n\n%c%s.\n%s\nOptions:\n", c->name,
           *c->arguments ? " " : "", c->arguments,
           c->summary[0] >= 'a' ? c->summary[0] - 'a' + 'A' : c->summary[0],
           c->summary + 1, c->about);
    options_print(stdout, c->options | TAKES_CONFIG | TAKES_HELP);
    printf("\nExamples:\n%s", c->examples);
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

bool tool_colour(FILE *stream)
{
    const char *term = getenv("TERM");
    const char *no_color = getenv("NO_COLOR");

    return isatty(fileno(stream)) && (!no_color || !*no_color) && term &&
           strcmp(term, "dumb") != 0;
}

int cmd_version(const struct invocation *in)
{
    (void)in;
    puts("pointsman " PACKAGE_VERSION);
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
