/* lint: see lint.h. */
#include "tables/lint.h"

void lint_snapshot(struct compile *c, bool with_rules)
{
    struct reach reach;
    struct leads leads;
    if (with_rules) {
        lint_rules(c);
        lint_loops(c);
    }
    reach_sources(c->s, c->arena, &reach);
    leads_find(c->s, &reach, c->arena, &leads);
    lint_tls(c, &reach);
    lint_channels(c, &leads);
}
