/* lint: see lint.h. */
#include "tables/lint.h"

void lint_snapshot(struct compile *c)
{
    struct reach reach;
    struct leads leads;
    lint_rules(c);
    lint_loops(c);
    reach_sources(c->s, c->arena, &reach);
    leads_find(c->s, &reach, c->arena, &leads);
    lint_tls(c, &reach);
    lint_channels(c, &leads);
}
