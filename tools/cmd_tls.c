/* tls: what has to do with TLS only: one row per command. */
#include <string.h>

#include "tools/tls_report.h"

static const struct tls_command {
    const char *name;
    int words; /* itself and its arguments, at most */
    int (*run)(const struct invocation *in);
} commands[] = {
    {"audit", 1, tls_audit}, {"contexts", 1, cmd_control}, {"explain", 2, tls_explain},
    {"probe", 2, tls_probe}, {"reload", 1, cmd_control},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

int cmd_tls(const struct invocation *in)
{
    const char *name = in->args[0];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) != 0) {
            continue;
        }
        if (in->arg_count > commands[i].words) {
            fprintf(stderr, "pointsman: tls %s takes no %sargument\n", name,
                    commands[i].words > 1 ? "second " : "");
            return TOOL_USAGE;
        }
        return commands[i].run(in);
    }
    fprintf(stderr, "pointsman: tls: there is no command '%s'; there are", name);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(stderr, "%s %s",
                i == 0                  ? ""
                : i + 1 < COMMAND_COUNT ? ","
                                        : " and",
                commands[i].name);
    }
    fputc('\n', stderr);
    return TOOL_USAGE;
}
