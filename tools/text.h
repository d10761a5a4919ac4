/* text: pieces of the configuration and of addresses on a terminal: one line each, what
 * a terminal would act on, or is no UTF-8, shown as '?'. */
#ifndef TOOLS_TEXT_H
#define TOOLS_TEXT_H

#include "tables/snapshot.h"

/* The length of the character at the beginning when it can be shown; 0: it is a control
 * character, changes the direction of writing, or is none. */
size_t text_safe(str text);
/* The text on one line: an octet that cannot be shown becomes '?'. In the arena. */
str text_plain(struct arena *a, str text);
/* What was written at a span: as text_plain(); the first run of blanks, which parts
 * pattern and template or keyword and argument, becomes three, the others one. */
str text_written(struct arena *a, const struct sources *sources, struct span at);
/* "file:line:column", "-" for SPAN_NONE. */
str text_column(struct arena *a, const struct sources *sources, struct span at);

#endif
