/* tls: what has to do with TLS only: one row per command. */
#include <string.h>

#include "tools/tool.h"

static const struct tls_command {
    const char *name;
    int (*run)(const struct invocation *in);
} commands[] = {
    {"contexts", cmd_control},
    {"reload", cmd_control},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

int cmd_tls(const struct invocation *in)
{
    const char *name = in->args[0];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return commands[i].run(in);
        }
    }
    fprintf(stderr, "pointsman: tls: there is no command '%s'; there are", name);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        fprintf(stderr, "%s %s", i > 0 ? " and" : "", commands[i].name);
    }
    fputc('\n', stderr);
    return TOOL_USAGE;
}
