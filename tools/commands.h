/* commands: the rows of tools/commands.c. */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#include <stddef.h>

#include "tools/tool.h"

/* NULL when there is none of that name. */
const struct command *command_find(const char *name);
/* The name that was probably meant, or NULL. */
const char *command_nearest(const char *name);
/* The rows in the order of the help text; NULL past the end. */
const struct command *command_at(size_t i);

#endif
