/* expansion: the steps from a recipient to the addresses that get the mail, as text and
 * as JSON. */
#ifndef TOOLS_EXPANSION_H
#define TOOLS_EXPANSION_H

#include "tables/recipient.h"
#include "tools/record.h"
#include "tools/text.h"

/* One line for each address, below what it comes from and indented more than that. */
void expansion_print(const struct snapshot *s, struct arena *a,
                     const struct expansion *e);
/* The same as an array of objects, in the order of the text. */
void expansion_record(struct record *out, const char *name, const struct snapshot *s,
                      struct arena *a, const struct expansion *e);

#endif
