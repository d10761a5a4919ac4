/* text: pieces of the configuration and of addresses on a terminal: one line each,
 * control bytes shown as '?'. */
#ifndef TOOLS_TEXT_H
#define TOOLS_TEXT_H

#include "tables/snapshot.h"

/* The text on one line: control bytes become '?'. In the arena. */
str text_plain(struct arena *a, str text);
/* What was written at a span: as text_plain(); the first run of blanks, which parts
 * pattern and template or keyword and argument, becomes three, the others one. */
str text_written(struct arena *a, const struct sources *sources, struct span at);
/* "file:line:column", "-" for SPAN_NONE. */
str text_column(struct arena *a, const struct sources *sources, struct span at);

#endif
