/* addresses: how the commands read the addresses and channel names they are given. */
#ifndef TOOLS_ADDRESSES_H
#define TOOLS_ADDRESSES_H

#include <stdio.h>

#include "base/address.h"
#include "tables/snapshot.h"
#include "tools/tool.h"

/* Without blanks around it and without angle brackets. */
str address_bare(str text);
/* Parses it for a command that needs one to route. NULL when good, else what is wrong,
 * as address_parse() says it. */
const char *address_read(str text, struct address *out);

typedef void (*address_fn)(str address, void *arg);
/* Calls fn for each line of the file that is neither blank nor a comment: a '!' with a
 * blank behind it, because an address may begin with '!'. The line is trimmed and lives
 * for the call. False when reading failed (errno is set). */
bool addresses_of(FILE *in, address_fn fn, void *arg);
/* Calls fn for each argument; "-" stands for the lines of standard input. False after
 * saying on standard error that it cannot be read. */
bool addresses_given(const struct invocation *in, address_fn fn, void *arg);

/* The channel of that name. NULL after saying on standard error that there is none,
 * with the name probably meant. */
const struct channel *channel_given(const struct snapshot *s, const char *name);

#endif
