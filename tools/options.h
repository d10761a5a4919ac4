/* options: the command line of `pointsman`, read by the rows in options.c. */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include "tools/tool.h"

/* Reads argv[1..argc-1]. Options may stand before and after the command; those before
 * must be ones of every command. Moves the other words to the front of argv and leaves
 * them in in->args, the command's name first. find looks a command up. Returns false
 * after saying on standard error what is wrong. */
bool options_read(struct invocation *in, int argc, char **argv,
                  const struct command *(*find)(const char *name));
/* Prints the options whose bits are set, one a line. */
void options_print(FILE *out, unsigned options);

#endif
