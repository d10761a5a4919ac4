/* trace: see trace.h. */
#include "tools/trace.h"

#include <stdio.h>

#include "tools/text.h"

void trace_print(struct arena *a, const struct snapshot *s,
                 const struct route_step *steps)
{
    for (const struct route_step *step = steps; step; step = step->next) {
        str probe = text_plain(a, step->probe);
        str template = text_plain(a, step->template);
        printf("  probe %-28.*s  %-16.*s  %.*s", STR_ARG(probe),
               STR_ARG(span_text(a, s->sources, step->rule)), STR_ARG(step->outcome));
        if (template.len > 0) {
            printf("   %.*s", STR_ARG(template));
        }
        putchar('\n');
    }
}
