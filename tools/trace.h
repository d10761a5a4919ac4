/* trace: the patterns that were looked up, as lines of text. */
#ifndef TOOLS_TRACE_H
#define TOOLS_TRACE_H

#include "tables/route.h"

/* One line a step: pattern, "file:line" ("-": no such rule), what came of it, template.
 */
void trace_print(struct arena *a, const struct snapshot *s,
                 const struct route_step *steps);

#endif
